#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""samples_on_board.py BUILD_DIRECTORY: unmodified projects of Azure/azure-sphere-samples, built with
their own presets, run on a virtual board. Needs SPHERE_SAMPLES_DIR: a checkout of that repository."""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Failed, Product, skip  # noqa: E402

BOARD = "samples"


def build_sample(product, source, project, preset):
    """Copies the samples once, builds one of them, and returns its package."""
    copy = product.home / "samples"
    if not copy.exists():
        copy.mkdir()
        for folder in ("Samples", "HardwareDefinitions"):
            shutil.copytree(source / folder, copy / folder,
                            ignore=shutil.ignore_patterns("AzureIoT", "out"))
    directory = copy / "Samples" / project
    for command in (["cmake", "--preset", preset], ["cmake", "--build", f"out/{preset}"]):
        done = subprocess.run(command, cwd=directory, env=product.environment, text=True,
                              capture_output=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Failed(f"{project}: {' '.join(command)} failed\n{done.stdout}{done.stderr}")
    [package] = (directory / f"out/{preset}").glob("*.imagepackage")
    return package


def deploy(product, package):
    product.run("device", "sideload", "delete")
    product.run("device", "sideload", "deploy", "--image-package", package)
    return product.json("image-package", "show", package)["componentId"]


def press(product, button):
    product.run("board", "peripheral", "set", BOARD, "--peripheral", button, "--value", "press:100")


def interval(product, seconds):
    """Median time between edges of the LED, in seconds."""
    times = [at for at, _ in product.edges(BOARD, seconds)]
    if len(times) < 3:
        raise Failed(f"the LED does not blink: {times}")
    return statistics.median((b - a) / 1e6 for a, b in zip(times, times[1:]))


def hello_world(product, package):
    deploy(product, package)
    if not 0.5 < interval(product, 5) < 1.6:
        raise Failed("HelloWorld does not toggle the LED about once a second")


def gpio(product, package):
    deploy(product, package)
    before = interval(product, 3)
    press(product, "gpio12")
    after = interval(product, 3)
    if not after > 1.5 * before:  # 125 ms becomes 250 ms.
        raise Failed(f"the button did not change the LED: {before:.3f} s, then {after:.3f} s")


def mutable_storage(product, package):
    component = deploy(product, package)
    product.wait_for_output(component, "Press SAMPLE_BUTTON_1")
    press(product, "gpio12")
    product.wait_for_output(component, "Writing 1 to the mutable file")
    product.run("device", "restart", "--wait")
    time.sleep(2)
    press(product, "gpio12")
    product.wait_for_output(component, "Read 1 from the mutable file, updating to 2")


def main(build):
    source = os.environ.get("SPHERE_SAMPLES_DIR")
    if not source:
        skip("SPHERE_SAMPLES_DIR is not set: a checkout of Azure/azure-sphere-samples")
    with Product(build) as product:
        product.need_sdk()
        product.run("board", "create", BOARD)
        product.run("board", "start", BOARD)
        for project, story in (("HelloWorld/HelloWorld_HighLevelApp", hello_world),
                               ("GPIO/GPIO_HighLevelApp", gpio),
                               ("MutableStorage", mutable_storage)):
            for preset in ("ARM-Release", "ARM-Debug"):
                story(product, build_sample(product, pathlib.Path(source), project, preset))
                print(f"{project} {preset}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
