#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""templates.py BUILD_DIRECTORY: every template builds without a warning, passes its own tests on this
PC, and does on a virtual board what it promises."""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Failed, Product  # noqa: E402

BOARD = "demo"


def run_tool(product, directory, *command):
    """A tool other than sphere, as a developer calls it."""
    done = subprocess.run(command, cwd=directory, env=product.environment, capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode:
        raise Failed(f"{directory.name}: {' '.join(command)} failed\n{done.stdout}{done.stderr}")


def run_project(product, directory):
    """Puts the app on the board; its component id."""
    done = product.json("project", "run", directory, timeout=120)
    if done["state"] != "running":
        raise Failed(f"{directory.name}: {done}")
    return done["componentId"]


def blink(product, directory):
    run_project(product, directory)
    edges = product.edges(BOARD, 3.5)
    if len(edges) < 2:
        raise Failed(f"hl-blink: {len(edges)} edges within 3.5 s")
    follow = product.start("project", "run", directory, "--follow", "--output", "json")
    lines = []
    while "Blinking" not in lines:
        line = follow.stdout.readline()
        if not line:
            raise Failed(f"hl-blink: followed output ends after {lines}\n{follow.stderr.read()}")
        lines.append(json.loads(line)["text"])
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=30)
    if follow.returncode != -signal.SIGINT:
        raise Failed(f"hl-blink: interrupted, and exit {follow.returncode}")


def mean_interval(edges):
    if len(edges) < 3:
        raise Failed(f"hl-event-loop: only {len(edges)} edges")
    return (edges[-1][0] - edges[1][0]) / (len(edges) - 2) / 1000


def event_loop(product, directory):
    component = run_project(product, directory)
    product.wait_for_output(component, "Blink interval: 1000 ms")
    slow = mean_interval(product.edges(BOARD, 4.5))
    for level in (0, 1):  # A press: the button connects its pin to ground. The app looks each 100 ms.
        product.run("board", "peripheral", "set", BOARD, "--peripheral", "gpio12", "--value", level)
        time.sleep(1)
    product.wait_for_output(component, "Blink interval: 500 ms")
    fast = mean_interval(product.edges(BOARD, 3))
    if not 1.6 < slow / fast < 2.4:
        raise Failed(f"hl-event-loop: intervals {slow:.0f} ms, then {fast:.0f} ms")


def mutable_storage(product, directory):
    component = run_project(product, directory)
    product.wait_for_output(component, "Start number 1")
    product.run("device", "app", "stop", "--component-id", component)
    product.run("device", "app", "start", "--component-id", component)
    product.wait_for_output(component, "Start number 2")
    product.run("board", "restart", BOARD)
    product.wait_for_output(component, "Start number 3", seconds=20)


STATED = {"hl-blink": blink, "hl-event-loop": event_loop, "hl-mutable-storage": mutable_storage}


def main(build):
    with Product(build) as product:
        product.need_sdk()
        product.environment["CFLAGS"] = "-Werror"
        product.run("board", "create", BOARD)
        product.run("board", "start", BOARD)
        for template in product.json("project", "list-templates"):
            directory = product.home / template["name"]
            product.run("project", "new", directory, "--template", template["name"])
            for preset in ("ARM-Debug", "ARM-Release"):
                [package] = product.json("project", "build", directory, "--preset", preset,
                                         timeout=120)["packages"]
                product.run("image-package", "show", package)
            run_tool(product, directory, "cmake", "--preset", "x86-Debug")
            run_tool(product, directory, "cmake", "--build", "--preset", "x86-Debug")
            run_tool(product, directory, "ctest", "--preset", "x86-Debug", "--no-tests=error")
            STATED[template["name"]](product, directory)
            shutil.rmtree(directory)
            print(f"{template['name']}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
