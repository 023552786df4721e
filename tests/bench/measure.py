# SPDX-License-Identifier: MIT
"""Interleaved measurement of commands: rounds A B C, A B C, each row divided by row A of its round."""
import os
import pathlib
import shutil
import statistics
import subprocess
import time


class Row:
    """One command of a group. The first row of a group is what the others are divided by.

    `command` is a list of words, or one text for the shell. `stdin` is a file; `goal`, from
    Goal(), is what the row's ratio has to be.
    """

    def __init__(self, name, command, *, note="", needs=True, package="", before=None, check=None, environment=None,
                 stdin=None, goal=None, work=1):
        words = ["sh", "-c", command] if isinstance(command, str) else command
        self.name, self.command, self.note = name, [str(word) for word in words], note
        self.missing = "" if needs else package
        self.before, self.check, self.stdin, self.goal, self.work = before, check, stdin, goal, work
        self.environment = environment
        self.runs, self.failures = [], 0

    @property
    def failed(self):
        return self.failures > 0


class Goal:
    """A bound on a ratio to another row of the same group: wall time unless `cpu`.

    at_least=3.3 says: this row takes at most a 3.3rd of the other's time.
    """

    def __init__(self, other, *, at_least=None, at_most=None, cpu=False):
        self.other, self.cpu = other, cpu
        self.bound = at_most if at_most is not None else 1 / at_least
        self.text = (f"at least {at_least:g}x as fast as {other}" if at_least is not None
                     else f"at most {at_most:g}x the time of {other}")


class Runner:
    """Runs commands through runner.c, compiled into `folder`."""

    def __init__(self, folder):
        self.program, self.result = folder / "runner", folder / "runner.result"
        source = pathlib.Path(__file__).with_name("runner.c")
        subprocess.run(["cc", "-O2", "-static", "-o", self.program, source], check=True)

    def run(self, command, environment=None, stdin=None):
        """Gives wall and CPU milliseconds, peak memory in MiB, and the exit status."""
        with open(stdin or os.devnull, "rb") as source:
            subprocess.run([self.program, self.result, *command], env=environment, stdin=source, check=True,
                           stderr=subprocess.DEVNULL)
        wall, cpu, memory, status = self.result.read_text(encoding="ascii").split()
        return float(wall), float(cpu), int(memory) / 1024, int(status)


def measure(runner, rows, rounds):
    """One warm-up of each row, checked and thrown away, then `rounds` interleaved rounds."""
    present = [row for row in rows if not row.missing]
    for number in range(rounds + 1):
        for row in present:
            if row.failed:
                continue
            if row.before:
                row.before()
            wall, cpu, memory, status = runner.run(row.command, row.environment, row.stdin)
            if status != 0 or (number == 0 and row.check and not row.check()):
                row.failures += 1
            elif number > 0:
                row.runs.append((wall, cpu, memory))


def median(values):
    return statistics.median(values)


def ratio(row, base, index):
    pairs = zip(row.runs, base.runs)
    return median([own[index] / other[index] for own, other in pairs if other[index] > 0] or [float("nan")])


def rate(row):
    """Jobs per second by wall time, for rows that do many jobs in one run."""
    return "" if row.work == 1 else f"{row.work / median([run[0] for run in row.runs]) * 1e3:,.0f}/s"


def table(rows):
    """Markdown lines: medians, and medians of the ratios to the first row."""
    base = rows[0]
    lines = ["| row | wall ms | min | CPU ms | memory MiB | wall, x first | CPU, x first | n | note |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        if row.missing:
            lines.append(f"| {row.name} | skipped: package {row.missing} | | | | | | | {row.note} |")
        elif row.failed or base.failed or base.missing:
            lines.append(f"| {row.name} | failed | | | | | | | {row.note} |")
        else:
            walls = [run[0] for run in row.runs]
            note = "; ".join(part for part in (rate(row), row.note) if part)
            lines.append(
                f"| {row.name} | {median(walls):.1f} | {min(walls):.1f} | {median([r[1] for r in row.runs]):.1f} "
                f"| {max(r[2] for r in row.runs):.1f} | {ratio(row, base, 0):.2f} | {ratio(row, base, 1):.2f} "
                f"| {len(row.runs)} | {note} |")
    return lines


def goals(rows):
    """One line for each goal of a group: met, missed, or not checked because a row is absent."""
    by_name = {row.name: row for row in rows}
    for row in rows:
        for goal in row.goal or []:
            other = by_name[goal.other]
            if row.missing or other.missing or row.failed or other.failed or not row.runs:
                yield f"- not checked: {row.name}: {goal.text}"
                continue
            seen = ratio(row, other, 1 if goal.cpu else 0)
            kind = "CPU" if goal.cpu else "wall"
            yield f"- {'met' if seen <= goal.bound else 'MISSED'}: {row.name}: {goal.text} ({kind} {seen:.2f}x its time, {1 / seen:.2f}x as fast)"


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
