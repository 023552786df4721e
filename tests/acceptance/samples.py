#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""samples.py BUILD_DIRECTORY: unmodified projects of Azure/azure-sphere-samples build and pack.

SPHERE_SAMPLES_DIR is a checkout of that repository; without it the test is skipped. The projects are
copied, configured with their own presets and the environment variable their guide names, and built.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Failed, skip  # noqa: E402

PROJECTS = ("HelloWorld/HelloWorld_HighLevelApp", "GPIO/GPIO_HighLevelApp", "MutableStorage")
PRESETS = ("ARM-Debug", "ARM-Release")
NEEDED = ["libapplibs.so.0", "libgcc_s.so.1", "libc.so.1"]


def run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env=environment, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failed(f"{folder}: {' '.join(command)} failed\n{done.stdout}")
    return done.stdout


def build(folder, preset, environment):
    run(["cmake", "--preset", preset], folder, environment)
    output = run(["cmake", "--build", f"out/{preset}"], folder, environment)
    if re.search(r"warning:|^warn:", output, re.M):
        raise Failed(f"{folder}: warnings\n{output}")
    [package] = (folder / "out" / preset).glob("*.imagepackage")
    program = folder / "out" / preset / f"approot{package.stem}/bin/app"
    elf = run(["arm-linux-gnueabihf-readelf", "-ldW", str(program)], folder, environment)
    needed = re.findall(r"NEEDED.*\[(.*)\]", elf)
    if needed != NEEDED or "/lib/ld-musl-armhf.so.1]" not in elf:
        raise Failed(f"{program}: needs {needed}\n{elf}")
    again = run(["cmake", "--build", f"out/{preset}"], folder, environment)
    if "no work to do" not in again:
        raise Failed(f"{folder}: a rebuild without a change does something\n{again}")


def main(build_directory):
    source = os.environ.get("SPHERE_SAMPLES_DIR")
    sdk = pathlib.Path(build_directory).resolve() / "sdk"
    if not source:
        skip("SPHERE_SAMPLES_DIR is not set: a checkout of Azure/azure-sphere-samples")
    if not (sdk / "VERSION").exists():
        skip("no SDK folder: this build has SPHERE_SDK_TREE=OFF")
    with tempfile.TemporaryDirectory(prefix="sphere samples ") as home:
        environment = {**os.environ, "HOME": home, "AzureSphereDefaultSDKDir": f"{sdk}/"}
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            environment[f"XDG_{name}_HOME"] = f"{home}/{name.lower()}"
        for folder in ("HardwareDefinitions", *(f"Samples/{name}" for name in PROJECTS)):
            shutil.copytree(pathlib.Path(source, folder), pathlib.Path(home, "git", folder),
                            ignore=shutil.ignore_patterns("out"))
        for project in PROJECTS:
            for preset in PRESETS:
                build(pathlib.Path(home, "git/Samples", project), preset, environment)
                print(f"{project} {preset}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
