#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""board_supervision.py BUILD_DIRECTORY: sphere-board starts, watches, restarts and ends sphered, with
fake_sphered.py in its place."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"


def alive(pid):
    try:
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Board:
    """A board's directory and the sphere-board that runs on it."""

    def __init__(self, home, name="desk", **config):
        self.home = home
        self.directory = home / name
        self.runtime = home / f"run-{name}"
        self.directory.mkdir(exist_ok=True)
        config = {"name": name, "boardId": "mt3620-rdb", **config}
        (self.directory / "board.json").write_text(json.dumps(config))
        self.process = None
        self.line = None

    def start(self, mode=""):
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [str(self.home / "bin/sphere-board"), "--directory", str(self.directory), "--runtime",
             str(self.runtime), "--sdk", str(self.home / "sdk"), "--ready-fd", str(write)],
            pass_fds=[write], env={**os.environ, "FAKE_SPHERED": mode}, stdin=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as ready:
            self.line = ready.read()
        return self.line

    def tell(self, command, limit=10):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(limit)
            connection.connect(str(self.runtime / "rest.sock"))
            connection.send(command.encode())
            return connection.recv(4096).decode()

    def wait_for_other(self, pid, seconds=30):
        """The process id of the next sphered, and the time of its answer."""
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            with contextlib.suppress(OSError):
                answer = self.tell("pid")
                if answer and answer != pid:
                    return answer, time.monotonic()
        raise AssertionError("no new sphered")

    def log(self):
        return (self.directory / "board.log").read_text()

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        return self.process.wait(30)


