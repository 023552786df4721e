#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rest_clients.py BUILD_DIRECTORY [SECONDS] [CLIENTS]: many clients of one virtual board at once.

Each client sends GET /status again and again, on a kept connection of which it begins a new one now
and then. Every request must be answered, and the agent may not grow meanwhile. Prints requests a
second, time of an answer, memory (PSS, RSS), descriptors and threads before and after; ends with 1 when
a request was lost, or when memory grew by more than 2 MiB, or descriptors or threads are left, after each
of three such loads.
"""
import http.client
import os
import pathlib
import random
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402
from rest import UnixConnection  # noqa: E402


def pss_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def goal_line(name, value, bound, unit):
    shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    print(f"- {'met' if value <= bound else 'MISSED'}: {name}: {shown} {unit} (goal: at most {bound:,} {unit})",
          flush=True)
    return value <= bound


class Client(threading.Thread):
    def __init__(self, socket, until):
        super().__init__()
        self.socket, self.until = socket, until
        self.times, self.lost = [], []

    def run(self):
        connection = None
        while time.monotonic() < self.until:
            fresh = connection is None
            connection = connection or UnixConnection(self.socket, 60)
            begin = time.monotonic()
            try:
                connection.request("GET", "/status")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.lost.append(f"status {answer.status}")
                self.times.append(time.monotonic() - begin)
                if random.random() < 0.05:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                # An idle connection may be closed for a newcomer; a new one must be answered.
                if fresh:
                    self.lost.append(repr(error))
                connection = None


def agent_of(product, board="desk"):
    pid = int((product.home / f"state/sphere/boards/{board}/lock").read_text())
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def size_of(pid):
    """What may not grow."""
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {"PSS": pss_kb(pid), "RSS": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def load(socket, clients, duration):
    threads = [Client(socket, time.monotonic() + duration) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return threads


def has_grown(before, after):
    # Not the PSS: it changes with the other processes that have the same libraries.
    return after["RSS"] > before["RSS"] + 2048 or any(
        after[key] > before[key] for key in ("threads", "descriptors"))


def settled(pid, wanted, limit=10):
    """The size after the last connections have ended, which takes an agent a moment."""
    until = time.monotonic() + limit
    while True:
        size = size_of(pid)
        if all(size[key] <= wanted[key] for key in ("descriptors", "threads")) or time.monotonic() > until:
            return size
        time.sleep(0.1)


def measure(product, seconds, clients, warm_up):
    """Loads the board `desk`; prints a line; true when nothing was lost and nothing grew."""
    agent = agent_of(product)
    socket = product.home / "run/sphere/boards/desk/rest.sock"
    quiet = size_of(agent)
    load(socket, clients, warm_up)  # What is made once and stays: buffers, heaps of the threads, the log.
    before = settled(agent, quiet)
    threads = load(socket, clients, seconds)
    after = settled(agent, before)
    rounds = 1
    while rounds < 3 and has_grown(before, after):
        # A heap that met its worst moment only now: growth is what comes again with each load.
        before, rounds = after, rounds + 1
        threads += load(socket, clients, seconds)
        after = settled(agent, before)
    times = sorted(moment for thread in threads for moment in thread.times)
    lost = [text for thread in threads for text in thread.lost]
    print(f"{clients} clients, {rounds * seconds:g} s: {len(times)} answers, {len(times) / seconds / rounds:.0f}/s, "
          f"median {statistics.median(times) * 1000:.1f} ms, p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, "
          f"longest {times[-1] * 1000:.0f} ms; lost {len(lost)}")
    print(f"before: {before}; after: {after}; same agent: {agent_of(product) == agent}", flush=True)
    for text in lost[:5]:
        print(f"lost: {text}")
    good = goal_line("answers lost", len(lost), 0, "answers")
    good &= goal_line("growth of the resident memory", after["RSS"] - before["RSS"], 2048, "KiB")
    for key in ("threads", "descriptors"):
        good &= goal_line(f"{key} left over", after[key] - before[key], 0, key)
    return good and agent_of(product) == agent


def first_answers(product, rounds):
    """Milliseconds from the start of the agent's process to its first answer, of `rounds` starts, to a
    client that waits in the listener's queue. The kernel notes starts in steps of 10 ms."""
    socket = product.home / "run/sphere/boards/desk/rest.sock"
    times = []
    for _ in range(rounds):
        product.run("board", "stop", "desk")
        starting = product.start("board", "start", "desk")
        answered = None
        while answered is None:
            connection = UnixConnection(socket, 30)
            try:
                connection.request("GET", "/status")
                if connection.getresponse().status == 200:
                    answered = time.clock_gettime(time.CLOCK_BOOTTIME)
            except (OSError, http.client.HTTPException):
                time.sleep(0.001)
        starting.communicate(timeout=30)
        fields = pathlib.Path(f"/proc/{agent_of(product)}/stat").read_text().rpartition(")")[2].split()
        times.append((answered - int(fields[19]) / os.sysconf("SC_CLK_TCK")) * 1000)
    return times


def run(build, seconds=60.0, clients=64, rounds=11, warm_up=10.0):
    """The subject `rest` of the bench; true when all goals are met."""
    with Product(build) as product:
        product.run("board", "create", "desk")
        product.run("board", "start", "desk")
        good = measure(product, seconds, clients, warm_up)
        if rounds:
            times = sorted(first_answers(product, rounds))
            print(f"first answer after the agent's start: least {times[0]:.0f} ms, most {times[-1]:.0f} ms of {rounds}")
            good &= goal_line("start to the first REST answer, median", statistics.median(times), 100, "ms")
    return good


def main(build, seconds="60", clients="64"):
    return 0 if run(build, float(seconds), int(clients), 0, min(10.0, float(seconds))) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
