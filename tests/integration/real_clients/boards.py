# SPDX-License-Identifier: MIT
"""Virtual boards in their loaders, for tests with tools that are not ours."""
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest


def skip(reason):
    """Ends the test as skipped (or failed, where CI must not skip)."""
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(1 if os.environ.get("SPHERE_TEST_REQUIRE") else 77)


def need_tool(name, package):
    if not shutil.which(name):
        skip(f"no {name}: install the Debian package {package}")


class Board:
    """A running recovery_board; `flash` and `said` are there after stop()."""

    def __init__(self, program, protocol, folder):
        self.file = pathlib.Path(folder) / f"flash-{random.getrandbits(32):08x}"
        self.process = subprocess.Popen([program, protocol, str(self.file)], text=True,
                                        stdout=subprocess.PIPE)
        self.place = self.process.stdout.readline().split()[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.said = self.process.communicate(timeout=20)[0].split()
        if self.process.returncode != 0:
            raise AssertionError(f"recovery_board: exit {self.process.returncode}")
        self.flash = self.file.read_bytes()
        return self

    def end(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


class RealClients(unittest.TestCase):
    """One class for each tool; the programs come from the command line."""
    programs = []

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sphere-test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def board(self, protocol):
        board = Board(self.programs[0], protocol, self.folder)
        self.addCleanup(board.end)
        return board

    def file(self, name, size, seed=1):
        path = self.folder / name
        path.write_bytes(random.Random(seed).randbytes(size))
        return path

    def tool(self, *command, status=0, timeout=60):
        run = subprocess.run([str(part) for part in command], text=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                             check=False)
        self.assertEqual(run.returncode, status, run.stdout)
        return run.stdout

    def our_client(self, protocol, place, *files, status=0):
        return self.tool(self.programs[1], protocol, place, *files, status=status)

    def assert_same(self, one, other):
        self.assertEqual(hashlib.sha256(one).hexdigest(), hashlib.sha256(other).hexdigest())


def main():
    RealClients.programs = sys.argv[1:]
    unittest.main(argv=sys.argv[:1], verbosity=2)
