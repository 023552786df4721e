# SPDX-License-Identifier: MIT
"""Interleaved measurement of commands: rounds A B C, A B C, each row divided by row A of its round."""
import os
import pathlib
import shutil
import statistics
import subprocess
import time


class Row:
    """One command of a group. The first row of a group is what the others are divided by."""

    def __init__(self, name, command, *, note="", needs=None, package="", before=None, check=None, environment=None):
        self.name, self.command, self.note = name, [str(word) for word in command], note
        self.missing = package if needs is not None and not needs else ""
        self.before, self.check = before, check
        self.environment = environment
        self.runs, self.failures = [], 0

    @property
    def failed(self):
        return self.failures > 0


def run_once(command, environment=None):
    """Runs to the end; gives wall and CPU milliseconds, peak memory in MiB, and the exit status."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment or os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    os.close(null)
    return (wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss / 1024,
            os.waitstatus_to_exitcode(status))


def measure(rows, rounds):
    """One warm-up of each row, checked and thrown away, then `rounds` interleaved rounds."""
    present = [row for row in rows if not row.missing]
    for number in range(rounds + 1):
        for row in present:
            if row.failed:
                continue
            if row.before:
                row.before()
            wall, cpu, memory, status = run_once(row.command, row.environment)
            if status != 0 or (number == 0 and row.check and not row.check()):
                row.failures += 1
            elif number > 0:
                row.runs.append((wall, cpu, memory))


def median(values):
    return statistics.median(values)


def ratio(row, base, index):
    pairs = zip(row.runs, base.runs)
    return median([own[index] / other[index] for own, other in pairs if other[index] > 0] or [float("nan")])


def table(rows):
    """Markdown lines: medians, and medians of the ratios to the first row."""
    base = rows[0]
    lines = ["| row | wall ms | min | CPU ms | memory MiB | wall, x first | CPU, x first | n | note |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        if row.missing:
            lines.append(f"| {row.name} | skipped: package {row.missing} | | | | | | | {row.note} |")
        elif row.failed or base.failed:
            lines.append(f"| {row.name} | failed | | | | | | | {row.note} |")
        else:
            walls = [run[0] for run in row.runs]
            lines.append(
                f"| {row.name} | {median(walls):.1f} | {min(walls):.1f} | {median([r[1] for r in row.runs]):.1f} "
                f"| {median([r[2] for r in row.runs]):.1f} | {ratio(row, base, 0):.2f} | {ratio(row, base, 1):.2f} "
                f"| {len(row.runs)} | {row.note} |")
    return lines


def spin_control():
    """How many processors two busy processes get: below 1.9 of 2 the machine is busy."""
    begin = time.perf_counter()
    workers = [subprocess.Popen(["python3", "-c", "import time\ne=time.process_time()+0.5\n"
                                 "while time.process_time()<e: pass"]) for _ in range(2)]
    for worker in workers:
        worker.wait()
    return 1.0 / (time.perf_counter() - begin)


def machine_line():
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown CPU")
    kernel = os.uname().release
    load = os.getloadavg()[0]
    file_system = subprocess.run(["stat", "-f", "-c", "%T", "."], capture_output=True, text=True).stdout.strip()
    return f"{cpu}, {os.cpu_count()} CPUs, Linux {kernel}, {file_system}, load {load:.1f}"


def version_of(program, *arguments):
    if not shutil.which(program):
        return f"{program} absent"
    result = subprocess.run([program, *arguments], capture_output=True, text=True)
    return (result.stdout + result.stderr).splitlines()[0].strip()
