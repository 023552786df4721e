#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""board_fault.py BUILD_DIRECTORY: virtual boards are broken with `sphere board inject-fault` and brought
back with `sphere device recover`."""
import os
import pathlib
import random
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402


class BoardFault(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.folder = self.product.home / "set"
        self.folder.mkdir()
        content = random.Random(1)
        for name, size in (("kernel.bin", 100_000), ("root.img", 250_000)):
            (self.folder / name).write_bytes(content.randbytes(size))
        self.product.run("image-package", "pack-recovery", "--package-directory", str(self.folder), "--board",
                         "mt3620-rdb", "--output-file", str(self.folder / "sphere.recoverymanifest"))
        self.product.run("board", "create", "desk")

    def break_and_start(self, *faults):
        self.product.run("board", "inject-fault", "desk", "--fault", *faults)
        board = self.product.json("board", "start", "desk")
        self.assertEqual((board["state"], board["broken"]), ("recovery", True))
        return board

    def recover(self, board, *options):
        return self.product.json("device", "recover", "--images", str(self.folder), "--port",
                                 board["recoveryPort"], "--no-wait-boot", *options)

    def check_back(self, said, board):
        self.assertEqual((said["written"], said["verified"]), ("yes", "yes"))
        self.assertEqual(said["deviceId"].lower(), board["deviceId"].lower())
        until = time.monotonic() + 30
        while (now := self.product.json("board", "show", "desk"))["state"] != "running":
            self.assertLess(time.monotonic(), until, now)
            time.sleep(0.1)
        self.assertFalse(now["broken"])
        self.product.run("board", "start", "desk")  # Waits until it answers.
        self.product.run("device", "show-attached", "--device", "vb-desk")

    def test_erased_then_half_written_then_one_bit(self):
        board = self.break_and_start("erased-flash")
        error = self.product.error("device", "show-attached", "--device", "vb-desk")
        self.assertEqual((error["code"], error["value"]), ("link.in-recovery", board["recoveryPort"]))
        attached = self.product.json("device", "list-attached")
        self.assertEqual([one["state"] for one in attached], ["recovery"])
        said = self.recover(board)
        self.assertEqual(said["images"], 2)
        self.check_back(said, board)

        board = self.break_and_start("half-written")
        said = self.recover(board)
        self.assertGreater(said["bytes"], 0)
        self.check_back(said, board)

        board = self.break_and_start("flipped-bit")
        said = self.recover(board)
        self.assertEqual(said["images"], 1)
        self.check_back(said, board)

    def test_every_fault_of_the_line_at_once(self):
        board = self.break_and_start("erased-flash", "lost-bytes", "noisy-line", "unplugged", "power-cut")
        self.check_back(self.recover(board), board)

    def test_a_broken_board_stays_broken(self):
        board = self.break_and_start("no-boot-record")
        self.product.run("board", "stop", "desk")
        self.assertEqual(self.product.json("board", "start", "desk")["state"], "recovery")
        log = (self.product.home / "state/sphere/boards/desk/board.log").read_text()
        self.assertIn("the board is broken and simulated", log)
        (self.folder / "root.img").write_bytes(b"changed")
        error = self.product.error("device", "recover", "--images", str(self.folder), "--port",
                                   board["recoveryPort"])
        self.assertEqual(error["code"], "recovery.image-refused")


if __name__ == "__main__":
    BUILD = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    unittest.main()