class Supervision(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sphere-test."))
        (self.home / "bin").mkdir()
        shutil.copy(pathlib.Path(BUILD) / "bin/sphere-board", self.home / "bin")
        shutil.copy(SUPPORT / "fake_sphered.py", self.home / "bin/sphered")
        os.chmod(self.home / "bin/sphered", 0o755)
        self.board = Board(self.home)

    def tearDown(self):
        if self.board.process and self.board.process.poll() is None:
            self.board.process.kill()
            self.board.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def wait_for(self, condition, seconds=20):
        until = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), until, "it does not come")
            time.sleep(0.02)

    def test_ready_then_power_off(self):
        self.assertEqual(self.board.start(), "ready\n")
        pid = int(self.board.tell("pid"))
        self.assertEqual((self.board.directory / "lock").read_text(), f"{self.board.process.pid}\n")
        self.assertEqual(self.board.stop(), 0)
        self.assertFalse(alive(pid))
        self.assertFalse((self.board.runtime / "rest.sock").exists())
        self.assertIn("is simulated", self.board.log())
        self.assertIn("emulated", self.board.log())

    def test_command_line_and_descriptors(self):
        self.board.start()
        arguments = self.board.tell("arguments")
        for part in (f"--state {self.board.directory}", f"--runtime {self.board.runtime}",
                     "--board-link 3", "--listen 4", f"--sdk-runtime {self.home / 'sdk/Runtime'}"):
            self.assertIn(part, arguments)
        pid = self.board.tell("pid")
        descriptors = {name: os.readlink(f"/proc/{pid}/fd/{name}")
                       for name in os.listdir(f"/proc/{pid}/fd") if int(name) < 5}
        self.assertEqual(descriptors["0"], "/dev/null")
        self.assertTrue(descriptors["1"].startswith("pipe:"))
        self.assertTrue(descriptors["3"].startswith("socket:"))

    def test_exit_64_restarts_at_once(self):
        self.board.start()
        for _ in range(8):  # More often than crashes are free.
            pid = self.board.tell("pid")
            with contextlib.suppress(OSError):
                self.board.tell("exit 64")
            self.board.wait_for_other(pid)
        # After 8 crashes it would have waited.
        self.assertNotIn("crashed", self.board.log())
        self.assertNotIn("it starts again in", self.board.log())

    def test_crash_restarts_and_backs_off(self):
        self.board.start()
        for _ in range(5):
            pid = self.board.tell("pid")
            os.kill(int(pid), signal.SIGKILL)
            self.board.wait_for_other(pid)
        pid = self.board.tell("pid")
        begin = time.monotonic()
        os.kill(int(pid), signal.SIGKILL)
        _, answered = self.board.wait_for_other(pid)
        self.assertGreater(answered - begin, 0.9)
        self.assertIn("crashed with signal 9; it starts again in 1 s", self.board.log())
        self.assertIsNone(self.board.process.poll())

    def test_pins_survive_sphered_and_are_free_after_it(self):
        self.board.start()
        self.assertEqual(self.board.tell("open 8"), "0")
        self.assertEqual(self.board.tell("open 8"), "16")  # EBUSY
        self.assertEqual(self.board.tell("open 24"), "19")  # ENODEV
        pid = self.board.tell("pid")
        os.kill(int(pid), signal.SIGKILL)
        self.board.wait_for_other(pid)
        self.assertEqual(self.board.tell("open 8"), "0")

    def test_nothing_that_sphered_started_outlives_it(self):
        self.board.start()
        child = int(self.board.tell("child"))
        pid = self.board.tell("pid")
        os.kill(int(pid), signal.SIGKILL)
        self.board.wait_for_other(pid)
        self.assertFalse(alive(child))
        child = int(self.board.tell("child"))
        self.board.stop()
        self.assertFalse(alive(child))

    def test_sphered_that_does_not_end_is_killed(self):
        self.board.start()
        self.board.tell("hang")
        pid = int(self.board.tell("pid"))
        begin = time.monotonic()
        self.assertEqual(self.board.stop(), 0)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertFalse(alive(pid))

    def test_sphered_ends_when_sphere_board_is_killed(self):
        self.board.start()
        pid = int(self.board.tell("pid"))
        self.board.stop(signal.SIGKILL)
        until = time.monotonic() + 20
        while alive(pid) and time.monotonic() < until:
            time.sleep(0.01)
        self.assertFalse(alive(pid))
        self.assertEqual(self.board.start(), "ready\n")  # The socket file was left behind.

    def test_ctrl_c_is_power_off(self):
        self.board.start()
        pid = int(self.board.tell("pid"))
        self.assertEqual(self.board.stop(signal.SIGINT), 0)
        self.assertFalse(alive(pid))

    def test_failing_sphered_is_an_error_with_its_last_line(self):
        line = self.board.start("fail")
        self.assertEqual(line, "error: sphered ended with exit status 3: the state folder is broken\n")
        self.assertEqual(self.board.process.wait(10), 1)

    def test_mute_sphered_can_be_powered_off(self):
        process = subprocess.Popen(
            [str(self.home / "bin/sphere-board"), "--directory", str(self.board.directory),
             "--runtime", str(self.board.runtime)],
            env={**os.environ, "FAKE_SPHERED": "mute"}, stdout=subprocess.PIPE, text=True)
        # Once it has a child it waits for signals, too.
        self.wait_for(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text)
        process.terminate()
        output, _ = process.communicate(timeout=10)
        self.assertEqual((process.returncode, output), (0, ""))

    def test_a_second_start_is_refused(self):
        self.board.start()
        second = Board(self.home)
        self.assertEqual(second.start(), f"error: the board in {self.board.directory} runs already "
                                         f"(process {self.board.process.pid})\n")
        self.assertEqual(second.process.wait(10), 1)
        self.assertTrue(self.board.tell("pid"))

    def test_a_taken_port_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            board = Board(self.home, "other", port=port)
            line = board.start()
            self.assertTrue(line.startswith("error: "))
            self.assertIn(f"127.0.0.1:{port}", line)
            self.assertEqual(line.count("\n"), 1)
            self.assertEqual(board.process.wait(10), 1)

    def test_the_port_leads_to_sphered(self):
        port = free_port()
        self.board = Board(self.home, port=port)
        self.assertEqual(self.board.start(), "ready\n")
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.send(b"pid")
            self.assertEqual(connection.recv(100).decode(), self.board.tell("pid"))

    def test_broken_directories_are_errors(self):
        for text, part in (("{", "board.json"), ('{"name": "x", "boardId": "no-such"}', "no-such")):
            (self.board.directory / "board.json").write_text(text)
            self.assertIn(part, self.board.start())
            self.assertEqual(self.board.process.wait(10), 1)
        (self.home / "bin/sphered").unlink()
        self.board = Board(self.home)
        self.assertRegex(self.board.start(), "^error: .*sphered")

    def test_output_goes_to_the_log(self):
        self.board.start()
        self.board.tell("say hello from sphered")
        self.wait_for(lambda: "\nhello from sphered\n" in self.board.log())

    def test_an_open_pin_costs_no_processor_time(self):
        self.board.start()
        self.board.tell("open 8")
        ticks = [sum(map(int, pathlib.Path(f"/proc/{self.board.process.pid}/stat").read_text()
                         .rpartition(")")[2].split()[11:13])) for _ in range(2) if not time.sleep(1)]
        self.assertLess(ticks[1] - ticks[0], 5)


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
