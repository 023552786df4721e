#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""esptool_js.py RECOVERY_BOARD RECOVERY_CLIENT FOLDER: esptool-js and our client write to a virtual ESP32-C3 over TCP.

The tool comes from npm into FOLDER, once."""
import json
import pathlib
import shutil
import subprocess
import sys

from boards import RealClients, main

VERSION = "0.7.0"
SECOND_AT = 0x10000


def skip(reason):
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(77)


def fetch(folder):
    """Where the package is; it is no Debian package, so a machine may have no way to it."""
    package = pathlib.Path(folder) / "node_modules/esptool-js"
    if not package.is_dir():
        if not shutil.which("node") or not shutil.which("npm"):
            skip("no node or npm to run esptool-js with")
        run = subprocess.run(["npm", "install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund",
                              "--ignore-scripts", f"esptool-js@{VERSION}"], timeout=90, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode != 0:
            skip(f"npm cannot install esptool-js {VERSION}: {run.stdout.strip().splitlines()[-1:]}")
    return package


class EsptoolJs(RealClients):
    def setUp(self):
        super().setUp()
        self.boot = self.file("boot.bin", 20_001)
        self.app = self.file("app.bin", 100_000, seed=2)

    def esptool(self, board):
        _, host, port = board.place.split(":")
        script = pathlib.Path(__file__).with_name("esptool_write.mjs")
        return self.tool("node", script, PACKAGE, host, port, f"0={self.boot}",
                         f"{SECOND_AT}={self.app}")

    def our(self, board):
        return self.our_client("esp", board.place, f"0={self.boot}", f"{SECOND_AT:x}={self.app}")

    def assert_written(self, flash):
        self.assert_same(flash[:20_001], self.boot.read_bytes())
        self.assert_same(flash[SECOND_AT:SECOND_AT + 100_000], self.app.read_bytes())

    def test_the_tool_and_our_client_write_the_same(self):
        by_tool = self.board("esp")
        said = self.esptool(by_tool)
        self.assertIn("chip ESP32-C3", said)
        # Reset with the strap, before the first word.
        signals = json.loads(said.split("signals ")[1])
        self.assertEqual(signals[:3], [[0, 1], [1, 0], [0, 0]])
        by_tool.stop()
        self.assert_written(by_tool.flash)

        ours = self.board("esp")
        self.assertIn("written yes verified yes", self.our(ours))
        ours.stop()
        self.assertIn("boot", ours.said)
        self.assert_same(by_tool.flash, ours.flash)

    def test_our_client_finds_what_the_tool_wrote(self):
        board = self.board("esp")
        self.esptool(board)
        said = self.our(board)
        self.assertIn("written yes verified yes", said)
        self.assertNotIn("step: erase", said)


if __name__ == "__main__":
    PACKAGE = fetch(sys.argv[3])
    del sys.argv[3]
    main()
