#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""whole_boards.py BUILD_DIRECTORY VECTORS: boards as their user meets them: one that blinks, two at a
time, a taken port, a restart, a crash, mutable storage."""
import os
import pathlib
import shutil
import signal
import socket
import statistics
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from blink_variants import COMPONENT, Variants  # noqa: E402
from product import Product, skip  # noqa: E402
from rest import Refused, Rest  # noqa: E402


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def alive(pid):
    try:
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class WholeBoards(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.product.need_sdk()
        self.variants = Variants(self.product, VECTORS)

    def board(self, name="desk", *options):
        self.product.run("board", "create", name, *options)
        self.product.run("board", "start", name)
        return Rest(self.product.home / f"run/sphere/boards/{name}/rest.sock")

    def agent(self, name="desk"):
        pid = int((self.product.home / f"state/sphere/boards/{name}/lock").read_text())
        return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def deploy(self, package, *options):
        self.product.run("device", "sideload", "deploy", "--image-package", package, *options)

    def wait_for_edges(self, rest, pin=8, seconds=20):
        first = rest.get(f"/sphere/v1/virtual/gpio/{pin}")["edges"]
        until = time.monotonic() + seconds
        while rest.get(f"/sphere/v1/virtual/gpio/{pin}")["edges"] < first + 2:
            self.assertLess(time.monotonic(), until, f"GPIO {pin} does not toggle")
            time.sleep(0.1)

    def test_the_sdk_signed_app_blinks_and_logs(self):
        rest = self.board()
        self.deploy(self.variants.vector)
        times = [at for at, _ in self.product.edges("desk", 4.5)]
        gaps = [(b - a) / 1e6 for a, b in zip(times, times[1:])]
        self.assertGreaterEqual(len(gaps), 2)
        self.assertAlmostEqual(statistics.median(gaps), 1.0, delta=0.3)
        self.assertIn("azure-sphere-samples", self.product.output(COMPONENT))
        self.assertEqual(rest.get("/sphere/v1/virtual/gpio/8")["usedBy"], COMPONENT)
        with self.assertRaises(Refused) as refused:
            rest.request("PUT", "/sphere/v1/virtual/gpio/8", {"level": 1})
        self.assertEqual(refused.exception.status, 409)
        self.assertIn(COMPONENT, refused.exception.body["message"])
        # A deleted app leaves its pin free, as it was.
        rest.delete(COMPONENT)
        pin = rest.get("/sphere/v1/virtual/gpio/8")
        self.assertEqual((pin["usedBy"], pin["direction"]), (None, "out"))

    def test_two_boards_need_a_choice(self):
        first, second = self.board("one"), self.board("two")
        error = self.product.error("device", "sideload", "deploy", "--image-package",
                                   self.variants.vector)
        self.assertEqual(error["code"], "link.ambiguous")
        self.assertIn("one", error["value"])
        self.assertIn("two", error["value"])
        self.assertIn("--device", error["next"])
        self.assertEqual((first.images(), second.images()), ({}, {}))
        self.deploy(self.variants.vector, "--device", "two")
        self.assertEqual(first.images(), {})
        self.assertEqual(list(second.images()), [COMPONENT])

    def test_a_taken_port_is_named_and_nothing_runs(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.product.run("board", "create", "desk", "--port", str(port))
            error = self.product.error("board", "start", "desk")
            self.assertEqual(error["code"], "link.busy")
            self.assertIn(f"127.0.0.1:{port}", error["message"] + error["value"])
            self.assertEqual(self.product.json("board", "show", "desk")["state"], "stopped")
        self.product.run("board", "start", "desk")
        with socket.create_connection(("127.0.0.1", port), 5):
            pass

    def test_a_restart_is_a_new_run_with_the_same_apps(self):
        rest = self.board()
        self.deploy(self.variants.vector)
        pid = self.agent()
        for _ in range(3):
            time.sleep(1.1)  # So that the new uptime is smaller.
            before = rest.get("/status")["uptime"]
            begin = time.monotonic()
            self.product.run("device", "restart", "--wait")
            self.assertLess(time.monotonic() - begin, 20)
            self.assertLess(rest.get("/status")["uptime"], before + 1)
            self.assertNotEqual(self.agent(), pid)
            pid = self.agent()
        self.wait_for_edges(rest)

    def test_a_killed_agent_is_back_with_its_apps(self):
        rest = self.board()
        self.deploy(self.variants.vector)
        for _ in range(3):
            os.kill(self.agent(), signal.SIGKILL)
            rest.wait(20)
            self.wait_for_edges(rest)

    def test_nothing_survives_the_board(self):
        self.board()
        for with_signal in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(signal=with_signal):
                self.product.run("board", "start", "desk")
                self.deploy(self.variants.vector)
                pid = int((self.product.home / "state/sphere/boards/desk/lock").read_text())
                family = descendants(pid)
                self.assertGreaterEqual(len(family), 2)  # sphered and the app.
                os.kill(pid, with_signal)
                until = time.monotonic() + 20
                while any(map(alive, [pid, *family])) and time.monotonic() < until:
                    time.sleep(0.02)
                self.assertEqual([one for one in [pid, *family] if alive(one)], [])

    def test_a_stream_of_edges_ends_with_the_run(self):
        rest = self.board()
        self.deploy(self.variants.vector)
        process = self.product.start("board", "peripheral", "watch", "desk", "--peripheral", "gpio8")
        self.assertTrue(process.stdout.readline())  # An edge: it follows.
        rest.request("POST", "/restart", b"")
        process.communicate(timeout=30)

    def test_a_button_press_reaches_the_pin(self):
        rest = self.board()
        self.product.run("board", "peripheral", "set", "desk", "--peripheral", "gpio12", "--value",
                         "press:2000")
        self.assertEqual(rest.get("/sphere/v1/virtual/gpio/12")["level"], 0)
        until = time.monotonic() + 20
        while (state := rest.get("/sphere/v1/virtual/gpio/12"))["level"] == 0:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        self.assertEqual((state["level"], state["edges"]), (1, 2))

    def test_mutable_storage_survives_restart_and_update_but_not_removal(self):
        if not shutil.which("cmake") or not shutil.which("ninja"):
            skip("no cmake and ninja: install the Debian packages cmake and ninja-build")
        rest = self.board()
        project = self.product.home / "counter"
        self.product.run("project", "new", project, "--template", "hl-mutable-storage")
        [package] = self.product.json("project", "build", project, timeout=120)["packages"]
        component = self.product.json("image-package", "show", package)["componentId"]
        self.deploy(package)
        until = time.monotonic() + 30
        storage = self.product.home / "state/sphere/boards/desk/storage"
        files = []
        while not files and time.monotonic() < until:
            files = [path for path in storage.rglob("*") if path.is_file() and path.stat().st_size]
            time.sleep(0.1)
        self.assertTrue(files, "the app wrote no storage")
        usage = rest.get(f"/app/quota/{component}")
        self.assertEqual(usage["UsageKB"], 1)
        before = files[0].read_bytes()
        for ending in ("restart", "crash", "power"):
            with self.subTest(ending=ending):
                if ending == "restart":
                    self.product.run("device", "restart", "--wait")
                elif ending == "crash":
                    os.kill(self.agent(), signal.SIGKILL)
                    rest.wait()
                else:
                    self.product.run("board", "stop", "desk")
                    self.product.run("board", "start", "desk")
                self.assertEqual(files[0].stat().st_size, len(before))
        self.deploy(package)
        self.assertTrue(files[0].exists())
        rest.delete(component)
        self.assertFalse(files[0].exists())


if __name__ == "__main__":
    VECTORS = sys.argv.pop(2)
    BUILD = sys.argv.pop(1)
    unittest.main()
