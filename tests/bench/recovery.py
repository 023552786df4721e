# SPDX-License-Identifier: MIT
"""Recovers 1 to 8 boards at the same time over modelled UARTs, with one command."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from recovery_set import RecoverySet  # noqa: E402

BAUD, TURNAROUND_MS = 921_600, 2
GOAL = 1.1


class Boards:
    """Running virtual boards, each with a line of its own."""

    def __init__(self, program, key, count):
        self.processes = [subprocess.Popen(
            [program, "rom", "mt3620", "--key", str(key), "--tcp", "0", "--baud", str(BAUD), "--turnaround",
             str(TURNAROUND_MS), "--fault", "slow-erase=500"], text=True, stdout=subprocess.PIPE)
            for _ in range(count)]
        self.ports = [f"tcp:{process.stdout.readline().split()[1]}" for process in self.processes]

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def recover(sphere, folder, ports):
    """Seconds of the wall clock, and of processors in the command."""
    command = [sphere, "device", "recover", "--images", str(folder), "--no-wait-boot", "--output", "json"]
    for port in ports:
        command += ["--port", port]
    before, begin = os.times(), time.monotonic()
    run = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, check=False)
    took, after = time.monotonic() - begin, os.times()
    if run.returncode != 0:
        sys.exit(f"recovery failed: {run.stderr}")
    said = json.loads(run.stdout)
    rows = said if isinstance(said, list) else [said]
    if len(rows) != len(ports) or any(row["verified"] != "yes" for row in rows):
        sys.exit(f"a board is not right: {run.stdout}")
    return took, (after.children_user - before.children_user) + (after.children_system - before.children_system)


def run(sphere, root, rounds):
    board = str(pathlib.Path(sphere).parent / "sphere-board")
    images = RecoverySet(root / "set", bodies=(2188, 120_000))
    print(f"\n## Boards recovered at the same time\n\nRecovery v2, {BAUD} baud and {TURNAROUND_MS} ms of turn-around "
          "modelled by each board; median of the rounds.\n")
    print("| boards | s | against one | processor s of the command |")
    print("|---|---|---|---|")
    counts = (1, 2, 4, 8)
    rows = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            boards = Boards(board, images.public, count)
            try:
                rows[count].append(recover(sphere, images.folder, boards.ports))
            finally:
                boards.end()
    middle = rounds // 2
    one = sorted(took for took, _ in rows[1])[middle]
    for count in counts:
        took = sorted(took for took, _ in rows[count])[middle]
        cpu = sorted(cpu for _, cpu in rows[count])[middle]
        print(f"| {count} | {took:.2f} | {took / one:.2f} | {cpu:.2f} |")
    ratio = sorted(took for took, _ in rows[8])[middle] / one
    print(f"\nGoal: 8 boards in at most {GOAL} times the time of one: {'met' if ratio <= GOAL else 'missed'}.")
