#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tun.py BUILD_DIRECTORY: the network interface of `sphere link up`, with clients that know nothing of
Sphere, in a network namespace of its own."""
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from link_boards import wait_for  # noqa: E402
from network import enter_own_network, need_tun  # noqa: E402
from product import Product  # noqa: E402


class Tun(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.ids = []
        for name in ("one", "two"):
            self.ids.append(self.product.json("board", "create", name)["deviceId"])
            self.product.run("board", "start", name)
        self.ca = self.product.home / "data/sphere/device-api-ca.pem"
        self.product.run("link", "up")
        self.addCleanup(self.product.run, "link", "down", check=False)
        wait_for(lambda: len(self.boards()) == 2)

    def boards(self):
        return {row["connectionPath"]: row["ipAddress"] for row in self.product.json("link", "status")
                if row["state"] == "open"}

    def get(self, address, path):
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = address == "192.168.35.2"  # The name of every board on its wire.
        with urllib.request.urlopen(f"https://{address}{path}", timeout=10, context=context) as answer:
            return json.loads(answer.read())

    def test_stock_clients_reach_the_boards(self):
        addresses = self.boards()
        self.assertEqual(sorted(addresses.values()), ["192.168.35.2", "192.168.35.3"])
        for path, device_id in zip(("vb-one", "vb-two"), self.ids):
            state = self.get(addresses[path], "/device/security_state")
            self.assertEqual(state["deviceIdentifier"].lower(), device_id)
        if shutil.which("curl"):
            run = subprocess.run(["curl", "-sS", "--cacert", self.ca, "https://192.168.35.2/status"],
                                 capture_output=True, text=True, timeout=20)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("uptime", json.loads(run.stdout))

    def test_an_address_without_a_board_refuses_at_once(self):
        begin = time.monotonic()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("192.168.35.77", 443), timeout=5)
        self.assertLess(time.monotonic() - begin, 4)  # Of the 5 that silence takes.

    def test_a_large_upload_and_the_commands_share_the_wire(self):
        context = ssl.create_default_context(cafile=self.ca)
        body = os.urandom(300_000)
        request = urllib.request.Request("https://192.168.35.2/update/stage", data=body, method="PUT",
                                         headers={"Content-Type": "application/octet-stream"})
        # No package: what counts is that it arrived and was read.
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30, context=context)
        self.assertGreaterEqual(refused.exception.code, 400)
        self.product.run("device", "show-os-version", "--device", "vb-one")

    def test_the_interface_goes_with_down(self):
        names = [name for _, name in socket.if_nameindex()]
        self.assertIn("sl0", names)
        self.product.run("link", "down")
        wait_for(lambda: "sl0" not in [name for _, name in socket.if_nameindex()])


if __name__ == "__main__":
    enter_own_network()
    BUILD = sys.argv[1]
    need_tun()
    unittest.main(argv=sys.argv[:1], verbosity=2)
