#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""on_virtual_board.py BUILD_DIRECTORY [MALFORMED]: the conformance suite over TCP to a virtual board."""
import pathlib
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from product import Product  # noqa: E402


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(build, malformed="2000"):
    with Product(build) as product:
        port = free_port()
        product.run("board", "create", "desk", "--port", str(port))
        product.run("board", "start", "desk")
        done = subprocess.run(
            [sys.executable, "-B", HERE / "device_rest.py", f"https://127.0.0.1:{port}",
             "--malformed", malformed], check=False)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
