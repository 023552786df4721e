#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rest_clients.py BUILD_DIRECTORY [SECONDS] [CLIENTS]: many clients of one virtual board at once.

Each client sends GET /status again and again, on a kept connection of which it begins a new one now
and then. Every request must be answered, and the agent may not grow meanwhile. Prints requests a
second, time of an answer, memory (PSS) before and after; ends with 1 when one was lost or memory grew
by more than 2 MiB.
"""
import http.client
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


def main(build, seconds="60", clients="64"):
    with Product(build) as product:
        product.run("board", "create", "desk")
        product.run("board", "start", "desk")
        board = int((product.home / "state/sphere/boards/desk/lock").read_text())
        agent = int(pathlib.Path(f"/proc/{board}/task/{board}/children").read_text().split()[0])
        socket = product.home / "run/sphere/boards/desk/rest.sock"

        def load(duration):
            threads = [Client(socket, time.monotonic() + duration) for _ in range(int(clients))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return threads

        load(10)  # What is made once and stays: buffers, heaps of the threads, the log.
        before = pss_kb(agent)
        threads = load(float(seconds))
        after = pss_kb(agent)
        times = sorted(moment for thread in threads for moment in thread.times)
        lost = [text for thread in threads for text in thread.lost]
        print(f"{clients} clients, {seconds} s: {len(times)} answers, {len(times) / float(seconds):.0f}/s, "
              f"median {statistics.median(times) * 1000:.1f} ms, p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, "
              f"longest {times[-1] * 1000:.0f} ms; lost {len(lost)}; PSS {before} KiB before, {after} KiB after")
        for text in lost[:5]:
            print(f"lost: {text}")
        return int(bool(lost) or after > before + 2048)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
