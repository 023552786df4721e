#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stm32flash.py RECOVERY_BOARD RECOVERY_CLIENT: Debian's stm32flash and our client write to virtual chips on a pty."""
from boards import RealClients, main, need_tool

SIZE = 20_000


class Stm32flash(RealClients):
    def setUp(self):
        super().setUp()
        self.firmware = self.file("fw.bin", SIZE)

    def stm32flash(self, board, *arguments, status=0):
        # A pty has no parity.
        return self.tool("stm32flash", "-m", "8n1", *arguments, board.place, status=status)

    def test_the_tool_and_our_client_write_the_same(self):
        by_tool = self.board("stm32")
        said = self.stm32flash(by_tool, "-w", self.firmware, "-v", "-g", "0x0")
        self.assertIn("Wrote and verified", said)
        by_tool.stop()
        ours = self.board("stm32")
        said = self.our_client("stm32", ours.place, f"08000000={self.firmware}")
        self.assertIn("written yes verified yes", said)
        ours.stop()
        for board in (by_tool, ours):
            self.assertIn("boot", board.said)
            self.assert_same(board.flash[:SIZE], self.firmware.read_bytes())
        self.assert_same(by_tool.flash, ours.flash)

    def test_the_tool_reads_what_our_client_wrote(self):
        board = self.board("stm32")
        self.our_client("stm32-stay", board.place, f"08000000={self.firmware}")
        self.stm32flash(board, "-r", self.folder / "read.bin")
        self.assert_same((self.folder / "read.bin").read_bytes()[:SIZE],
                         self.firmware.read_bytes())

    def test_our_client_finds_what_the_tool_wrote_and_goes_on(self):
        board = self.board("stm32")
        self.stm32flash(board, "-w", self.firmware)
        said = self.our_client("stm32", board.place, f"08000000={self.firmware}")
        self.assertIn("written yes verified yes", said)
        self.assertNotIn("step: erase", said)


if __name__ == "__main__":
    need_tool("stm32flash", "stm32flash")
    main()
