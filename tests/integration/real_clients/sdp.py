#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sdp.py TOOL RECOVERY_BOARD RECOVERY_CLIENT: imx_uart and our client start an image on a virtual i.MX6ULL on a pty.
sdp.py TOOL USB_BOARD SPHERE: uuu or imx_usb, and sphere device recover, do so over a USB that umockdev makes up."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import unittest

from boards import RealClients, need_tool, skip

MEMORY = 0x80000000
AT = 0x80010400  # Of the image vector table.
DCD = bytes.fromhex("d2001040cc000c0480002000deadbeef")


def image(size, dcd, seed=3):
    table = struct.pack("<8I", 0x402000D1, AT + 0x100, 0, AT + 0x40 if dcd else 0, AT + 0x20, AT, 0, 0)
    head = table + struct.pack("<4I", AT - 0x400, 0x400 + size, 0, 0) + bytes(16) + (DCD if dcd else b"")
    return head + random.Random(seed).randbytes(size - len(head))


class Sdp(RealClients):
    def setUp(self):
        super().setUp()
        os.environ["HOME"] = str(self.folder)
        self.ram = self.folder / "ram"

    def write_image(self, size, dcd=False):
        path = self.folder / f"image-{size}.imx"
        path.write_bytes(image(size, dcd))
        return path

    def assert_started(self, ram, path, ignore=0):
        """`ignore`: bytes of the DCD's address that a tool may clear."""
        expected = bytearray(path.read_bytes())
        got = bytearray(ram[AT - MEMORY:AT - MEMORY + len(expected)])
        expected[12:12 + ignore] = got[12:12 + ignore] = bytes(ignore)
        self.assert_same(bytes(got), bytes(expected))

    def on_usb(self, *command):
        self.ram.unlink(missing_ok=True)
        said = self.tool("umockdev-wrapper", self.programs[0], "sdp", self.ram, *command)
        return said, self.ram.read_bytes()


class Uuu(Sdp):
    def test_a_board_is_listed(self):
        self.assertIn("MX6ULL", self.on_usb("uuu", "-lsusb")[0])

    def test_an_image_is_started(self):
        # The second one needs more than one command for writing.
        for path in (self.write_image(50_000, dcd=True), self.write_image(3_000_000)):
            said, ram = self.on_usb("uuu", "SDP:", "boot", "-f", path)
            self.assertIn("boots 1", said)
            self.assert_started(ram, path)


class ImxUsb(Sdp):
    def test_an_image_is_started(self):
        path = self.write_image(20_000, dcd=True)
        said, ram = self.on_usb("imx_usb", "-v", path)
        self.assertIn("status 0x128a8a12", said)
        self.assertIn("Verify success", said)
        self.assertIn("boots 1", said)
        self.assert_started(ram, path, ignore=4)


class Ours(Sdp):
    def test_sphere_starts_the_same(self):
        folder = self.folder / "set"
        folder.mkdir()
        path = self.write_image(50_000, dcd=True)
        shutil.move(path, folder / "u-boot.imx")
        (folder / "recovery.json").write_text(json.dumps({"protocol": "sdp", "images": [{"file": "u-boot.imx"}]}))
        said, ram = self.on_usb(self.programs[1], "device", "recover", "--images", folder, "--no-wait-boot")
        self.assertIn("boots 1", said)
        self.assert_started(ram, folder / "u-boot.imx")


class ImxUart(Sdp):
    CONFIG = "/usr/share/imx-usb-loader/imx-loader.d/mx6ull_usb_work.conf"

    def test_the_tool_and_our_client_start_the_same(self):
        path = self.write_image(20_000, dcd=True)
        by_tool = self.board("sdp-uart")
        # After the jump the tool waits without end for four bytes more.
        tool = subprocess.Popen(["timeout", "60", "stdbuf", "-oL", "imx_uart", "-n", by_tool.place, self.CONFIG, path],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        said = next((line for line in tool.stdout if line.startswith("jumping to")), "")
        self.assertIn(f"{AT:#x}", said)
        time.sleep(0.5)
        tool.terminate()
        tool.communicate()
        by_tool.stop()
        self.assertIn("boot", by_tool.said)
        self.assert_started(by_tool.flash, path, ignore=4)
        ours = self.board("sdp-uart")
        self.assertIn("written yes", self.our_client("sdp-uart", ours.place, f"u-boot.imx={path}"))
        ours.stop()
        self.assertIn("boot", ours.said)
        self.assert_started(ours.flash, path)


if __name__ == "__main__":
    CASES = {"uuu": (Uuu, "uuu"), "imx_usb": (ImxUsb, "imx-usb-loader"), "ours": (Ours, None),
             "imx_uart": (ImxUart, "imx-usb-loader")}
    CASE, PACKAGE = CASES[sys.argv[1]]
    if PACKAGE:
        need_tool(sys.argv[1], PACKAGE)
    if CASE is not ImxUart and not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    RealClients.programs = sys.argv[2:]
    SUITE = unittest.defaultTestLoader.loadTestsFromTestCase(CASE)
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(SUITE).wasSuccessful() else 1)
