#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""interrupted_commands.py BUILD_DIRECTORY VECTORS: Ctrl-C in each long command ends it by the signal,
leaves no process of its own behind, and a board that works."""
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from blink_variants import COMPONENT, Variants  # noqa: E402
from product import Product  # noqa: E402
from rest import Rest  # noqa: E402


def processes_of(home):
    """Running processes whose command line names the test's own home."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(home) in line:
                found[int(entry.name)] = line
    return found


class InterruptedCommands(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.product.need_sdk()
        self.variants = Variants(self.product, VECTORS)
        self.product.run("board", "create", "desk")

    def start_board(self):
        self.product.run("board", "start", "desk")
        self.product.run("device", "sideload", "deploy", "--image-package", self.variants.vector)
        self.rest = Rest(self.product.home / "run/sphere/boards/desk/rest.sock")

    def interrupt(self, delay, *arguments):
        """Ctrl-C after `delay` seconds: what the command had printed until then."""
        process = self.product.start(*arguments)
        time.sleep(delay)
        return self.end(process)

    def interrupt_after(self, text, *arguments):
        """Ctrl-C after a line with `text`: what the command had printed until then."""
        process = self.product.start(*arguments)
        shown = ""
        while text not in shown:
            line = process.stdout.readline()
            self.assertTrue(line, shown)
            shown += line
        self.end(process)

    def end(self, process):
        running = process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        if running:
            self.assertEqual(process.returncode, -signal.SIGINT, errors)
        return output, errors

    def wait_for(self, condition, what, seconds=20):
        until = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.05)

    def check_board(self):
        self.assertEqual(self.rest.state(COMPONENT), "running")
        self.product.run("device", "sideload", "deploy", "--image-package", self.variants.vector)
        [board] = self.product.json("board", "list")
        self.assertEqual(board["state"], "running")

    def test_board_start(self):
        for delay in (0.01, 0.03, 0.05, 0.08, 0.12, 0.2):
            with self.subTest(delay=delay):
                self.interrupt(delay, "board", "start", "desk")
                state = self.product.json("board", "show", "desk")["state"]
                left = processes_of(self.product.home)
                if state == "stopped":  # Its lock is free; its process may be on its last way.
                    self.wait_for(lambda: not processes_of(self.product.home), left)
                self.product.run("board", "start", "desk")
                self.product.run("board", "stop", "desk")
        self.wait_for(lambda: not processes_of(self.product.home), "processes are left")

    def test_watch(self):
        self.start_board()
        before = processes_of(self.product.home).keys()
        self.interrupt_after("atUs", "board", "peripheral", "watch", "desk", "--peripheral", "gpio8",
                             "--output", "json")
        self.assertEqual(processes_of(self.product.home).keys(), before)
        for _ in range(6):  # More than may follow at a time.
            self.interrupt(0.5, "board", "peripheral", "watch", "desk")
        self.check_board()

    def test_show_output_follow(self):
        self.start_board()
        before = processes_of(self.product.home).keys()
        self.interrupt_after("azure-sphere-samples", "device", "app", "show-output", "--component-id",
                             COMPONENT, "--follow")
        self.assertEqual(processes_of(self.product.home).keys(), before)
        self.check_board()

    def test_deploy(self):
        self.start_board()
        package = self.variants.pack("large", component=COMPONENT, padding=4_000_000)
        before = processes_of(self.product.home).keys()
        installed = self.rest.images()[COMPONENT]
        large = self.product.json("image-package", "show", package)["imageId"]
        for delay in (0.05, 0.1, 0.15, 0.2, 0.3, 0.5):
            with self.subTest(delay=delay):
                self.interrupt(delay, "device", "sideload", "deploy", "--image-package", package)
                self.assertIn(self.rest.images()[COMPONENT], (installed, large))
        self.assertLessEqual(processes_of(self.product.home).keys() - before, set())
        self.check_board()

    def test_restart_wait(self):
        self.start_board()
        self.interrupt(0.1, "device", "restart", "--wait")
        self.rest.wait()
        self.wait_for(lambda: self.rest.state(COMPONENT) == "running", "the app does not run")
        self.check_board()


if __name__ == "__main__":
    VECTORS = sys.argv.pop(2)
    BUILD = sys.argv.pop(1)
    unittest.main()
