#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""applibs_arm.py BUILD_DIRECTORY VECTORS: libapplibs as a device has it, under qemu-arm.

Headers compile alone, exports are those of the version script, and programs start and reach the
agent's side: one of ours, for ARM and for the PC, and a prebuilt one of the vectors.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from fake_agent import FakeAgent  # noqa: E402
from product import Failed, skip  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROBE = [SOURCE / "tests/acceptance/applibs/probe.c", SOURCE / "tests/unit/applibs/abi.c"]
FLAGS = ["-march=armv7ve", "-mthumb", "-mfpu=neon-vfpv4", "-mfloat-abi=hard", "-mcpu=cortex-a7",
         "-fPIC", "-ffunction-sections", "-fdata-sections", "-fno-strict-aliasing",
         "-fno-omit-frame-pointer", "-fno-exceptions", "-fstack-protector-strong", "-Wall",
         "-Wconversion", "-Werror"]
LINK = ["-nodefaultlibs", "-pie", "-Wl,--no-undefined", "-Wl,--gc-sections"]
LIBRARIES = ["-lapplibs", "-lgcc_s", "-lc"]
MAX_LIBRARY = 96 * 1024
BLINK_ELF, BLINK_ELF_SIZE = 0x2000, 5592  # Where the vector holds bin/app.


def run(command, **options):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          check=False, **options)
    if done.returncode != 0:
        raise Failed(f"{command[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Tree:
    """The SDK, and a root folder with its run-time files as an app sees them."""

    def __init__(self, build, work):
        self.sdk = pathlib.Path(build) / "sdk"
        self.work = work
        self.tools = (self.sdk / "Sysroots/15/tools/sysroots/x86_64-pokysdk-linux/usr/bin"
                      "/arm-poky-linux-musleabi")
        self.gcc = self.tools / "arm-poky-linux-musleabi-gcc"
        self.root = work / "root"
        (self.root / "usr").mkdir(parents=True)
        for name in ("lib", "usr/lib"):
            (self.root / name).symlink_to(self.sdk / "Runtime/armhf")

    def emulated(self, program):
        return ["qemu-arm-static", "-L", str(self.root), str(program)]


def check_headers(tree):
    headers = sorted((tree.sdk / "Sysroots/15/usr/include/applibs").glob("*.h"))
    if len(headers) < 8:
        raise Failed(f"only {len(headers)} applibs headers")
    languages = [(tree.gcc, "c", "-std=c11", ["-Wstrict-prototypes", "-Wpedantic"])]
    if shutil.which("arm-linux-gnueabihf-g++"):
        gxx = tree.tools / "arm-poky-linux-musleabi-g++"
        languages.append((gxx, "cpp", "-std=c++20", ["-fno-rtti", "-Wpedantic"]))
    else:
        languages.append(("c++", "cpp", "-std=c++20", ["-fno-rtti", "-fno-exceptions", "-Wpedantic",
                                                       "-I", tree.sdk / "NativeLibs/usr/include"]))
    for compiler, suffix, standard, more in languages:
        target = FLAGS if compiler != "c++" else ["-Wall", "-Wconversion", "-Werror"]
        for header in headers:
            unit = tree.work / f"{header.stem}.{suffix}"
            # Twice: a header must stand being included again.
            unit.write_text(f"#include <applibs/{header.name}>\n" * 2 + "int used;\n",
                            encoding="ascii")
            run([compiler, standard, *target, *more, "-c", unit, "-o", tree.work / "unit.o"])


def check_exports(tree):
    text = (SOURCE / "device-agent/applibs/src/applibs.map").read_text(encoding="utf-8")
    wanted = set(re.findall(r"^ {4}(\w+);", text.split("local:")[0], re.M))
    library = tree.sdk / "Runtime/armhf/libapplibs.so.0"
    native = tree.sdk / "NativeLibs/usr/lib/libapplibs.so.0"
    for nm, file in (("arm-linux-gnueabihf-nm", library), ("nm", native)):
        lines = run([nm, "-D", "--defined-only", file]).splitlines()
        exported = {line.split()[-1] for line in lines}
        if exported != wanted:
            raise Failed(f"{file}: exports differ from the version script: {exported ^ wanted}")
    if library.stat().st_size > MAX_LIBRARY:
        raise Failed(f"{library} has {library.stat().st_size} bytes")
    dynamic = run(["arm-linux-gnueabihf-readelf", "-dW", library])
    if "[libapplibs.so.0]" not in dynamic or "GNU_HASH" not in dynamic or "TEXTREL" in dynamic:
        raise Failed(f"{library} is not of the shape it should be\n{dynamic}")
    for name in ("libapplibs.so", "libc.so"):  # Rust tooling patches this name.
        content = (tree.sdk / "Sysroots/15/usr/lib" / name).read_bytes()
        if b"__aeabi_unwind_cpp_pr0\0" not in content:
            raise Failed(f"{name} does not name __aeabi_unwind_cpp_pr0")


def check_program(command, folder):
    with FakeAgent() as agent:
        process = agent.start(command, cwd=folder)
        output, log = process.communicate(timeout=60)
        if process.returncode != 0 or log != "probe 1099511627776\n":
            raise Failed(f"{command} ended with {process.returncode}\n{output}{log}")
        if agent.levels != [(8, 0)]:
            raise Failed(f"the simulated pin saw {agent.levels}")


def check_probes(tree):
    arm = tree.work / "probe"
    run([tree.gcc, "-std=c11", *FLAGS, "-D_POSIX_C_SOURCE", "-I", SOURCE, *PROBE, *LINK, *LIBRARIES,
         "-o", arm])
    needed = re.findall(r"NEEDED.*\[(.*)\]", run(["arm-linux-gnueabihf-readelf", "-dW", arm]))
    if needed != ["libapplibs.so.0", "libgcc_s.so.1", "libc.so.1"]:
        raise Failed(f"an app needs {needed}")
    check_program(tree.emulated(arm), tree.work)
    native = tree.work / "native-probe"
    libraries = tree.sdk / "NativeLibs/usr/lib"
    run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-I", SOURCE, "-I",
         tree.sdk / "NativeLibs/usr/include", *PROBE, f"-L{libraries}", f"-Wl,-rpath,{libraries}",
         "-lapplibs", "-o", native])
    check_program([str(native)], tree.work)
    alone = subprocess.run([native], text=True, capture_output=True, check=False, cwd=tree.work)
    if "no agent: descriptor 3" not in alone.stderr or alone.stderr.count("no agent") != 1:
        raise Failed(f"without an agent the library says: {alone.stderr}")


