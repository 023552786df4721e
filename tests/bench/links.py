# SPDX-License-Identifier: MIT
"""The bench of links: the SLIP codec, a sideload over a modelled line, small requests."""
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import link_boards  # noqa: E402
from product import Product  # noqa: E402

BAUD = 921_600
SIZE = 1 << 20
GOODPUT_GOAL = 0.90  # Of the line's bytes a second.


def codec(build):
    program = build / "bench/slip_bench"
    if not program.exists():
        print("slip codec: skipped, no bench/slip_bench: configure with -DSPHERE_BENCH=ON")
        return True
    print("| frames of 1500 bytes | encode GB/s | decode GB/s | goal |\n|---|---|---|---|")
    good = True
    for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines():
        name, encode, decode = line.split("\t")
        goal = "1.00" if name != "END only" else "-"
        good = good and (goal == "-" or min(float(encode), float(decode)) >= 1)
        print(f"| {name} | {encode} | {decode} | {goal} |")
    return good


def deploy(product, file, path):
    """Seconds of a deploy, and of the same without the package's bytes: the rest of the command."""
    begin = time.monotonic()
    product.run("device", "sideload", "deploy", "--image-package", file, "--manual-start", "--device",
                path, timeout=120)
    return time.monotonic() - begin


def goodput(build, rounds):
    good = True
    print(f"\n| sideload of 1 MiB at {BAUD:,} baud | seconds | share of the line | goal |\n|---|---|---|---|")
    with Product(build) as product:
        product.run("board", "create", "line", "--service-uart", "pty", "--service-baud", BAUD)
        product.run("board", "start", "line")
        path = link_boards.tty_path(product, "line")
        file = link_boards.package(product, SIZE)
        size = file.stat().st_size
        for _ in range(rounds):
            seconds = deploy(product, file, path)
            share = size / seconds / (BAUD / 10)
            good = good and share >= GOODPUT_GOAL
            print(f"| whole command, {size:,} bytes | {seconds:.2f} | {share * 100:.1f} % | "
                  f"{GOODPUT_GOAL * 100:.0f} % |")
    return good


def small_requests(build, rounds):
    print("\n| small request, whole command | median ms |\n|---|---|")
    with Product(build) as product:
        product.run("board", "create", "plain", "--service-uart", "pty")
        product.run("board", "start", "plain")
        for name, path in (("direct, Unix socket", "vb-plain"),
                           ("SLIP on a pty", link_boards.tty_path(product, "plain"))):
            times = []
            for _ in range(rounds * 5):
                begin = time.monotonic()
                product.run("device", "show-os-version", "--device", path)
                times.append((time.monotonic() - begin) * 1000)
            print(f"| {name} | {statistics.median(times):.1f} |")


def run(sphere, rounds):
    build = pathlib.Path(sphere).parent.parent
    good = codec(build)
    good = goodput(build, min(rounds, 3)) and good
    small_requests(build, min(rounds, 5))
    print("\ngoals: " + ("met" if good else "NOT met"))
    return good
