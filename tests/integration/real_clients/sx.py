#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sx.py RECOVERY_BOARD RECOVERY_CLIENT: lrzsz's sx and our client send to virtual loaders on a pty."""
import subprocess

from boards import RealClients, main, need_tool

SIZE = 20_000


class Sx(RealClients):
    def setUp(self):
        super().setUp()
        self.firmware = self.file("fw.bin", SIZE)

    def sx(self, board, *options):
        with open(board.place, "r+b", buffering=0) as place:
            run = subprocess.run(["sx", *options, self.firmware], stdin=place, stdout=place, stderr=subprocess.DEVNULL,
                                 timeout=60, check=False)
        return run.returncode

    def test_the_tool_and_our_client_send_the_same(self):
        for options in ([], ["-k"]):
            by_tool = self.board("xmodem")
            self.assertEqual(self.sx(by_tool, *options), 0)
            by_tool.stop()
            self.assertIn("complete", by_tool.said)
            self.assert_same(by_tool.flash[:SIZE], self.firmware.read_bytes())
        ours = self.board("xmodem")
        self.assertIn("written yes verified yes", self.our_client("xmodem", ours.place, f"fw.bin={self.firmware}"))
        self.assert_same(ours.stop().flash, by_tool.flash)

    def test_a_banner_with_the_letter_c_does_not_fool_our_client_or_the_board(self):
        ours = self.board("xmodem-banner")
        self.assertIn("written yes verified yes", self.our_client("xmodem", ours.place, f"fw.bin={self.firmware}"))
        self.assert_same(ours.stop().flash[:SIZE], self.firmware.read_bytes())
        # The tool takes those letters for a start, and may say that all went well.
        by_tool = self.board("xmodem-banner")
        self.sx(by_tool)
        by_tool.stop()
        whole = by_tool.flash[:SIZE] == self.firmware.read_bytes()
        self.assertEqual("complete" in by_tool.said, whole)


if __name__ == "__main__":
    need_tool("sx", "lrzsz")
    main()
