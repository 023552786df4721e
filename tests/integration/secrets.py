#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""secrets.py BUILD_DIRECTORY: passphrases typed at a terminal, and that they stay out of sight: no echo, no
trace in debugging output or argv, no core dump."""
import os
import pathlib
import pty
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PASSPHRASE = "tr0ub4dor and three"


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, words, environment, directory):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)
            os.execve(words[0], [str(word) for word in words], environment)
        self.seen = ""

    def wait_for(self, text, seconds=30):
        """Reads until `text` was shown once more than in what was read before."""
        end = time.monotonic() + seconds
        start = len(self.seen)
        while text not in self.seen[start:]:
            if time.monotonic() > end or not select.select([self.descriptor], [], [], 1)[0]:
                if time.monotonic() > end:
                    raise TimeoutError(f"no {text!r} in {self.seen!r}")
                continue
            self.seen += os.read(self.descriptor, 4096).decode()

    def type(self, line):
        os.write(self.descriptor, line.encode() + b"\n")

    def finish(self):
        while True:
            try:
                piece = os.read(self.descriptor, 4096)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece.decode()
        return os.waitpid(self.pid, 0)[1]


class Secrets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sphere-secrets")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program = pathlib.Path(BUILD) / "bin/sphere"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "TERM": "dumb"}

    def at_terminal(self, *words):
        return Terminal([self.program, *words], self.environment, self.root)

    def make_key(self):
        terminal = self.at_terminal("key", "create", "--name", "sealed", "--encrypt", "-o", "table")
        terminal.wait_for("New passphrase of the key")
        terminal.type(PASSPHRASE)
        terminal.wait_for("The same again")
        terminal.type(PASSPHRASE)
        self.assertEqual(terminal.finish(), 0, terminal.seen)
        return terminal

    def export(self):
        return self.at_terminal("key", "export", "sealed", "--plain", "--file", "out.pem", "-o", "table")

    def test_a_passphrase_is_typed_twice_and_not_shown(self):
        terminal = self.make_key()
        self.assertNotIn(PASSPHRASE, terminal.seen)
        self.assertIn("Created the key", terminal.seen)

    def test_two_different_passphrases_make_no_key(self):
        terminal = self.at_terminal("key", "create", "--name", "sealed", "--encrypt", "-o", "table")
        terminal.wait_for("New passphrase of the key")
        terminal.type(PASSPHRASE)
        terminal.wait_for("The same again")
        terminal.type("another")
        self.assertNotEqual(terminal.finish(), 0)
        self.assertIn("differ", terminal.seen)
        self.assertEqual(list(self.root.glob("**/*.pem")), [])

    def test_three_tries_at_a_terminal(self):
        self.make_key()
        terminal = self.export()
        for wrong in ("one", "two", PASSPHRASE):
            terminal.wait_for("Passphrase of the key")
            terminal.type(wrong)
        self.assertEqual(terminal.finish(), 0, terminal.seen)
        terminal = self.export()
        (self.root / "out.pem").unlink()
        for wrong in ("one", "two", "three"):
            terminal.wait_for("Passphrase of the key")
            terminal.type(wrong)
        self.assertEqual(os.waitstatus_to_exitcode(terminal.finish()), 1)
        self.assertIn("wrong passphrase for the key", terminal.seen)
        self.assertFalse((self.root / "out.pem").exists())

    def test_ctrl_c_ends_the_question(self):
        self.make_key()
        terminal = self.export()
        terminal.wait_for("Passphrase of the key")
        os.write(terminal.descriptor, b"\x03")
        self.assertEqual(os.waitstatus_to_exitcode(terminal.finish()), -signal.SIGINT)

    def test_nothing_shows_the_passphrase(self):
        self.make_key()
        terminal = self.export()
        terminal.wait_for("Passphrase of the key")
        command_line = pathlib.Path(f"/proc/{terminal.pid}/cmdline").read_bytes()
        terminal.type(PASSPHRASE)
        terminal.finish()
        self.assertNotIn(PASSPHRASE.encode(), command_line)
        (self.root / "out.pem").unlink()
        result = subprocess.run([self.program, "key", "export", "sealed", "--plain", "--file", "out.pem", "--debug"],
                                env={**self.environment, "SPHERE_LOG": "trace", "SPHERE_KEY_PASSPHRASE": PASSPHRASE},
                                cwd=self.root, capture_output=True, text=True, check=True)
        self.assertNotIn(PASSPHRASE, result.stdout + result.stderr)
        self.assertNotIn("PRIVATE KEY", result.stdout + result.stderr)

    def test_a_crash_leaves_no_core_dump(self):
        self.make_key()
        control = Terminal([shutil.which("sleep"), "60"], self.environment, self.root)
        until = time.monotonic() + 20
        while b"sleep" not in pathlib.Path(f"/proc/{control.pid}/cmdline").read_bytes():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        os.kill(control.pid, signal.SIGABRT)
        if not os.WCOREDUMP(control.finish()):
            self.skipTest("this machine makes no core dumps at all")
        terminal = self.export()
        terminal.wait_for("Passphrase of the key")
        os.kill(terminal.pid, signal.SIGABRT)
        status = terminal.finish()
        self.assertEqual(os.WTERMSIG(status), signal.SIGABRT)
        self.assertFalse(os.WCOREDUMP(status))


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
