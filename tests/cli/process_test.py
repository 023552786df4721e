#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How the program behaves as a process: on a terminal, with signals, with nobody to read."""
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = pathlib.Path(sys.argv.pop())
SPHERE = str(BUILD / "bin/sphere")
ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 20


class Process(unittest.TestCase):
    """Each test has a home and an SDK with templates and no compiler."""

    def setUp(self):
        # pylint: disable-next=consider-using-with
        directory = tempfile.TemporaryDirectory(prefix="sphere-process-")
        self.addCleanup(directory.cleanup)
        self.home = pathlib.Path(directory.name)
        sdk = self.home / "sdk"
        (sdk / "CMakeFiles").mkdir(parents=True)
        (sdk / "VERSION").write_text("26.11.0\n", encoding="utf-8")
        (sdk / "Templates").symlink_to(ROOT / "templates")
        (sdk / "HardwareDefinitions").symlink_to(ROOT / "sysroots/HardwareDefinitions")
        (self.home / "bin").mkdir()
        self.variables = {"HOME": str(self.home), "SPHERE_SDK_DIR": str(sdk), "TERM": "xterm",
                          "PATH": f"{self.home}/bin:/usr/bin:/bin", "TMPDIR": str(self.home)}

    def on_terminal(self, *arguments, answer=b"", **variables):
        """Runs on a pseudo terminal; exit status and what it showed."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(SPHERE, [SPHERE, *arguments], self.variables | variables)
        shown, deadline = b"", time.monotonic() + LIMIT
        if answer:
            os.write(terminal, answer)
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                part = os.read(terminal, 65536)
            except OSError:  # The other side is closed.
                break
            if not part:
                break
            shown += part
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode().replace("\r\n", "\n")

    def slow_project(self):
        """A project whose cmake takes longer than any test, and says in a file that it runs."""
        subprocess.run([SPHERE, "project", "new", str(self.home / "slow"), "-o", "none"], env=self.variables,
                       check=True)
        cmake = self.home / "bin/cmake"
        cmake.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {self.home}/running\nwait\n", encoding="utf-8")
        cmake.chmod(0o755)
        return [SPHERE, "project", "build", str(self.home / "slow")]

    def wait_for_child(self):
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            try:
                return int((self.home / "running").read_text(encoding="utf-8"))
            except (FileNotFoundError, ValueError):
                time.sleep(0.02)
        self.fail("the build did not start")

    def assert_ends(self, pid):
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(") ", 1)[1][0]
            except FileNotFoundError:
                return
            if state == "Z":
                return
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        self.fail("a child outlived the program")

    def test_table_on_a_terminal_json_in_a_pipe(self):
        status, shown = self.on_terminal("show-sdk-version")
        self.assertEqual(status, 0)
        self.assertTrue(shown.startswith("SDK version: 26.11.0\n"), shown)

    def test_colour_only_where_it_is_wanted(self):
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
                                    ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True)):
            with self.subTest(variables=variables):
                _, shown = self.on_terminal("show-sdk-version", "--output", "jsonc", **variables)
                self.assertEqual("\x1b[" in shown, coloured, shown)
        _, shown = self.on_terminal("show-sdk-version", "-o", "jsonc", "--no-color")
        self.assertNotIn("\x1b", shown)

    def test_a_narrow_terminal_cuts_cells(self):
        _, shown = self.on_terminal("project", "list-templates", COLUMNS="60")
        self.assertIn("...", shown)
        self.assertLessEqual(max(len(line) for line in shown.splitlines()), 60)

    def test_a_question_is_asked_where_somebody_can_answer(self):
        command = ("board", "delete", "demo")
        subprocess.run([SPHERE, "board", "create", "demo", "-o", "none"], env=self.variables, check=True)
        board = self.home / ".local/state/sphere/boards/demo"
        status, shown = self.on_terminal(*command, answer=b"n\n")
        self.assertIn("demo", shown)
        self.assertIn("[y/N]", shown)
        self.assertNotEqual(status, 0)
        self.assertTrue(board.is_dir())
        done = subprocess.run([SPHERE, *command, "-o", "json"], env=self.variables, capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"usage.confirmation-needed", done.stdout)
        self.assertTrue(board.is_dir())
        status, shown = self.on_terminal(*command, answer=b"y\n")
        self.assertEqual(status, 0, shown)
        self.assertFalse(board.exists())

    def test_signals_end_the_program_and_its_children(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                (self.home / "running").unlink(missing_ok=True)
                command = self.slow_project() if not (self.home / "slow").exists() else [
                    SPHERE, "project", "build", str(self.home / "slow")]
                with subprocess.Popen(command, env=self.variables, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE) as process:
                    child = self.wait_for_child()
                    process.send_signal(number)
                    output, _ = process.communicate(timeout=LIMIT)
                self.assertEqual(process.returncode, -number)
                self.assertEqual(output, b"")
                self.assert_ends(child)

    def test_an_ignored_signal_stays_ignored(self):
        command = self.slow_project()
        with subprocess.Popen(command, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
            child = self.wait_for_child()
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assert_ends(child)

    def test_time_limit(self):
        command = self.slow_project()
        done = subprocess.run([*command, "--timeout", "1", "-o", "json"], env=self.variables, timeout=LIMIT,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"not done within 1 s", done.stdout)
        self.assert_ends(self.wait_for_child())

    def test_a_closed_pipe_ends_it_without_a_word(self):
        reader, writer = os.pipe()
        os.close(reader)
        with subprocess.Popen([SPHERE, "show-sdk-version"], env=self.variables, stdout=writer,
                              stderr=subprocess.PIPE) as process:
            os.close(writer)
            _, error = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, -signal.SIGPIPE)
        self.assertEqual(error, b"")

    def test_without_home_nothing_is_needed(self):
        del self.variables["HOME"]
        done = subprocess.run([SPHERE, "show-sdk-version"], env=self.variables, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_network_library_of_another_place(self):
        """A program without its library says what is missing."""
        copy = self.home / "bin/sphere"
        copy.write_bytes(pathlib.Path(SPHERE).read_bytes())
        copy.chmod(0o755)
        done = subprocess.run([copy, "device", "list-attached", "-o", "none"], env=self.variables,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("libsphere_net.so", done.stderr)
        self.assertIn("next:", done.stderr)


if __name__ == "__main__":
    unittest.main()
