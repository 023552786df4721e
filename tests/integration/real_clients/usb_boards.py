#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usb_boards.py TOOL USB_BOARD: a Debian tool (dfu-util or fastboot) writes to a virtual board on a USB that umockdev makes up."""
import os
import shutil
import sys
import unittest

from boards import RealClients, need_tool, skip


class UsbClients(RealClients):
    def setUp(self):
        super().setUp()
        os.environ["HOME"] = str(self.folder)
        self.flash = self.folder / "flash"

    def on_usb(self, protocol, *command, status=0):
        return self.tool("umockdev-wrapper", self.programs[0], protocol, self.flash, *command,
                         status=status)


class DfuUtil(UsbClients):
    def test_a_board_is_listed(self):
        self.assertIn("[0483:df11]", self.on_usb("dfu", "dfu-util", "-l"))
        self.assertIn("@Internal Flash", self.on_usb("dfuse", "dfu-util", "-l"))

    def test_dfu(self):
        firmware = self.file("fw.bin", 100_000)
        self.on_usb("dfu", "dfu-util", "-a", "0", "-D", firmware)
        self.assert_same(self.flash.read_bytes()[:100_000], firmware.read_bytes())
        self.on_usb("dfu", "dfu-util", "-a", "0", "-U", self.folder / "read.bin")
        self.assert_same((self.folder / "read.bin").read_bytes(), self.flash.read_bytes())

    def test_dfuse(self):
        firmware = self.file("fw.bin", 50_000)
        said = self.on_usb("dfuse", "dfu-util", "-a", "0", "-s", "0x08000000:leave", "-D", firmware)
        self.assertIn("boots 1", said)
        self.assert_same(self.flash.read_bytes()[:50_000], firmware.read_bytes())


class Fastboot(UsbClients):
    def test_a_large_image_goes_in_parts(self):
        image = self.file("big.bin", 8 << 20)
        self.assertIn("0123456789", self.on_usb("fastboot-usb", "fastboot", "devices"))
        self.on_usb("fastboot-usb", "fastboot", "flash", "system", image)
        self.assert_same(self.flash.read_bytes()[1 << 20:(1 << 20) + (8 << 20)],
                         image.read_bytes())

    def test_a_restart(self):
        self.assertIn("boots 1", self.on_usb("fastboot-usb", "fastboot", "reboot"))


if __name__ == "__main__":
    CASES = {"dfu-util": DfuUtil, "fastboot": Fastboot}
    TOOL = sys.argv[1]
    need_tool(TOOL, TOOL)
    if not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    RealClients.programs = sys.argv[2:]
    SUITE = unittest.defaultTestLoader.loadTestsFromTestCase(CASES[TOOL])
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(SUITE).wasSuccessful() else 1)
