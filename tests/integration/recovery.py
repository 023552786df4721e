#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""recovery.py BUILD_DIRECTORY: `sphere device recover` brings boards of `sphere-board rom` back, over
TCP and over a serial device, and leaves them alone when something is wrong before."""
import json
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402
from recovery_set import LOADER, MANIFEST, RUNTIME, RecoverySet  # noqa: E402


class Rom:
    """A running `sphere-board rom mt3620`."""

    def __init__(self, test, key, *options, serial=False):
        where = ["--pty"] if serial else ["--tcp", "0"]
        self.process = subprocess.Popen(
            [str(BUILD / "bin/sphere-board"), "rom", "mt3620", "--key", str(key), *where, *options],
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


class Recovery(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.set = RecoverySet(self.product.home / "set")

    def rom(self, *options, **named):
        return Rom(self, self.set.public, "--fault", "slow-erase=500", *options, **named)

    def recover(self, rom, *options, check=True, images=None):
        return self.product.run("device", "recover", "--images", str(images or self.set.folder),
                                "--port", rom.port, "--no-wait-boot", "--output", "json", *options,
                                check=check)

    def error_of(self, done):
        return json.loads(done.stdout or done.stderr)["error"]

    def check_recovered(self, rom, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["written"], said["verified"], said["images"]), ("yes", "yes", 3))
        self.assertEqual(said["bytes"], sum(len(self.set.read(name)) for name in self.set.images))
        self.assertEqual(len(said["deviceId"]), 128)
        found = rom.result()
        self.assertTrue(found["complete"])
        self.assertTrue(found["booted"])

    def test_a_board_over_tcp_and_its_events(self):
        rom = self.rom()
        events = self.product.home / "events.jsonl"
        self.check_recovered(rom, self.recover(rom, "--events", str(events)))
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        kinds = [line["event"] for line in lines]
        self.assertEqual(kinds[:2], ["found", "preflight"])
        self.assertEqual(kinds[-1], "result")
        steps = [line["name"] for line in lines if line["event"] == "step"]
        self.assertEqual(steps, ["enter", "identify", "loader", "erase", "write", "reboot"])
        times = [line["t_ms"] for line in lines]
        self.assertEqual(times, sorted(times))
        journals = list((self.product.home / "state/sphere/recovery").iterdir())
        self.assertEqual(len(journals), 1)
        self.assertEqual(journals[0].stat().st_mode & 0o777, 0o600)
        last = json.loads(journals[0].read_text().splitlines()[-1])
        self.assertEqual((last["step"], last["verified"]), ("done", True))

    def test_a_board_over_a_serial_device_from_a_zip_archive(self):
        archive = self.set.zip(self.product.home / "mt3620an.zip")
        rom = self.rom("--once", serial=True)
        self.check_recovered(rom, self.recover(rom, images=archive))
        self.assertEqual(rom.process.wait(20), 0)

    def test_a_line_with_faults(self):
        rom = self.rom("--fault", "drop@in:byte=9000", "--fault", "flip=3@in:byte=30000",
                       "--fault", "stray=43@out:byte=0", "--fault", "nak=2@block=20")
        self.check_recovered(rom, self.recover(rom))

    def test_an_erased_board_that_is_pulled_out_is_waited_for(self):
        rom = self.rom("--fault", "unplug@in:byte=40000")
        frames = self.product.home / "frames.log"
        done = self.recover(rom, "--log-frames", str(frames))
        self.assertFalse(rom.result()["complete"])
        self.check_recovered(rom, done)
        self.assertEqual(frames.stat().st_mode & 0o777, 0o600)
        lines = [line.split() for line in frames.read_text().splitlines()]
        self.assertIn("06", {line[3] for line in lines if line[2] == "<"})
        # Parts of files are told by length and digest.
        self.assertTrue(any(line[4] == "bytes" for line in lines if line[2] == ">"))

    def test_a_board_that_is_pulled_out_before_the_erase_is_not_waited_for(self):
        rom = self.rom("--fault", "unplug@in:byte=9000")
        cut = self.recover(rom, check=False)
        self.assertEqual(cut.returncode, 1)
        self.assertEqual(self.error_of(cut)["code"], "link.unplugged")
        self.assertFalse(rom.result()["complete"])
        self.check_recovered(rom, self.recover(rom))

    def test_a_killed_recovery_is_finished_by_the_next_run(self):
        rom = self.rom("--fault", "delay=3000@in:byte=45000")
        events = self.product.home / "events.jsonl"
        run = subprocess.Popen(
            [str(self.product.bin / "sphere"), "device", "recover", "-i", str(self.set.folder),
             "--port", rom.port, "--no-wait-boot", "--events", str(events)],
            env=self.product.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while '"write"' not in (events.read_text() if events.exists() else ""):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        run.kill()
        run.wait()
        self.assertFalse(rom.result()["complete"])
        done = self.recover(rom, "--verbose")
        self.assertIn("ended in step write", done.stderr)
        self.check_recovered(rom, done)

    def test_a_set_that_is_wrong_never_reaches_the_board(self):
        rom = self.rom()
        config = self.product.home / "config/sphere"
        config.mkdir(parents=True)
        (config / "config.json").write_text(json.dumps({"trust": [str(self.set.public)]}))
        for name in (LOADER, RUNTIME, MANIFEST, *self.set.images):
            content = self.set.read(name)
            with self.subTest(name, what="bad signature"):
                self.set.spoil(name)
                refused = self.recover(rom, check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertEqual(self.error_of(refused)["code"], "recovery.image-refused")
            with self.subTest(name, what="short"):
                self.set.write(name, content[:-1])
                refused = self.recover(rom, check=False)
                self.assertEqual(self.error_of(refused)["code"], "recovery.image-refused")
            with self.subTest(name, what="missing"):
                (self.set.folder / name).unlink()
                refused = self.recover(rom, check=False)
                self.assertEqual(self.error_of(refused)["code"], "recovery.image-missing")
            self.set.write(name, content)
        rom.process.send_signal(signal.SIGTERM)
        said, _ = rom.process.communicate(timeout=20)
        self.assertEqual(said, "")  # Nobody connected.

    def test_a_dry_run_sends_nothing(self):
        plan = self.product.json("device", "recover", "--images", str(self.set.folder), "--dry-run")
        self.assertEqual((plan["images"], plan["signedByTrustedKey"]), (3, False))

    def test_a_board_that_cannot_be_seen_to_boot_is_told_apart(self):
        rom = self.rom()
        done = self.product.run("device", "recover", "--images", str(self.set.folder), "--port",
                                rom.port, "--output", "json", check=False)
        self.assertEqual(done.returncode, 1)
        error = self.error_of(done)
        self.assertEqual(error["code"], "recovery.boot")
        self.assertIn("written (yes) and verified (yes)", error["message"])
        self.assertTrue(rom.result()["complete"])

    def test_a_board_with_another_owner_refuses_the_set(self):
        stranger = RecoverySet(self.product.home / "other")
        rom = Rom(self, stranger.public)
        refused = self.recover(rom, check=False)
        self.assertEqual(self.error_of(refused)["code"], "recovery.no-loader")
        found = rom.result()
        self.assertEqual((found["complete"], found["sectorsErased"]), (False, 0))

    def test_several_boards_at_once(self):
        roms = [self.rom() for _ in range(4)]
        runs = [subprocess.Popen(
            [str(self.product.bin / "sphere"), "device", "recover", "-i", str(self.set.folder),
             "--port", rom.port, "--no-wait-boot", "--output", "json"],
            env=self.product.environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) for rom in roms]
        for rom, run in zip(roms, runs):
            said, errors = run.communicate(timeout=120)
            self.assertEqual(run.returncode, 0, errors)
            self.assertEqual(json.loads(said)["verified"], "yes")
            self.assertTrue(rom.result()["complete"])


if __name__ == "__main__":
    BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
