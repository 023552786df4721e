# SPDX-License-Identifier: MIT
"""Boards with a service UART, and the calls that must work over every link to them."""
import json
import os
import pathlib
import socket
import struct
import time
import uuid


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tty_path(product, board):
    """The connection path of a board's service UART that is a pty."""
    target = os.readlink(product.home / f"run/sphere/boards/{board}/service.tty")
    return "tty-" + target.removeprefix("/dev/").replace("/", "-")


def elf():
    """The least that is an ARM program: a header and one segment."""
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 40, 1, 0x10054, 52, 0,
                         0x5000400, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<8I", 1, 0, 0x10000, 0x10000, 88, 88, 5, 0x1000)
    return header + segment + struct.pack("<I", 0xEAFFFFFE)


def package(product, size, name="linked"):
    """A package of about `size` bytes that no compression makes shorter. Its program is not for running."""
    tree = product.home / f"tree-{name}"
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    (tree / "bin/app").write_bytes(elf())
    (tree / "filler").write_bytes(os.urandom(size))
    (tree / "app_manifest.json").write_text(json.dumps({
        "SchemaVersion": 1, "Name": name, "EntryPoint": "/bin/app", "CmdArgs": [],
        "ComponentId": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "Capabilities": {}, "ApplicationType": "Default"}))
    product.run("key", "create", "--name", "developer", "--use", "image", check=False)
    file = product.home / f"{name}.imagepackage"
    product.run("image-package", "pack-application", "--package-directory", tree, "--output-file",
                file, "--no-check", "--executables", "bin/app")
    return file


def use_device(test, product, path, device_id, size=100_000):
    """The calls of a day's work: who are you, deploy, list, delete, restart."""
    device = ("--device", path)
    shown = product.json("device", "show-attached", *device)
    test.assertEqual(shown["deviceId"], device_id)
    test.assertEqual(shown["connectionPath"], path)
    file = package(product, size, f"app{size}")
    deployed = product.json("device", "sideload", "deploy", "--image-package", file,
                            "--manual-start", *device)
    listed = product.json("device", "image", "list-installed", *device)
    test.assertIn(deployed["componentId"], [row["componentId"] for row in listed])
    product.run("device", "sideload", "delete", "--component-id", deployed["componentId"], *device)
    product.run("device", "restart", "--wait", *device)
    test.assertEqual(product.json("device", "show-os-version", *device)["osVersion"],
                     shown["osVersion"])


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
    return result


__all__ = ["free_port", "package", "pathlib", "tty_path", "use_device", "wait_for"]
