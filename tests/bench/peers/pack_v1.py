#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs a directory into a signed package v1, as a script of a hundred lines would do it.

usage: pack_v1.py DIRECTORY MANIFEST KEY.pem OUTPUT COMPONENT_ID API_SET

A peer for tests/bench: python3 and cryptography, no checks of its input. Its output verifies with
`sphere image-package verify`.
"""
import hashlib
import json
import os
import struct
import sys
import time
import uuid
import zlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

PAGE = 4096
DIRECTORY, FILE, EXECUTABLE = 0o040755, 0o101644, 0o101755


def padded(data, unit):
    return data + bytes(-len(data) % unit)


def read_tree(path):
    """Names to bytes (files) or trees (directories)."""
    tree = {}
    for entry in os.scandir(path):
        name = os.fsencode(entry.name)
        if entry.is_dir():
            tree[name] = read_tree(entry.path)
        else:
            with open(entry.path, "rb") as file:
                tree[name] = file.read()
    return tree


def directory_size(tree):
    return sum(12 + len(padded(name, 4)) for name in tree)


class Writer:
    """Lays a tree out as ASXipFS."""

    def __init__(self, tree, executables):
        self.executables = executables
        self.inodes = 1
        self.directories = bytearray()
        self.offsets = {}
        end = self.place_directories(tree, b"", 76)
        self.data = []
        self.position = -(-end // PAGE) * PAGE
        first_page = self.position
        self.place_files(tree, b"")
        self.write_directories(tree, b"")
        head = struct.pack("<IIII16sIIII16s", 0x28CD3D45, self.position, 3, 0, b"Compressed ROMFS", 0, 0, 0,
                           self.inodes, b"Compressed")
        head += self.inode(DIRECTORY, directory_size(tree), b"", 76)
        body = bytearray(padded(head + bytes(self.directories), first_page) + b"".join(self.data))
        struct.pack_into("<I", body, 32, zlib.crc32(body))
        self.body = bytes(body)

    def place_directories(self, tree, path, at):
        self.offsets[path] = at if tree else 0
        at += directory_size(tree)
        for name in sorted(tree):
            self.inodes += 1
            if isinstance(tree[name], dict):
                at = self.place_directories(tree[name], path + b"/" + name, at)
        return at

    def place_files(self, tree, path):
        for name in sorted(tree):
            content, full = tree[name], path + b"/" + name
            if isinstance(content, dict):
                self.place_files(content, full)
            else:
                self.offsets[full] = self.position if content else 0
                self.data.append(padded(content, PAGE))
                self.position += len(self.data[-1])

    def write_directories(self, tree, path):
        for name in sorted(tree):
            content, full = tree[name], path + b"/" + name
            if isinstance(content, dict):
                mode, size = DIRECTORY, directory_size(content)
            else:
                mode, size = EXECUTABLE if full in self.executables else FILE, len(content)
            self.directories += self.inode(mode, size, name, self.offsets[full])
        for name in sorted(tree):
            if isinstance(tree[name], dict):
                self.write_directories(tree[name], path + b"/" + name)

    @staticmethod
    def inode(mode, size, name, offset):
        name = padded(name, 4)
        return struct.pack("<HHII", mode, 0, size, len(name) // 4 | offset // 4 << 6) + name


def section(identifier, payload):
    return identifier + struct.pack("<H", len(payload)) + payload


def metadata(manifest, component, api_set, thumbprint):
    sections = [
        section(b"ID", struct.pack("<HH", 10, 0) + uuid.UUID(component).bytes_le + uuid.uuid4().bytes_le),
        section(b"SG", thumbprint + struct.pack("<I", 1)),
        section(b"DB", struct.pack("<Q32s", int(time.time()), manifest["Name"].encode()[:31])),
        section(b"TP", struct.pack("<I", 2)),
        section(b"ND", struct.pack("<III", 1, api_set, 3)),
    ]
    block = struct.pack("<II", 0x4D345834, len(sections)) + b"".join(sections)
    return block + struct.pack("<I", len(block) + 4)


def main(directory, manifest_path, key_path, output, component, api_set):
    with open(manifest_path, encoding="utf-8") as file:
        manifest = json.load(file)
    manifest["TargetApplicationRuntimeVersion"] = int(api_set)
    with open(key_path, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    spki = key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)
    tree = read_tree(directory)
    tree[b"app_manifest.json"] = json.dumps(manifest, separators=(",", ":")).encode()
    body = Writer(tree, {manifest["EntryPoint"].encode()}).body
    signed = body + metadata(manifest, component, int(api_set), hashlib.sha1(spki).digest())
    digest = hashlib.sha256(signed).digest()
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    with open(output + ".new", "wb") as file:
        file.write(signed + r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    os.replace(output + ".new", output)


if __name__ == "__main__":
    main(*sys.argv[1:])
