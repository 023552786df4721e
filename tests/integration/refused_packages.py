#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""refused_packages.py BUILD_DIRECTORY VECTORS: what a board must not take, it does not take: the
command says why, the installed app runs on, and the board takes the next good package."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from blink_variants import COMPONENT, Variants  # noqa: E402
from product import Product  # noqa: E402
from rest import Refused, Rest  # noqa: E402


def code(category, number):
    return category << 20 | number


def for_machine(number):
    return lambda elf: elf[:18] + number.to_bytes(2, "little") + elf[20:]


class RefusedPackages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.product = Product(BUILD)
        cls.addClassCleanup(cls.product.__exit__)
        cls.product.need_sdk()
        cls.variants = Variants(cls.product, VECTORS)
        cls.product.run("board", "create", "desk")
        cls.product.run("board", "start", "desk")
        cls.product.run("device", "sideload", "deploy", "--image-package", cls.variants.vector)
        cls.rest = Rest(cls.product.home / "run/sphere/boards/desk/rest.sock")

    def setUp(self):
        self.before = self.rest.images()
        self.assertEqual(self.before.keys(), {COMPONENT})

    def tearDown(self):
        self.assertEqual(self.rest.images(), self.before)
        self.assertEqual(self.rest.state(COMPONENT), "running")
        self.rest.stage(self.variants.vector.read_bytes())
        self.rest.install()

    def refused_at_stage(self, package, *codes):
        with self.assertRaises(Refused) as refused:
            self.rest.stage(package)
        self.assertIn(refused.exception.code, codes)
        self.assertEqual(self.rest.install(), {})  # Nothing is staged.

    def refused_at_install(self, package, *codes):
        self.rest.stage(package.read_bytes())
        with self.assertRaises(Refused) as refused:
            self.rest.install()
        self.assertIn(refused.exception.code, codes)
        self.assertEqual(self.rest.install(), {})  # The staged package is dropped.

    def test_truncated(self):
        whole = self.variants.vector.read_bytes()
        for length in (0, 1, 4096, len(whole) // 2, len(whole) - 1):
            with self.subTest(length=length):
                with self.assertRaises(Refused):
                    self.rest.stage(whole[:length])
        path = self.variants.path("truncated")
        path.write_bytes(whole[:5000])
        error = self.product.error("device", "sideload", "deploy", "--image-package", path)
        self.assertEqual(error["code"], "package.corrupt")
        self.assertTrue(error["next"])

    def test_one_bit_flipped(self):
        whole = self.variants.vector.read_bytes()
        for place in range(0, len(whole), len(whole) // 24):
            with self.subTest(place=place):
                flipped = bytearray(whole)
                flipped[place] ^= 0x10
                with self.assertRaises(Refused):
                    self.rest.stage(bytes(flipped))
        path = self.variants.path("flipped")
        path.write_bytes(whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:])
        error = self.product.error("device", "sideload", "deploy", "--image-package", path)
        self.assertIn(error["code"], ("package.corrupt", "package.untrusted"))

    def test_signed_by_a_stranger(self):
        self.product.run("key", "create", "--name", "stranger", "--use", "image")
        package = self.variants.pack("stranger", key="stranger")
        self.refused_at_stage(package.read_bytes(), code(7, 15))
        error = self.product.error("device", "sideload", "deploy", "--image-package", package)
        self.assertEqual(error["code"], "package.untrusted")

    def test_for_another_processor(self):
        for machine in (0xB7, 8, 243):  # AArch64, MIPS, RISC-V
            with self.subTest(machine=machine):
                package = self.variants.pack(f"machine{machine}", elf=for_machine(machine))
                self.refused_at_install(package, code(1, 15))
                deploy = ("device", "sideload", "deploy", "--image-package", package)
                error = self.product.error(*deploy)  # Not sent.
                self.assertEqual(error["code"], "package.executable")
                self.assertIn("--force", error["next"])
                self.assertIsNone(error.get("deviceError"))
                error = self.product.error(*deploy, "--force")
                self.assertEqual(error["deviceError"]["code"], code(1, 15))

    def test_missing_library(self):
        package = self.variants.pack(
            "lonely", elf=lambda elf: elf.replace(b"libapplibs.so.0", b"libapplibs.so.7"))
        error = self.product.error("device", "sideload", "deploy", "--image-package", package)
        self.assertEqual(error["code"], "package.executable")
        self.assertEqual(error["value"], "missing-library")
        self.assertIn("libapplibs.so.7", error["message"])

    def test_beta_api_set(self):
        package = self.variants.path("beta")
        tree = self.variants.pack("beta", Capabilities={"Gpio": [9]}).with_suffix("")
        self.product.run("image-package", "pack-application", "--package-directory", tree,
                         "--output-file", package, "--key", "developer",
                         "--target-api-set", "3+Beta1909")
        deploy = ("device", "sideload", "deploy", "--image-package", package)
        error = self.product.error(*deploy)
        self.assertEqual(error["code"], "package.unsupported")
        self.assertIn("Beta1909", error["message"])
        self.product.run(*deploy, "--force")  # It is sound and runs.
        [component] = set(self.rest.images()) - {COMPONENT}
        self.rest.delete(component)

    def test_unknown_pin(self):
        for pin in (24, 81, 1000):
            with self.subTest(pin=pin):
                package = self.variants.pack(f"pin{pin}", Capabilities={"Gpio": [pin]})
                self.refused_at_install(package, code(5, 3))
        error = self.product.error("device", "sideload", "deploy", "--image-package",
                                   self.variants.path("pin24"))
        self.assertEqual(error["deviceError"]["code"], code(5, 3))
        self.assertIn("24", error["message"] + str(error["value"]))

    def test_pin_of_another_app(self):
        package = self.variants.pack("greedy", Capabilities={"Gpio": [8]})
        self.refused_at_install(package, code(5, 4), code(1, 25))

    def test_without_the_capability(self):
        package = self.variants.pack("humble", Capabilities={"Gpio": None})
        component = json.loads((self.variants.folder / "humble/app_manifest.json").read_text())[
            "ComponentId"]
        # The manifest is sound, so the app starts; its call fails and it ends.
        self.product.run("device", "sideload", "deploy", "--image-package", package, check=False)
        self.product.wait_for_output(component, "(13)")  # EACCES
        events = self.rest.get("/sphere/v1/events")["events"]
        self.assertIn(component, [row["componentId"] for row in events
                                  if row["category"] == "SandboxViolation"], events)
        self.assertEqual(self.rest.get("/sphere/v1/virtual/gpio/8")["usedBy"], COMPONENT)
        self.rest.delete(component)

    def test_junk(self):
        for junk in (b"", b"hello", bytes(100_000), os.urandom(65536)):
            with self.assertRaises(Refused):
                self.rest.stage(junk)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_full_disk(self):
        self.product.run("board", "stop", "desk")
        apps = self.product.home / "state/sphere/boards/desk/apps"
        aside = self.product.home / "apps-aside"
        apps.rename(aside)
        apps.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", apps], check=True)
        try:
            subprocess.run(["cp", "-a", f"{aside}/.", apps], check=True)
            self.product.run("board", "start", "desk")
            package = self.variants.pack("large", padding=700_000, Capabilities={"Gpio": [9]})
            self.refused_at_stage(package.read_bytes(), code(14, 18))
            error = self.product.error("device", "sideload", "deploy", "--image-package", package)
            self.assertEqual(error["deviceError"]["code"], code(14, 18))
            self.assertEqual(self.rest.images(), self.before)
            # What fits is taken still: nothing of the large one was left behind.
            small = self.variants.pack("small", padding=200_000, Capabilities={"Gpio": [9]})
            self.product.run("device", "sideload", "deploy", "--image-package", small)
            [component] = set(self.rest.images()) - {COMPONENT}
            self.rest.delete(component)
        finally:
            self.product.run("board", "stop", "desk")
            subprocess.run(["umount", apps], check=True)
            apps.rmdir()
            aside.rename(apps)
            self.product.run("board", "start", "desk")


if __name__ == "__main__":
    VECTORS = sys.argv.pop(2)
    BUILD = sys.argv.pop(1)
    unittest.main()
