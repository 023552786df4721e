# SPDX-License-Identifier: MIT
"""The start of an app under the full sandbox against other ways to start the same program."""
import pathlib
import statistics
import subprocess

GOALS = {"bubblewrap, unshare-all, cap-drop": 1.0, "minijail, all namespaces": 1.25}


def run(start_bench, launcher, rounds):
    """Prints the table; true when every goal that could be measured is met."""
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
    good = True
    for name, times in rows.items():
        ratio = min(rows[own]) / min(times)
        bound = GOALS.get(name)
        good = good and (bound is None or ratio <= bound)
        goal = f" (goal: at most {bound})" if bound else ""
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {ratio:.2f}{goal} |")
    return good
