#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""on_virtual_board.py BUILD_DIRECTORY WAY [MALFORMED] [USB_SKIN]: the conformance suite on a virtual board.

WAY: tcp    a port of the board
     slip   the board's service UART as a pty, through the TCP/IP stack of `sphere link serve`
     usb    the same UART as the port of an FT4232H that umockdev shows; USB_SKIN is its program
     tun    https://192.168.35.2, the interface of `sphere link up`, in a network of the test's own
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from link_boards import free_port, package, tty_path, wait_for  # noqa: E402
from network import enter_own_network, need_tun  # noqa: E402
from product import Product, skip  # noqa: E402


def suite(product, base, malformed, *options):
    """Runs the suite against `base`; the certificate must be the board's own."""
    file = package(product, 20_000, "conformance")
    authority = product.home / "data/sphere/device-api-ca.pem"
    return subprocess.run(
        [sys.executable, "-B", HERE / "device_rest.py", base, "--ca", authority, "--package", file,
         "--malformed", malformed, *options], check=False).returncode


def start_board(product, *options):
    product.run("board", "create", "desk", *options)
    product.run("board", "start", "desk")


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)


def through_service(product, path, malformed):
    """Serves the board at `path` without root and runs the suite through a forwarded port."""
    service = product.start("link", "serve", "--port", str(free_port()))
    try:
        wait_for(lambda: (product.home / "run/sphere/link.sock").exists())
        wait_for(lambda: path in [row["connectionPath"] for row in product.json("link", "status")
                                  if row["state"] == "open"], 20)
        return through_forward(product, path, malformed)
    finally:
        end(service)


def through_forward(product, path, malformed, command=()):
    """Runs the suite through a forwarded port: of the service, or of a link of the forwarder's own."""
    forward = subprocess.Popen(
        [*command, product.bin / "sphere", "link", "forward", "--local", "0", "--remote", "443",
         "--device", path, "--output", "json"],
        env=product.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        start_new_session=True)
    try:
        local = json.loads(forward.stdout.readline())["local"]
        return suite(product, f"https://127.0.0.1:{local}", malformed)
    finally:
        if forward.poll() is None:
            os.killpg(forward.pid, signal.SIGINT)  # With the programs that stand around it.
        forward.communicate(timeout=10)


def over_tcp(product, malformed, _):
    port = free_port()
    start_board(product, "--port", str(port))
    return suite(product, f"https://127.0.0.1:{port}", malformed)


def over_slip(product, malformed, _):
    start_board(product, "--service-uart", "pty")
    path = tty_path(product, "desk")
    config = product.home / "config/sphere"
    config.mkdir(parents=True, exist_ok=True)
    device = "/dev/" + os.readlink(product.home / "run/sphere/boards/desk/service.tty").removeprefix("/dev/")
    (config / "config.json").write_text(json.dumps({"link": {"tty": [device]}}))
    return through_service(product, path, malformed)


def over_usb(product, malformed, skin):
    if not skin:
        skip("no model of the USB interface: install the Debian packages umockdev and libumockdev-dev")
    start_board(product)
    service = product.home / "run/sphere/boards/desk/service.sock"
    return through_forward(product, "11", malformed, ("umockdev-wrapper", skin, service))


def over_tun(product, malformed, _):
    need_tun()
    start_board(product)
    product.run("link", "up")
    try:
        wait_for(lambda: [row for row in product.json("link", "status") if row["state"] == "open"])
        return suite(product, "https://192.168.35.2", malformed, "--stock")
    finally:
        product.run("link", "down", check=False)


def main(build, way, malformed="2000", skin=None):
    if way == "usb" and not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    if way == "tun":
        enter_own_network()
    with Product(build) as product:
        return {"tcp": over_tcp, "slip": over_slip, "usb": over_usb, "tun": over_tun}[way](
            product, malformed, skin)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
