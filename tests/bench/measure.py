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

    at_least=3.3 says: this row takes at most a 3.3rd of the other's time. Several others, as a list,
    count with the sum of their times.
    """

    def __init__(self, other, *, at_least=None, at_most=None, cpu=False):
        self.others, self.cpu = [other] if isinstance(other, str) else list(other), cpu
        self.bound = at_most if at_most is not None else 1 / at_least
        name = " plus ".join(self.others)
        self.text = (f"at least {at_least:g}x as fast as {name}" if at_least is not None
                     else f"at most {at_most:g}x the time of {name}")

    def judge(self, row, by_name):
        """Whether it is met and what was seen; None when a row is absent or failed."""
        others = [by_name.get(name) for name in self.others]
        if any(other is None or other.missing or other.failed or not other.runs for other in others):
            return None
        index = 1 if self.cpu else 0
        seen = median([runs[0][index] / sum(run[index] for run in runs[1:])
                       for runs in zip(row.runs, *(other.runs for other in others))])
        return seen <= self.bound, f"{'CPU' if self.cpu else 'wall'} {seen:.2f}x its time, {1 / seen:.2f}x as fast"


class Limit:
    """A bound on a row alone: jobs per second, wall or CPU milliseconds, or MiB above `base`."""

    def __init__(self, *, least_rate=None, most_wall=None, most_cpu=None, most_memory=None, base=0.0):
        self.least_rate, self.most_wall, self.most_cpu = least_rate, most_wall, most_cpu
        self.most_memory, self.base = most_memory, base
        if least_rate:
            self.text = f"at least {least_rate:,}/s"
        elif most_memory:
            self.text = f"at most {most_memory:g} MiB above the {base:.1f} MiB of the program"
        else:
            self.text = f"at most {most_wall or most_cpu:g} ms{' CPU' if most_cpu else ''}"

    def judge(self, row, _by_name):
        if self.least_rate:
            seen = row.work / median([run[0] for run in row.runs]) * 1e3
            return seen >= self.least_rate, f"{seen:,.0f}/s"
        if self.most_memory:
            seen = max(run[2] for run in row.runs) - self.base
            return seen <= self.most_memory, f"{seen:.1f} MiB"
        seen = median([run[1 if self.most_cpu else 0] for run in row.runs])
        return seen <= (self.most_cpu or self.most_wall), f"{seen:.1f} ms"


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
            verdict = None if row.missing or row.failed or not row.runs else goal.judge(row, by_name)
            if verdict is None:
                yield f"- not checked: {row.name}: {goal.text}"
            else:
                yield f"- {'met' if verdict[0] else 'MISSED'}: {row.name}: {goal.text} ({verdict[1]})"


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