def check_blink(tree, vectors):
    package = pathlib.Path(vectors, "hl-blink-sdk-signed.imagepackage")
    if not package.exists():
        print("no vector hl-blink-sdk-signed.imagepackage beside the project: not run")
        return
    program = tree.work / "blink"
    program.write_bytes(package.read_bytes()[BLINK_ELF:BLINK_ELF + BLINK_ELF_SIZE])
    program.chmod(0o755)
    with FakeAgent() as agent:
        process = agent.start(tree.emulated(program), cwd=tree.work)
        levels = agent.wait_for_levels(3)
        process.kill()
        output, log = process.communicate(timeout=10)
        if len(levels) < 3 or {pin for pin, _ in levels} != {8} or not log:
            raise Failed(f"the prebuilt program set {levels}\n{output}{log}")
        if any(a[1] == b[1] for a, b in zip(levels, levels[1:])):
            raise Failed(f"the prebuilt program does not toggle: {levels}")


def main(build, vectors):
    if not (pathlib.Path(build) / "sdk/VERSION").exists():
        skip("no SDK folder: this build has SPHERE_SDK_TREE=OFF")
    if not shutil.which("qemu-arm-static"):
        skip("no qemu-arm-static: install qemu-user-static")
    with tempfile.TemporaryDirectory(prefix="sphere test ") as folder:
        tree = Tree(pathlib.Path(build).resolve(), pathlib.Path(folder))
        check_headers(tree)
        check_exports(tree)
        check_probes(tree)
        check_blink(tree, vectors)


if __name__ == "__main__":
    main(*sys.argv[1:])
