# SPDX-License-Identifier: MIT
"""Rows for image packages: packing an app, and one small package from start to exit."""
import json
import os
import pathlib
import shutil
import struct
import subprocess

import measure

COMPONENT = "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60"
PYTHON = "/usr/bin/python3"  # The one whose packages come from Debian.


def sample_bytes(size, seed):
    """Real bytes of installed programs, the same for one seed on one machine."""
    data = b""
    for program in ("bash", "openssl", "cmake", "git"):
        path = shutil.which(program)
        if path:
            data += pathlib.Path(path).read_bytes()
        if len(data) >= size + seed:
            return data[seed:seed + size]
    return (data * (size // max(len(data), 1) + 2))[seed:seed + size]


def make_app(root, size):
    """A directory with a program, certificates and data of `size` bytes in all, and its manifest."""
    app = root / "app"
    parts = {"bin/app": size * 6 // 10, "data/table.bin": size * 3 // 10}
    rest = size - sum(parts.values())
    for index in range(8):
        parts[f"certs/ca{index}.pem"] = rest // 8
    for seed, (name, length) in enumerate(sorted(parts.items())):
        path = app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample_bytes(length, seed * 4096))
    manifest = root / "app_manifest.json"
    manifest.write_text(json.dumps({
        "SchemaVersion": 1, "Name": "bench", "ComponentId": COMPONENT, "EntryPoint": "/bin/app", "CmdArgs": [],
        "Capabilities": {}, "ApplicationType": "Default"}), encoding="utf-8")
    return app, manifest


def make_key(root):
    key, public = root / "key.pem", root / "public.pem"
    key.touch(mode=0o600)
    for command in (["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
                    ["openssl", "ec", "-in", key, "-pubout", "-out", public]):
        subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    return key, public


def openssl_verifies(package, public):
    """Whether openssl, which knows nothing of packages, finds the signature good."""
    data = pathlib.Path(package).read_bytes()

    def integer(raw):
        raw = raw.lstrip(b"\0") or b"\0"
        raw = b"\0" + raw if raw[0] & 0x80 else raw
        return b"\x02" + bytes([len(raw)]) + raw

    numbers = integer(data[-64:-32]) + integer(data[-32:])
    signature = pathlib.Path(f"{package}.sig")
    signature.write_bytes(b"\x30" + bytes([len(numbers)]) + numbers)
    signed = pathlib.Path(f"{package}.signed")
    signed.write_bytes(data[:-64])
    result = subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, signed],
                            capture_output=True)
    return result.returncode == 0


def sphere_verifies(sphere, package, public):
    result = subprocess.run([sphere, "image-package", "verify", package, "--trust", public, "-o", "none"],
                            capture_output=True)
    return result.returncode == 0


def has_cryptography():
    return subprocess.run([PYTHON, "-c", "import cryptography"], capture_output=True).returncode == 0


def remove(*paths):
    """Writing rows start without their output, and with nothing left to write back."""
    def before():
        for path in paths:
            pathlib.Path(path).unlink(missing_ok=True)
        os.sync()
    return before


def pack_rows(sphere, root, size, peers):
    app, manifest = make_app(root, size)
    key, public = make_key(root)
    ours, synced, script, cramfs, copy = (root / name for name in ("ours", "synced", "script", "cramfs", "copy"))
    pack = [sphere, "image-package", "pack-application", "--package-directory", app, "--application-manifest",
            manifest, "--key", key, "--target-api-set", "15", "--no-check", "-o", "none", "--output-file"]
    tar = ["tar", "-C", app, "-cf", copy, "."]
    return [
        measure.Row("sphere image-package pack-application --no-sync", [*pack, ours, "--no-sync"],
                    before=remove(ours),
                    check=lambda: openssl_verifies(ours, public) and sphere_verifies(sphere, ours, public)),
        measure.Row("the same, synced (default)", [*pack, synced], before=remove(synced),
                    check=lambda: openssl_verifies(synced, public)),
        measure.Row("python3 + cryptography, pack_v1.py",
                    [PYTHON, "-B", peers / "pack_v1.py", app, manifest, key, script, COMPONENT, "15"],
                    needs=has_cryptography(), package="python3-cryptography", before=remove(script),
                    check=lambda: openssl_verifies(script, public) and sphere_verifies(sphere, script, public)),
        measure.Row("mkfs.cramfs", ["mkfs.cramfs", app, cramfs], note="compresses; unsigned",
                    needs=shutil.which("mkfs.cramfs"), package="util-linux-extra", before=remove(cramfs),
                    check=lambda: struct.unpack("<I", cramfs.read_bytes()[:4])[0] == 0x28CD3D45),
        measure.Row("tar", tar, note="copy of the same files; no hash, unsigned", before=remove(copy)),
    ]


def small_rows(sphere, root, size):
    app, manifest = make_app(root, size)
    key, public = make_key(root)
    package = root / "small.imagepackage"
    subprocess.run([sphere, "image-package", "pack-application", "--package-directory", app,
                    "--application-manifest", manifest, "--key", key, "--target-api-set", "15", "--no-check", "-o",
                    "none", "--output-file", package], check=True)
    environment = {**os.environ, "HOME": str(root), "XDG_DATA_HOME": str(root / "data")}
    return [
        measure.Row("openssl dgst -sha256", ["openssl", "dgst", "-sha256", package], note="hash only",
                    needs=shutil.which("openssl"), package="openssl"),
        measure.Row("sphere image-package verify --trust",
                    [sphere, "image-package", "verify", package, "--trust", public, "-o", "none"],
                    note="every check, hash, signature", environment=environment),
        measure.Row("sphere image-package show", [sphere, "image-package", "show", package, "-o", "table"],
                    note="every check, hash of file and of each file in it", environment=environment),
        measure.Row("sphere image-package sign",
                    [sphere, "image-package", "sign", package, "--key", key, "--output-file", root / "signed",
                     "--no-sync", "-o", "none"], note="every check, hash, signature, new file",
                    before=remove(root / "signed"), check=lambda: openssl_verifies(root / "signed", public),
                    environment=environment),
    ]


def run(sphere, root, rounds, peers):
    """Prints both tables; gives whether every row that is present succeeded."""
    tables = []
    for title, make, size in (
            ("Pack and sign an app of 1 MiB", lambda r, s: pack_rows(sphere, r, s, peers), 1 << 20),
            ("One package of 16 KiB, start to exit", lambda r, s: small_rows(sphere, r, s), 8 << 10)):
        place = root / str(size)
        place.mkdir()
        rows = make(place, size)
        measure.measure(rows, rounds)
        tables.append(rows)
        print(f"\n### {title}\n")
        print("\n".join(measure.table(rows)))
    return not any(row.failed for rows in tables for row in rows)
