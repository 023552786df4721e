#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""qdl.py USB_BOARD SPHERE: Debian's qdl and sphere device recover write to a virtual Qualcomm board on a USB that umockdev makes up."""
import json
import os
import random
import shutil
import struct

from boards import RealClients, main, need_tool, skip

SECTOR = 512
SIZE = 8 << 20
SECOND_AT = 20000  # Sectors.


class Qdl(RealClients):
    def setUp(self):
        super().setUp()
        os.environ["HOME"] = str(self.folder)
        self.flash = self.folder / "flash"
        self.set = self.folder / "set"
        self.set.mkdir()
        loader = struct.pack("<10I", 7, 3, 0, 0x400000, 16_444, 0, 0, 0, 0, 0) + random.Random(4).randbytes(16_444)
        self.images = [(0, self.write("system.img", random.Random(1).randbytes(SIZE))),
                       (SECOND_AT, self.write("boot.img", random.Random(2).randbytes(5_001)))]
        self.write("prog.mbn", loader)

    def write(self, name, data):
        (self.set / name).write_bytes(data)
        return name

    def size_of(self, name):
        return -(-(self.set / name).stat().st_size // SECTOR)

    def on_usb(self, *command, status=0):
        return self.tool("umockdev-wrapper", self.programs[0], "edl", self.flash, *command, status=status, timeout=110)

    def assert_written(self):
        flash = self.flash.read_bytes()
        for start, name in self.images:
            data = (self.set / name).read_bytes()
            self.assert_same(flash[start * SECTOR:start * SECTOR + len(data)], data)
        return flash

    def ours(self):
        rows = [{"file": "prog.mbn", "role": "programmer"}]
        rows += [{"file": name, "address": start * SECTOR} for start, name in self.images]
        self.write("recovery.json", json.dumps({"protocol": "firehose", "images": rows}).encode())
        said = self.on_usb(self.programs[1], "device", "recover", "--images", self.set, "--no-wait-boot")
        self.assertIn("boots 1", said)
        return said

    def test_the_tool_and_sphere_write_the_same(self):
        rows = "".join(
            f'<program SECTOR_SIZE_IN_BYTES="{SECTOR}" file_sector_offset="0" filename="{name}" label="l" '
            f'num_partition_sectors="{self.size_of(name)}" physical_partition_number="0" sparse="false" '
            f'start_sector="{start}"/>' for start, name in self.images)
        self.write("rawprogram0.xml", f'<?xml version="1.0" ?><data>{rows}</data>'.encode())
        # A patch of the last sector.
        self.write("patch0.xml", (
            f'<?xml version="1.0" ?><patches><patch SECTOR_SIZE_IN_BYTES="{SECTOR}" byte_offset="16" filename="DISK" '
            'physical_partition_number="0" size_in_bytes="4" start_sector="NUM_DISK_SECTORS-1." value="305419896" '
            'what="test"/></patches>').encode())
        os.chdir(self.set)
        said = self.on_usb("qdl", "--storage", "emmc", "prog.mbn", "rawprogram0.xml", "patch0.xml")
        self.assertIn("boots 1", said)
        by_tool = self.assert_written()
        self.assertEqual(by_tool[-SECTOR + 16:-SECTOR + 20], bytes.fromhex("78563412"))

        # Our client finds the same and writes nothing, and on another board writes the same.
        self.ours()
        self.assertEqual(self.flash.read_bytes(), by_tool)
        self.flash.unlink()
        self.ours()
        self.assert_same(self.assert_written()[:-SECTOR], by_tool[:-SECTOR])


if __name__ == "__main__":
    need_tool("qdl", "qdl")
    if not shutil.which("umockdev-wrapper"):
        skip("no umockdev-wrapper: install the Debian package umockdev")
    main()
