#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""recovery_v3.py BUILD_DIRECTORY: sets for one's own boards are packed, and boards of `sphere-board rom
sphere-v3` are brought back with them over TCP and over a serial device."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402


class Rom:
    """A running `sphere-board rom sphere-v3`."""

    def __init__(self, test, *options, serial=False):
        where = ["--pty"] if serial else ["--tcp", "0"]
        self.process = subprocess.Popen(
            [str(BUILD / "bin/sphere-board"), "rom", "sphere-v3", "--key", str(test.public),
             "--identity", str(test.product.home / "identity.pem"), *where, *options],
            text=True, stdout=subprocess.PIPE)
        test.addCleanup(self.end)
        address = self.process.stdout.readline().split()[1]
        self.port = address if serial else f"tcp:{address}"

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)

    def result(self):
        """What it says after a connection."""
        return json.loads(self.process.stdout.readline())


class RecoveryV3(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        home = self.product.home
        self.folder = home / "set"
        self.folder.mkdir()
        content = random.Random(1)
        self.sizes = {"kernel.bin": 200_000, "root.img": 300_000, "tree.dtb": 5_000}
        for name, size in self.sizes.items():
            (self.folder / name).write_bytes(content.randbytes(size))
        self.public = home / "owner.pem"
        self.product.run("key", "create", "--name", "owner")
        self.product.run("key", "export", "owner", "--public", "--file", str(self.public))
        config = pathlib.Path(self.product.environment["XDG_CONFIG_HOME"]) / "sphere"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config.json").write_text(json.dumps({"trust": [str(self.public)]}))
        self.pack()

    def pack(self, board="sphere-virtual"):
        self.product.run("image-package", "pack-recovery", "--package-directory", str(self.folder), "--board",
                         board, "--key", "owner", "--output-file",
                         str(self.folder / "sphere.recoverymanifest"))

    def recover(self, rom, *options, check=True, images=None):
        return self.product.run("device", "recover", "--images", str(images or self.folder), "--port", rom.port,
                                "--no-wait-boot", "--output", "json", *options, check=check)

    def said(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["written"], said["verified"]), ("yes", "yes"))
        return said

    def reason(self, done):
        self.assertEqual(done.returncode, 1, done.stdout)
        return json.loads(done.stdout or done.stderr)["error"]["code"]

    def check_complete(self, rom):
        found = rom.result()
        self.assertTrue(found["simulated"])
        self.assertTrue(found["complete"])
        self.assertTrue(found["booted"])
        return found

    def test_an_erased_board_then_the_same_again(self):
        rom = Rom(self)
        said = self.said(self.recover(rom))
        self.assertEqual((said["images"], said["bytes"]), (3, sum(self.sizes.values())))
        first = self.check_complete(rom)
        self.assertEqual(self.said(self.recover(rom))["images"], 0)
        self.assertEqual(self.check_complete(rom), first)  # Nothing more was erased or written.
        (self.folder / "tree.dtb").write_bytes(b"new tree")
        self.pack()
        self.assertEqual(self.said(self.recover(rom))["images"], 1)
        self.check_complete(rom)

    def test_a_serial_device_of_a_modelled_rate_and_a_zip(self):
        archive = self.product.home / "set.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for file in self.folder.iterdir():
                zipped.write(file, f"set/{file.name}")
        rom = Rom(self, "--baud", "3000000", "--turnaround", "2", serial=True)
        self.assertEqual(self.said(self.recover(rom, images=archive))["images"], 3)
        self.check_complete(rom)

    def test_a_bad_line(self):
        for fault in ("drop@in:rate=20", "flip=3@out:rate=100", "dup@in:frame=9", "stray=434343@out:byte=0"):
            with self.subTest(fault):
                rom = Rom(self, "--fault", fault)
                said = self.said(self.recover(rom))
                # A session that a lost byte ended begins again, and skips what is there.
                self.assertEqual(said["images"] + said["skipped"], 3)
                self.check_complete(rom)

    def test_pulled_out_and_put_back(self):
        flash = self.product.home / "flash"
        rom = Rom(self, "--fault", "unplug@in:byte=300000", "--flash", str(flash))
        said = self.said(self.recover(rom))  # The client finds the board again by itself.
        self.assertEqual(said["images"] + said["skipped"], 3)
        self.assertFalse(rom.result()["complete"])
        self.assertLess(said["bytes"], sum(self.sizes.values()))
        self.check_complete(rom)
        self.assertEqual(flash.stat().st_size, 16 * 1024 * 1024)

    def test_nothing_is_erased_for_another_board_or_owner(self):
        rom = Rom(self, "--board", "another")
        self.assertEqual(self.reason(self.recover(rom, check=False)), "recovery.image-refused")
        self.assertEqual(rom.result()["sectorsErased"], 0)
        other = self.product.home / "other.pem"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(other)],
                       check=True)
        self.public = self.product.home / "other-public.pem"
        subprocess.run(["openssl", "ec", "-in", str(other), "-pubout", "-out", str(self.public)], check=True,
                       stderr=subprocess.DEVNULL)
        rom = Rom(self)
        self.assertEqual(self.reason(self.recover(rom, check=False)), "recovery.image-refused")
        found = rom.result()
        self.assertEqual((found["sectorsErased"], found["bytesWritten"]), (0, 0))

    def test_only_a_look(self):
        rom = Rom(self)
        self.assertEqual(self.reason(self.recover(rom, "--verify-only", check=False)), "recovery.verify")
        self.assertEqual(rom.result()["bytesWritten"], 0)


if __name__ == "__main__":
    BUILD = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    unittest.main()
