#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usb_boards.py BUILD_DIRECTORY SKIN: a board at the end of its USB interface, as a user meets it: found,
used for a day's work over SLIP."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from link_boards import use_device  # noqa: E402
from product import Product, skip  # noqa: E402


class Skinned(Product):
    """Runs device and link commands with the board's service UART as a USB device."""

    def start(self, *arguments, **options):
        service = self.home / "run/sphere/boards/one/service.sock"
        if arguments[0] not in ("device", "link"):
            return super().start(*arguments, **options)
        return subprocess.Popen(
            ["umockdev-wrapper", SKIN, str(service), str(self.bin / "sphere"), *map(str, arguments)],
            env=self.environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **options)


class UsbBoards(unittest.TestCase):
    def setUp(self):
        self.product = Skinned(BUILD)
        self.addCleanup(self.product.__exit__)

    def test_a_board_on_usb(self):
        made = self.product.json("board", "create", "one")
        self.product.run("board", "start", "one")
        rows = {row["connectionPath"]: row for row in self.product.json("link", "list")}
        self.assertEqual(rows["11"]["kind"], "usb")
        self.assertEqual(rows["11"]["serial"], "AS000001")
        self.assertEqual(rows["11"]["state"], "attached")
        use_device(self, self.product, "11", made["deviceId"], 50_000)

    def test_a_board_that_does_not_answer_is_reset_by_its_line(self):
        self.product.run("board", "create", "one")
        self.product.run("board", "start", "one")
        lines = self.product.home / "lines"
        self.product.environment["USB_SKIN_LINES"] = str(lines)
        asked = self.product.json("device", "restart", "--wait", "--device", "11")
        self.assertEqual(asked["method"], "deviceApi")
        self.assertNotIn("reset", lines.read_text())
        board = int((self.product.home / "state/sphere/boards/one/lock").read_text())
        os.kill(board, signal.SIGSTOP)  # Its service UART says nothing more.
        self.addCleanup(os.kill, board, signal.SIGCONT)
        run = self.product.run("device", "restart", "--device", "11", "--output", "json")
        self.assertEqual(json.loads(run.stdout)["method"], "resetLine")
        self.assertIn("resetting it by the line", run.stderr)
        # A pulse, without the strap of recovery.
        self.assertIn("run\nreset\nrun\n", lines.read_text())
        self.assertNotIn("recovery", lines.read_text())


if __name__ == "__main__":
    BUILD, SKIN = sys.argv[1:3]
    if not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    unittest.main(argv=sys.argv[:1], verbosity=2)
