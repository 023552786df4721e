# SPDX-License-Identifier: MIT
"""Inputs of the benches, made of installed files: real bytes, the same for one machine, no download."""
import json
import os
import pathlib
import subprocess

COMPONENT = "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60"
MANIFEST = {"SchemaVersion": 1, "Name": "bench", "ComponentId": COMPONENT, "EntryPoint": "/bin/app", "CmdArgs": [],
            "Capabilities": {}, "ApplicationType": "Default"}
LARGEST_FILE = 15 << 20  # A file inside a package of format v1 has less than 16 MiB.


def installed_files():
    """Programs and libraries, in a fixed order."""
    for folder in ("/usr/bin", "/usr/lib", "/usr/share"):
        for root, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = pathlib.Path(root) / name
                if path.is_file() and not path.is_symlink() and path.stat().st_size >= 4096:
                    yield path


def make_pool(path, size):
    """A file of `size` bytes, one installed file after the other."""
    left = size
    with open(path, "wb") as out:
        while left:
            for source in installed_files():
                try:
                    data = source.read_bytes()[:left]
                except OSError:
                    continue
                out.write(data)
                left -= len(data)
                if not left:
                    break
    return path


def piece(pool, offset, size):
    with open(pool, "rb") as file:
        file.seek(offset % max(1, pool.stat().st_size - size + 1))
        return file.read(size)


def make_app(root, size, pool, seed=0):
    """A directory of an app with `size` bytes in all, and its manifest beside it."""
    app = root / "app"
    parts, left, number = {}, size, 0
    while left > LARGEST_FILE:
        parts[f"data/part{number:03}.bin"] = LARGEST_FILE
        left -= LARGEST_FILE
        number += 1
    parts["bin/app"] = left * 6 // 10
    parts["data/table.bin"] = left * 3 // 10
    rest = left - parts["bin/app"] - parts["data/table.bin"]
    for index in range(4):
        parts[f"certs/ca{index}.pem"] = max(1, rest // 4)
    offset = seed * 40_961
    for name, length in sorted(parts.items()):
        path = app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(piece(pool, offset, length))
        offset += length
    manifest = root / "app_manifest.json"
    manifest.write_text(json.dumps(MANIFEST), encoding="utf-8")
    return app, manifest


class Keys:
    """A P-256 key with its public half and a certificate, made by openssl, and one for minisign."""

    def __init__(self, root, *, minisign):
        self.key, self.public, self.certificate = root / "key.pem", root / "public.pem", root / "certificate.pem"
        self.minisign_key, self.minisign_public = root / "minisign.key", root / "minisign.pub"
        self.key.touch(mode=0o600)
        for command in (["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key],
                        ["openssl", "ec", "-in", self.key, "-pubout", "-out", self.public],
                        ["openssl", "req", "-x509", "-new", "-key", self.key, "-subj", "/CN=bench", "-days", "3650",
                         "-out", self.certificate]):
            subprocess.run(command, check=True, capture_output=True)
        self.key.chmod(0o600)
        if minisign:
            subprocess.run(["minisign", "-G", "-W", "-s", self.minisign_key, "-p", self.minisign_public], check=True,
                           capture_output=True)
