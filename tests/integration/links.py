#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""links.py BUILD_DIRECTORY: a board at the end of a SLIP link, over TCP and over a serial device: the
same calls as directly, and what is said when it does not answer."""
import json
import os
import pathlib
import pty
import signal
import sys
import threading
import time
import tty
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from link_boards import free_port, package, tty_path, use_device, wait_for  # noqa: E402
from product import Product  # noqa: E402


class Links(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)

    def board(self, name, *options):
        made = self.product.json("board", "create", name, *options)
        self.product.run("board", "start", name)
        return made["deviceId"]

    def test_a_board_over_tcp(self):
        port = free_port()
        device_id = self.board("one", "--service-uart", f"tcp:{port}")
        use_device(self, self.product, f"tcp-127.0.0.1-{port}", device_id)

    def test_a_board_over_a_serial_device(self):
        device_id = self.board("one", "--service-uart", "pty")
        use_device(self, self.product, tty_path(self.product, "one"), device_id)

    def test_a_slow_line_with_its_flow_control(self):
        device_id = self.board("one", "--service-uart", "pty", "--service-baud", "460800")
        use_device(self, self.product, tty_path(self.product, "one"), device_id, 50_000)

    def test_bytes_that_get_lost_or_damaged_are_sent_again(self):
        device_id = self.board("one", "--service-uart", "pty", "--service-faults",
                               "drop=20,flip=20,seed=5")
        use_device(self, self.product, tty_path(self.product, "one"), device_id, 200_000)

    def test_configured_links_are_listed_and_chosen(self):
        ports = [free_port(), free_port()]
        ids = [self.board(f"b{i}", "--service-uart", f"tcp:{port}") for i, port in enumerate(ports)]
        config = self.product.home / "config/sphere"
        config.mkdir(parents=True)
        (config / "config.json").write_text(
            '{"link": {"tcp": ["127.0.0.1:%d", "127.0.0.1:%d"]}}' % tuple(ports))
        listed = [row["connectionPath"] for row in self.product.json("device", "list-attached")]
        for i, port in enumerate(ports):
            path = f"tcp-127.0.0.1-{port}"
            self.assertIn(path, listed)
            shown = self.product.json("device", "show-attached", "--device", path)
            self.assertEqual(shown["deviceId"], ids[i])
        self.assertEqual(self.product.error("device", "show-attached")["code"], "link.ambiguous")

    def test_a_link_has_one_user_at_a_time_and_the_others_wait(self):
        self.board("one", "--service-uart", "pty")
        path = tty_path(self.product, "one")
        started = [self.product.start("device", "show-os-version", "--device", path)
                   for _ in range(5)]
        for process in started:
            output, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, errors)
            self.assertIn("osVersion", output)

    def test_an_unplugged_board_is_told_at_once(self):
        port = free_port()
        self.board("one", "--service-uart", f"tcp:{port}", "--service-baud", "115200")
        file = package(self.product, 300_000)
        sending = self.product.start("device", "sideload", "deploy", "--image-package", file,
                                     "--device", f"tcp-127.0.0.1-{port}", "--output", "json")
        progress = ""
        while "Sending" not in progress:  # Which takes 26 s at this speed.
            line = sending.stderr.readline()
            self.assertTrue(line, progress)
            progress += line
        time.sleep(0.5)
        lock = self.product.home / "state/sphere/boards/one/lock"
        os.kill(int(lock.read_text()), signal.SIGKILL)
        begin = time.monotonic()
        output, _ = sending.communicate(timeout=30)
        self.assertEqual(sending.returncode, 1)
        self.assertIn('"link.unplugged"', output)
        self.assertLess(time.monotonic() - begin, 10)  # Less than any time limit of the link.

    def test_no_board_silence_and_noise_have_their_own_names(self):
        error = self.product.error("device", "show-os-version", "--device",
                                   f"tcp-127.0.0.1-{free_port()}")
        self.assertEqual(error["code"], "link.no-board")
        error = self.product.error("device", "show-os-version", "--device", "tty-ttyNONE9")
        self.assertEqual(error["code"], "link.no-board")
        self.assertIn("/dev/ttyNONE9", error["message"])
        for noise, code in ((b"", "link.no-answer"), (b"CCCC ROM 1.0\r\n", "link.not-slip")):
            master, slave = pty.openpty()
            tty.setraw(slave)
            path = "tty-" + os.ttyname(slave).removeprefix("/dev/").replace("/", "-")
            stop = threading.Event()

            def chatter():
                while not stop.wait(0.1):
                    os.write(master, noise)
            talker = threading.Thread(target=chatter)
            talker.start()
            self.product.run("board", "create", "ca", check=False)  # Makes the certificate authority.
            error = self.product.error("device", "show-os-version", "--device", path)
            stop.set()
            talker.join()
            os.close(master)
            os.close(slave)
            self.assertEqual(error["code"], code, error)
            self.assertTrue(error["next"])

    def test_doctor_climbs_to_what_a_board_permits(self):
        self.board("one", "--service-uart", "pty")
        path = tty_path(self.product, "one")
        config = self.product.home / "config/sphere"
        config.mkdir(parents=True)
        (config / "config.json").write_text(
            json.dumps({"link": {"tty": ["/dev/" + path.removeprefix("tty-").replace("-", "/")]}}))
        for area, link in (("link", path), ("device", "vb-one")):
            rows = {row["check"]: row for row in self.product.json("doctor", "--only", area, check=False)}
            for rung in ("identity", "version", "access"):
                self.assertEqual(rows[f"device: {link} {rung}"]["result"], "ok", rows)
        board = int((self.product.home / "state/sphere/boards/one/lock").read_text())
        agent = int(pathlib.Path(f"/proc/{board}/task/{board}/children").read_text().split()[0])
        os.kill(agent, signal.SIGSTOP)
        self.addCleanup(os.kill, agent, signal.SIGCONT)
        rows = {row["check"]: row for row in self.product.json("doctor", "--only", "device", status=1)}
        self.assertIn("gives no answer within 3 s", rows["device: vb-one identity"]["detail"])
        self.assertNotIn("device: vb-one version", rows)

    def test_a_board_whose_agent_is_gone_refuses(self):
        port = free_port()
        self.board("one", "--service-uart", f"tcp:{port}")
        path = f"tcp-127.0.0.1-{port}"
        board = int((self.product.home / "state/sphere/boards/one/lock").read_text())
        agent = wait_for(lambda: pathlib.Path(f"/proc/{board}/task/{board}/children").read_text())
        os.kill(int(agent.split()[0]), signal.SIGKILL)
        # Started again a second later: an answer in between says that the board runs.
        run = self.product.run("device", "show-os-version", "--device", path, "--output", "json",
                               check=False)
        if run.returncode:
            self.assertIn('"device.', run.stdout)
        wait_for(lambda: self.product.run("device", "show-os-version", "--device", path,
                                          check=False).returncode == 0, 20)


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main(verbosity=2)
