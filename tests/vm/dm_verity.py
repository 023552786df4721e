#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A real kernel maps packages of format v2 as they are, and refuses exactly what was damaged.

usage: dm_verity.py BUILD_DIRECTORY

The numbers that dm-verity needs are read from the package by the few lines below, not by the
product, so that a mistake of the product cannot hide itself.
"""
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import guest  # noqa: E402

BLOCK = 4096
MANIFEST = ('{"SchemaVersion": 1, "Name": "verity", "ComponentId": "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60", '
            '"EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"}')


def sections(package):
    """The metadata of a package: section id to payload."""
    size = struct.unpack_from("<I", package, len(package) - 68)[0]
    block = package[len(package) - 64 - size:len(package) - 64]
    magic, count = struct.unpack_from("<II", block)
    assert magic == 0x4D345834, hex(magic)
    result, at = {}, 8
    for _ in range(count):
        name, length = struct.unpack_from("<2sH", block, at)
        result[name] = block[at + 4:at + 4 + length]
        at += 4 + length
    return result


def tree_of(package):
    """What a kernel has to be told: data blocks, root hash and salt."""
    payload = sections(package)[b"mt"]
    blocks = struct.unpack_from("<I", payload, 8)[0]
    return blocks, payload[48:80].hex(), payload[16:48].hex()


def make_packages(sphere, work):
    """An app and a raw image of 3 MiB, packed by the product."""
    app = work / "app"
    (app / "bin").mkdir(parents=True)
    generator = random.Random(1)
    (app / "bin/app").write_bytes(generator.randbytes(150_000))
    (app / "app_manifest.json").write_text(MANIFEST, encoding="ascii")
    image = work / "raw.img"
    image.write_bytes(generator.randbytes(3 << 20))
    environment = {"HOME": str(work), "PATH": "/usr/bin:/bin"}
    packages = [work / "app.imagepackage", work / "raw.imagepackage"]
    for command in ([sphere, "image-package", "pack-application", "--package-directory", app, "--output-file",
                     packages[0], "--format", "v2", "--no-check", "--target-api-set", "15"],
                    [sphere, "image-package", "pack-image", image, "--body-format", "block", "--output-file", packages[1],
                     "--component-id", "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60", "--name", "raw"]):
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return packages


def padded(data):
    """A disk has whole sectors."""
    return data + bytes(-len(data) % 512)


def user_space_agrees(package, blocks, root):
    program = guest.Guest.find("veritysetup")
    if not program:
        print("veritysetup is missing (package cryptsetup-bin): only the kernel was asked")
        return
    subprocess.run([program, "verify", package, package, root, f"--hash-offset={blocks * BLOCK}"], check=True)


def main(build):
    kernel = guest.Guest(pathlib.Path(build) / "vm-guest")
    sphere = pathlib.Path(build) / "bin/sphere"
    work = pathlib.Path(tempfile.mkdtemp(prefix="sphere-vm"))
    try:
        program = work / "verity_map"
        subprocess.run(["gcc", "-static", "-O2", "-o", program, pathlib.Path(__file__).with_name("verity_map.c")],
                       check=True)
        disks, lines, wanted = [], [], []
        for package in make_packages(sphere, work):
            data = package.read_bytes()
            blocks, root, salt = tree_of(data)
            user_space_agrees(package, blocks, root)
            damaged_block = blocks * 2 // 3
            damaged = bytearray(data)
            damaged[damaged_block * BLOCK + 1234] ^= 0x10
            for content, good, bad, first in ((data, blocks, 0, -1), (damaged, blocks - 1, 1, damaged_block)):
                disk = work / f"disk{len(disks)}"
                disk.write_bytes(padded(bytes(content)))
                device = f"/dev/vd{'abcdef'[len(disks)]}"
                disks.append(disk)
                lines.append(f"verity_map {device} {blocks} {blocks + 1} {root} {salt}")
                wanted.append(f"MAPPED {device} good={good} bad={bad} first_bad={first}")
        output = kernel.run(work, "\n".join(lines), modules=["virtio_pci", "virtio_blk", "dm-verity"],
                            programs=[program], disks=disks)
        seen = [line for line in output if line.startswith(("MAPPED", "FAILED"))]
        if seen != wanted:
            sys.exit("\n".join(["the kernel says:", *seen, "and should say:", *wanted]))
        print("\n".join(seen))
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
