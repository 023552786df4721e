# SPDX-License-Identifier: MIT
"""The start of an app under the full sandbox against other ways to start the same program, and what
the agent itself needs: size, memory, time to its first answer."""
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402
from rest import UnixConnection  # noqa: E402
from rest_clients import goal_line, pss_kb  # noqa: E402

GOALS = {"bubblewrap, unshare-all, cap-drop": 1.0, "minijail, all namespaces": 1.25}
START_MINIMUM_MS, START_MEDIAN_MS = 3, 6
SIZE_BYTES, IDLE_PSS_KB, FIRST_ANSWER_MS = 1_500_000, 6 * 1024, 100


def stripped_size(program):
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, program], check=True)
        return os.stat(copy.name).st_size


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.005)
    raise TimeoutError("the board did not get there in time")


def children(pid):
    return [int(number) for number in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def first_answer(board, socket):
    """Ends the agent and waits for the answer of the next: milliseconds from its start as the kernel
    has it, in whole ticks, rounded down."""
    old = children(board)[0]
    os.kill(old, signal.SIGKILL)
    agent = wait_for(lambda: next((pid for pid in children(board) if pid != old), None))
    connection = UnixConnection(socket, 30)
    connection.request("GET", "/status")
    connection.getresponse().read()
    end = time.clock_gettime(time.CLOCK_BOOTTIME)
    connection.close()
    ticks = int(pathlib.Path(f"/proc/{agent}/stat").read_text().rsplit(")", 1)[1].split()[19])
    return 1000 * (end - ticks / os.sysconf("SC_CLK_TCK"))


def footprint(build, rounds):
    """Prints what the agent needs; true when the goals are met."""
    print("\n## The agent\n")
    good = goal_line("sphered, stripped, without its shared libraries", stripped_size(build / "bin/sphered"),
                     SIZE_BYTES, "bytes")
    print(f"- sphere-launch, stripped, no shared libraries: {stripped_size(build / 'bin/sphere-launch'):,} bytes")
    if not (build / "bin/sphere-board").exists():
        print("- not checked: memory and first answer (build the target sphere-board)")
        return good
    with Product(build) as product:
        product.run("board", "create", "desk")
        product.run("board", "start", "desk")
        board = int((product.home / "state/sphere/boards/desk/lock").read_text())
        socket = product.home / "run/sphere/boards/desk/rest.sock"
        time.sleep(2)
        agents = children(board)
        good &= goal_line(f"idle PSS in {len(agents)} process(es)", sum(map(pss_kb, agents)), IDLE_PSS_KB, "KiB")
        times = [first_answer(board, socket) for _ in range(rounds)]
        good &= goal_line("start to the first REST answer, median", statistics.median(times), FIRST_ANSWER_MS, "ms")
        product.run("board", "stop", "desk")
    return good


def run(start_bench, build, rounds):
    """Prints the tables; true when every goal that could be measured is met."""
    good = footprint(build, 3)
    launcher = build / "bin/sphere-launch"
    null = pathlib.Path(start_bench).with_name("null_program")
    done = subprocess.run([start_bench, launcher, null, str(rounds or 50)], capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr.strip())
        return False
    rows = {}
    print("\n## Start of an app, from the wish to main()\n")
    for line in done.stdout.splitlines():
        name, *rest = line.split("\t")
        if name == "missing":
            print(f"- skipped: {rest[0]} is absent ({rest[1]})")
        else:
            rows.setdefault(name, []).append(int(rest[0]) / 1000)
    own = next(name for name in rows if name.startswith("sphere"))
    print("\n| launcher | median ms | minimum ms | minimum, ours divided by it |\n|---|---|---|---|")
    for name, times in rows.items():
        ratio = min(rows[own]) / min(times)
        bound = GOALS.get(name)
        good = good and (bound is None or ratio <= bound)
        goal = f" (goal: at most {bound})" if bound else ""
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {ratio:.2f}{goal} |")
    print()
    good &= goal_line("start of an app, minimum", min(rows[own]), START_MINIMUM_MS, "ms")
    good &= goal_line("start of an app, median", statistics.median(rows[own]), START_MEDIAN_MS, "ms")
    for name, bound in GOALS.items():
        if name in rows:
            good &= goal_line(f"minimum, divided by that of {name.split(',')[0]}", min(rows[own]) / min(rows[name]), bound, "x")
        else:
            print(f"- not checked: at most {bound:g}x the minimum of {name.split(',')[0]}")
    return good
