# SPDX-License-Identifier: MIT
"""Recovery sets of virtual MT3620 boards, signed with a key of their own through `openssl`."""
import hashlib
import pathlib
import random
import struct
import subprocess
import uuid
import zipfile

LOADER, RUNTIME = "recovery-1bl-rtm.bin", "recovery-runtime.bin"
MANIFEST = "recovery.imagemanifest"
TAIL = 188


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


def _raw(der):
    """r | s of a DER signature."""
    def take(at):
        size = der[at + 1]
        return der[at + 2:at + 2 + size], at + 2 + size
    r, at = take(2)
    s, _ = take(at)
    return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (r, s))


class RecoverySet:
    def __init__(self, folder, bodies=(2188, 26672, 5000)):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.private = self.folder.with_suffix(".key")
        self.public = self.folder.with_suffix(".pem")
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.private))
        _openssl("ec", "-in", str(self.private), "-pubout", "-out", str(self.public))
        spki = _openssl("ec", "-in", str(self.private), "-pubout", "-outform", "DER")
        self.thumbprint = hashlib.sha1(spki).digest()
        self.images = []
        self.write(LOADER, self.package(16384 - TAIL, 1, 100, 100))
        self.write(RUNTIME, self.package(6000, 2, 101, 101))
        entries = b""
        for number, size in enumerate(bodies, 1):
            kind = 19 if number == 1 else 9
            image, component = self.guid(number), self.guid(number + 50)
            entries += struct.pack("<16s16sHHII32x", image.bytes_le, component.bytes_le, kind, 1,
                                   size + TAIL, 0)
            name = image.hex + ".bin"
            self.images.append(name)
            self.write(name, self.package(size, kind, number + 50, number))
        head = struct.pack("<HHHHQ", 3, len(bodies), 16, 76, 1588000000)
        self.write(MANIFEST, self.signed(head + entries, 26, 200, 201))

    @staticmethod
    def guid(number):
        return uuid.UUID(f"11111111-2222-4333-8444-555555555{number:03d}")

    def package(self, size, kind, component, image):
        return self.signed(random.Random(size).randbytes(size), kind, component, image)

    def signed(self, body, kind, component, image):
        sections = b"ID" + struct.pack("<HHH16s16s", 36, kind, 0, self.guid(component).bytes_le,
                                       self.guid(image).bytes_le)
        sections += b"SG" + struct.pack("<H20sI", 24, self.thumbprint, 1)
        sections += b"DB" + struct.pack("<HQ32s", 40, 1588000000, b"recovery test")
        block = struct.pack("<II", 0x4D345834, 3) + sections
        block += struct.pack("<I", len(block) + 4)
        signature = _openssl("dgst", "-sha256", "-sign", str(self.private), data=body + block)
        return body + block + _raw(signature)

    def write(self, name, content):
        (self.folder / name).write_bytes(content)

    def read(self, name):
        return (self.folder / name).read_bytes()

    def spoil(self, name, at=10):
        content = bytearray(self.read(name))
        content[at] ^= 1
        self.write(name, bytes(content))

    def zip(self, path, inside="mt3620an/"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(self.folder.iterdir()):
                archive.write(file, inside + file.name)
        return path
