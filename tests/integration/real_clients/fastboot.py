#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fastboot.py RECOVERY_BOARD RECOVERY_CLIENT: Debian's fastboot and our client write to virtual boards over TCP."""
import os

from boards import RealClients, main, need_tool

BOOT = 1 << 20
SYSTEM = 16 << 20


class Fastboot(RealClients):
    def setUp(self):
        super().setUp()
        # Larger than max-download-size (3 MiB). The tool cannot split what is no whole number of blocks.
        self.big = self.file("big.bin", 8 << 20)
        self.small = self.file("small.bin", 70_001, seed=2)

    def fastboot(self, board, *arguments, status=0):
        # The tool keeps a lock and a configuration below HOME.
        os.environ["HOME"] = str(self.folder)
        return self.tool("fastboot", "-s", board.place, *arguments, status=status)

    def written_by_tool(self):
        board = self.board("fastboot-tcp")
        self.fastboot(board, "flash", "boot", self.small)
        self.fastboot(board, "flash", "system", self.big)
        self.fastboot(board, "reboot")
        return board.stop()

    def test_the_tool_and_our_client_write_the_same(self):
        by_tool = self.written_by_tool()
        self.assertIn("boot", by_tool.said)
        ours = self.board("fastboot-tcp")
        said = self.our_client("fastboot-tcp", ours.place, f"boot={self.small}",
                               f"system={self.big}")
        self.assertIn("written yes verified yes", said)
        ours.stop()
        self.assertIn("boot", ours.said)
        for flash in (by_tool.flash, ours.flash):
            self.assert_same(flash[:70_001], self.small.read_bytes())
            self.assert_same(flash[BOOT:BOOT + self.big.stat().st_size], self.big.read_bytes())

    def test_our_client_splits_what_is_no_whole_number_of_blocks(self):
        odd = self.file("odd.bin", (8 << 20) + 123)
        board = self.board("fastboot-tcp")
        self.our_client("fastboot-tcp", board.place, f"system={odd}")
        self.assert_same(board.stop().flash[BOOT:BOOT + odd.stat().st_size], odd.read_bytes())

    def test_our_client_finds_what_the_tool_wrote_and_writes_nothing(self):
        board = self.board("fastboot-tcp")
        self.fastboot(board, "flash", "boot", self.small)
        said = self.our_client("fastboot-tcp", board.place, f"boot={self.small}")
        self.assertIn("written yes verified yes", said)

    def test_the_tool_reads_variables_and_sees_refusals(self):
        board = self.board("fastboot-tcp")
        self.assertIn("sphere-virtual", self.fastboot(board, "getvar", "product"))
        self.assertIn("partition-size:system:0x1000000", self.fastboot(board, "getvar", "all"))
        self.fastboot(board, "erase", "boot")
        said = self.fastboot(board, "flash", "nowhere", self.small, status=1)
        self.assertIn("no such partition", said)
        self.fastboot(board, "oem", "nonsense", status=1)
        board.stop()
        self.assertEqual(set(board.flash), {0xFF})

    def test_our_client_is_refused_what_has_no_room(self):
        board = self.board("fastboot-tcp")
        said = self.our_client("fastboot-tcp", board.place, f"boot={self.big}", status=1)
        self.assertIn("room for", said)
        board.stop()
        self.assertEqual(set(board.flash), {0xFF})


if __name__ == "__main__":
    need_tool("fastboot", "fastboot")
    main()
