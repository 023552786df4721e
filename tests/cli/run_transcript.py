#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a transcript of the command line and compares what comes out.

A transcript is a text file:

    # A comment, at the start or after a blank line. "# needs: <program or path>" skips the file
    # when it is missing.
    $ sphere show-sdk-version --output table
    SDK version: 26.11.0
    ! warn: a line of standard error
    [1]

After "$ " stands a shell command, then the lines of its standard output, then those of standard
error behind "! ", then its exit status in brackets unless it is 0. "<*>" stands for any text within
a line, "<**>" alone in a line for any number of lines. "$ export NAME=VALUE" and "$ cd DIR" hold for
the rest of the file.

Each file has its own home and working directory, made for it and removed after it. Variables: HOME,
XDG_*, PATH with the built programs, SOURCE (the source tree), BUILD (the build tree).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TIME_LIMIT = 60


class Step:
    """One command and what it must give."""

    def __init__(self, number, command):
        self.number, self.command = number, command
        self.output, self.error, self.status = [], [], 0


def read_steps(text):
    steps, needs = [], []
    lines = text.splitlines()
    comments = set()  # Numbers of their lines: a comment begins the file or follows a blank line.
    for number, line in enumerate(lines, 1):
        if line.startswith("#") and (number == 1 or not lines[number - 2] or number - 1 in comments):
            comments.add(number)
    for number, line in enumerate(lines, 1):
        if match := re.fullmatch(r"# needs: (.+)", line):
            needs.append(match[1])
        elif number in comments:
            continue
        elif line.startswith("$ "):
            steps.append(Step(number, line[2:]))
        elif not steps:
            if line:
                raise ValueError(f"line {number}: no command yet")
        elif line.startswith("!"):
            steps[-1].error.append(line[2:])
        elif match := re.fullmatch(r"\[(-?\d+)\]", line):
            steps[-1].status = int(match[1])
        else:
            steps[-1].output.append(line)
    for step in steps:  # Blank lines before the next command are for the reader.
        while step.output and not step.output[-1]:
            step.output.pop()
    return steps, needs


def pattern_of(lines):
    parts = []
    for line in lines:
        if line == "<**>":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(".*?".join(re.escape(part) for part in line.split("<*>")) + r"\n")
    return re.compile("".join(parts))


def check(expected, text, name):
    """The difference between expected lines and a text, or nothing."""
    text = text.rstrip("\n") + "\n" if text.strip("\n") else ""
    if pattern_of(expected).fullmatch(text):
        return None
    return (f"{name} expected:\n" + "".join(f"  {line}\n" for line in expected) + f"{name} was:\n" +
            "".join(f"  {line}\n" for line in text.splitlines()))


class Session:
    """Where the commands of one file run."""

    def __init__(self, home, build):
        self.home = pathlib.Path(home)
        self.directory = self.home / "here"
        self.directory.mkdir()
        (self.home / "runtime").mkdir(mode=0o700)
        self.variables = {
            "HOME": home, "PATH": f"{build}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": f"{home}/config", "XDG_DATA_HOME": f"{home}/data",
            "XDG_STATE_HOME": f"{home}/state", "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_RUNTIME_DIR": f"{home}/runtime", "TMPDIR": f"{home}/tmp", "BUILD": str(build),
            "SOURCE": str(pathlib.Path(__file__).resolve().parents[2]),
        }
        (self.home / "tmp").mkdir()

    def expand(self, text):
        return re.sub(r"\$(\w+)", lambda match: self.variables.get(match[1], ""), text)

    def run(self, step):
        """What was wrong with the step, as a list of texts."""
        if match := re.fullmatch(r"export (\w+)=(.*)", step.command):
            self.variables[match[1]] = self.expand(match[2])
            return []
        if match := re.fullmatch(r"cd (\S+)", step.command):
            self.directory = self.directory / self.expand(match[1])
            return []
        done = subprocess.run(["/bin/bash", "-c", step.command], cwd=self.directory, env=self.variables,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT, check=False)
        wrong = [check(step.output, done.stdout.decode(errors="backslashreplace"), "standard output"),
                 check(step.error, done.stderr.decode(errors="backslashreplace"), "standard error")]
        if done.returncode != step.status:
            wrong.append(f"exit status {done.returncode}, expected {step.status}\n")
        return [text for text in wrong if text]


def main(file, build):
    steps, needs = read_steps(pathlib.Path(file).read_text(encoding="utf-8"))
    for need in needs:
        place = need.replace("$BUILD", build)
        if not (shutil.which(place) or os.path.exists(place)):
            print(f"SKIPPED: {place} is missing")
            return 77
    failed = False
    with tempfile.TemporaryDirectory(prefix="sphere-cli-") as home:
        session = Session(home, build)
        for step in steps:
            for text in session.run(step):
                failed = True
                print(f"{file}:{step.number}: $ {step.command}\n{text}")
    print("failed" if failed else f"{len(steps)} commands ok")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
