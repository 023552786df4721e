#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""protocols.py BUILD_DIRECTORY USB_BOARD RECOVERY_BOARD: `sphere device recover` writes sets with a recovery.json to
boards on USB (control and bulk transfers through libusb), TCP and a serial device, and finds them right the second time."""
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration/real_clients"))
from boards import Board  # noqa: E402
from product import Product, skip  # noqa: E402

SIZE = 30_000


class Protocols(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.set = self.product.home / "set"
        self.set.mkdir()
        self.flash = self.product.home / "flash"
        self.content = random.Random(3).randbytes(SIZE)

    def make_set(self, protocol, options=None, usb=None, **image):
        (self.set / "app.bin").write_bytes(self.content)
        image |= {"file": "app.bin", "sha256": hashlib.sha256(self.content).hexdigest()}
        plan = {"protocol": protocol, "images": [image]}
        plan |= {"options": options} if options else {}
        plan |= {"usb": usb} if usb else {}
        (self.set / "recovery.json").write_text(json.dumps(plan))

    def recover(self, *options, skin=(), status=0):
        command = [*skin, str(self.product.bin / "sphere"), "device", "recover", "--images", str(self.set),
                   "--output", "json", *options]
        run = subprocess.run([str(word) for word in command], env=self.product.environment, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=60, check=False)
        self.assertEqual(run.returncode, status, run.stderr)
        said = "\n".join(line for line in run.stdout.splitlines() if not line.startswith("boots "))
        return json.loads(said or run.stderr[run.stderr.index("{"):])

    def on_usb(self, protocol, *options, status=0):
        return self.recover(*options, skin=["umockdev-wrapper", USB_BOARD, protocol, self.flash], status=status)

    def check_written(self, said, at, flash):
        self.assertEqual((said["written"], said["verified"], said["skipped"]), ("yes", "yes", 0))
        self.assertEqual(flash[at:at + SIZE], self.content)

    def check_skipped(self, said):
        self.assertEqual((said["verified"], said["skipped"], said["bytes"]), ("yes", 1, 0))

    def test_fastboot_over_usb(self):
        self.make_set("fastboot", options={"hashCommand": "oem sha256"}, partition="system")
        self.check_written(self.on_usb("fastboot-usb"), 1 << 20, self.flash.read_bytes())
        self.check_skipped(self.on_usb("fastboot-usb"))
        said = self.on_usb("fastboot-usb", "--verify-only")
        self.assertEqual((said["verified"], said["bytes"]), ("yes", 0))

    def test_dfuse(self):
        self.make_set("dfu", usb=["0483:df11"], address="0x08000000")
        self.check_written(self.on_usb("dfuse"), 0, self.flash.read_bytes())
        self.check_skipped(self.on_usb("dfuse"))

    def test_dfu(self):
        self.make_set("dfu", usb=["0483:df11"])
        self.on_usb("dfu")
        self.assertEqual(self.flash.read_bytes()[:SIZE], self.content)
        self.check_skipped(self.on_usb("dfu"))

    def test_ids_that_say_too_little_choose_no_board(self):
        self.make_set("dfu")
        error = self.on_usb("dfu", status=1)["error"]
        self.assertEqual(error["code"], "link.no-board")
        self.on_usb("dfu", "--device", "11")
        self.assertEqual(self.flash.read_bytes()[:SIZE], self.content)

    def test_doctor_tells_what_waits_in_a_loader(self):
        run = subprocess.run(["umockdev-wrapper", USB_BOARD, "fastboot-usb", str(self.flash),
                              str(self.product.bin / "sphere"), "doctor", "--only", "link", "--output", "json"],
                             env=self.product.environment, text=True, check=False, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        rows = {row["check"]: row for row in json.loads(run.stdout[:run.stdout.rindex("boots ")])}
        self.assertIn("waits in its loader: fastboot", rows["usb: 11"]["detail"])
        self.assertIn("--protocol fastboot", rows["usb: 11"]["next"])

    def test_a_wrong_digest_leaves_the_board_alone(self):
        self.make_set("fastboot", partition="system")
        (self.set / "app.bin").write_bytes(self.content[:-1] + b"?")
        error = self.on_usb("fastboot-usb", status=1)["error"]
        self.assertEqual(error["code"], "recovery.image-refused")
        self.assertEqual(set(self.flash.read_bytes()), {0xFF})

    def board(self, protocol):
        board = Board(RECOVERY_BOARD, protocol, self.product.home)
        self.addCleanup(board.end)
        return board

    def test_fastboot_over_tcp(self):
        self.make_set("fastboot", options={"hashCommand": "oem sha256"}, partition="boot")
        board = self.board("fastboot-tcp")
        said = self.recover("--port", board.place)
        self.check_skipped(self.recover("--port", board.place))
        self.check_written(said, 0, board.stop().flash)

    def test_stm32_on_a_serial_device(self):
        self.make_set("stm32", options={"pageSize": 1024, "parity": "none"}, address="0x08000000")
        board = self.board("stm32")
        said = self.recover("--port", board.place)
        self.check_skipped(self.recover("--port", board.place))
        self.check_written(said, 0, board.stop().flash)


if __name__ == "__main__":
    BUILD, USB_BOARD, RECOVERY_BOARD = sys.argv[1:4]
    if not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
