#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rescue.py BUILD_DIRECTORY USB_RESCUE POINTS: `sphere device recover` brings boards back over their FT4232H from
every state in which a technician may find them, and leaves them alone when something is wrong before."""
import json
import pathlib
import random
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product, skip  # noqa: E402
from recovery_set import RUNTIME, RecoverySet  # noqa: E402

PATH = "11"


class Rescue(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.set = RecoverySet(self.product.home / "set", bodies=(2188, 9000))
        self.flash = self.product.home / "flash"

    def recover(self, *options, boards=(), status=0):
        """Runs the command beside boards; returns what they and it said."""
        run = subprocess.run(
            ["umockdev-wrapper", RESCUE, str(self.set.public), str(self.flash), *map(str, boards), "--",
             str(self.product.bin / "sphere"), "device", "recover", "--images", str(self.set.folder),
             "--no-wait-boot", "--output", "json", *options],
            env=self.product.environment, text=True, stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        self.assertEqual(run.returncode, status, run.stderr)
        lines = run.stdout.splitlines()
        found = [json.loads(line) for line in lines if line.startswith('{"complete"')]
        said = "\n".join(line for line in lines if not line.startswith('{"complete"'))
        return found, json.loads(said or run.stderr[run.stderr.index("{"):])

    def rescued(self, *boards, options=()):
        found, said = self.recover(*options, boards=boards)
        self.assertEqual((said["written"], said["verified"]), ("yes", "yes"))
        self.assertTrue(found[0]["complete"])
        self.assertTrue(found[0]["booted"])
        return found[0], said

    def refused(self, code, *options, boards=()):
        found, said = self.recover(*options, boards=boards, status=1)
        self.assertEqual(said["error"]["code"], code)
        return found, said["error"]

    def test_erased_flash(self):
        self.rescued()

    def test_a_half_written_set(self):
        self.rescued()
        flash = self.flash.read_bytes()
        # Power went while the last image was written: it is cut, and the boot record is not there yet.
        used = len(flash.rstrip(b"\xff"))
        self.flash.write_bytes(b"\xff" * 4096 + flash[4096:used - 4000] + b"\xff" * (len(flash) - used + 4000))
        self.rescued()
        self.assertEqual(self.flash.read_bytes(), flash)

    def test_a_strap_that_works_at_the_third_reset(self):
        board, _ = self.rescued("--wrong-strap", 2)
        self.assertEqual(board["resets"], 4)

    def test_stray_letters_in_the_banner(self):
        self.rescued("--fault", "stray=0D0A43@out:byte=0", "--fault", "stray=434343@out:byte=4")

    def test_dropped_and_doubled_frames(self):
        self.rescued("--fault", "drop@in:byte=9000", "--fault", "dup@in:frame=20", "--fault", "drop@out:byte=300",
                     "--fault", "dup@out:frame=60", "--fault", "drop@in:frame=150")

    def test_unplugged_at_random_points(self):
        total = 17_500 + 6_500 + sum(len(self.set.read(name)) for name in self.set.images)
        generator = random.Random(5)
        for at in sorted(generator.randrange(10, total) for _ in range(POINTS)):
            with self.subTest(at=at):
                self.flash.unlink(missing_ok=True)
                run = self.recover_or_fail("--fault", f"unplug=300@in:byte={at}")
                # Before the erase a board is as it was, and the next run begins anew.
                if run["code"]:
                    self.assertEqual(run["code"], "link.unplugged")
                    self.assertEqual(run["erased"], 0)
                    self.rescued()

    def recover_or_fail(self, *boards):
        try:
            self.rescued(*boards)
            return {"code": None}
        except AssertionError:
            self.flash.unlink(missing_ok=True)
        found, error = self.refused("link.unplugged", boards=boards)
        return {"code": error["code"], "erased": found[0]["sectorsErased"]}

    def test_a_missing_file(self):
        (self.set.folder / RUNTIME).unlink()
        found, _ = self.refused("recovery.image-missing")
        self.assertEqual((found[0]["resets"], found[0]["sectorsErased"]), (0, 0))

    def test_a_bad_signature(self):
        config = self.product.home / "config/sphere"
        config.mkdir(parents=True)
        (config / "config.json").write_text(json.dumps({"trust": [str(self.set.public)]}))
        self.set.spoil(self.set.images[1])
        found, _ = self.refused("recovery.image-refused")
        self.assertEqual((found[0]["resets"], found[0]["sectorsErased"]), (0, 0))

    def test_a_user_who_may_not_open_the_board(self):
        found, error = self.refused("link.permission", boards=["--denied"])
        self.assertEqual(found[0]["resets"], 0)
        self.assertIn('ATTR{idVendor}=="0403"', error["next"])
        self.assertIn("--install-udev", error["next"])

    def test_a_permission_that_comes_late(self):
        self.rescued("--denied", "--allow", 900)

    def test_two_candidates(self):
        found, error = self.refused("link.ambiguous", boards=["--boards", 2])
        self.assertEqual([board["resets"] for board in found], [0, 0])
        self.assertIn("11, 12", json.dumps(error))

    def test_all_of_three(self):
        found, said = self.recover("--all", boards=["--boards", 3])
        self.assertEqual([board["complete"] for board in found], [True] * 3)
        self.assertEqual([row["connectionPath"] for row in said], ["11", "12", "13"])
        self.assertEqual(len({row["deviceId"] for row in said}), 3)

    def test_a_strap_that_never_works_and_two_good_boards(self):
        found, said = self.recover("--all", boards=["--boards", 3, "--wrong-strap", 1000], status=1)
        self.assertEqual([board["complete"] for board in found], [False, True, True])
        self.assertEqual([row["error"] for row in said], ["recovery.no-loader", None, None])
        self.assertEqual(found[0]["sectorsErased"], 0)


if __name__ == "__main__":
    BUILD, RESCUE, POINTS = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
