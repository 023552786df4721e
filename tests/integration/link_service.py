#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""link_service.py BUILD_DIRECTORY: sphere link serve with several boards: shared use, enumeration,
forwarding, traces, boards that go and come back."""
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from link_boards import free_port, use_device, wait_for  # noqa: E402
from product import Product  # noqa: E402


class LinkService(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.port = free_port()
        self.tcp = [free_port(), free_port()]
        config = self.product.home / "config/sphere"
        config.mkdir(parents=True)
        (config / "config.json").write_text(
            json.dumps({"link": {"tcp": [f"127.0.0.1:{port}" for port in self.tcp]}}))

    def serve(self):
        self.service = self.product.start("link", "serve", "--port", self.port)
        self.addCleanup(self.end_service)
        wait_for(lambda: (self.product.home / "run/sphere/link.sock").exists(), 30)

    def end_service(self):
        if self.service.poll() is None:
            self.service.send_signal(signal.SIGINT)
        self.service.communicate(timeout=30)

    def board(self, name, *options):
        made = self.product.json("board", "create", name, *options)
        self.product.run("board", "start", name)
        return made["deviceId"]

    def ask(self, method="GET", path="/api/service/devices", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def is_refused(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return False
        except OSError:
            return True

    def listed(self):
        return {row["DeviceConnectionPath"]: row["IpAddress"] for row in json.loads(self.ask()[1])}

    def test_boards_with_one_address_are_shared_and_enumerated(self):
        self.serve()
        host = f"localhost:{self.port}"
        self.assertEqual(self.ask(Host="localhost"), (200, b"[]"))
        ids = [self.board(f"b{i}", "--service-uart", f"tcp:{port}")
               for i, port in enumerate(self.tcp)]
        self.board("plain")
        paths = [f"tcp-127.0.0.1-{port}" for port in self.tcp] + ["vb-plain"]
        wait_for(lambda: set(self.listed()) == set(paths), 20)
        self.assertEqual(sorted(self.listed().values()),
                         ["192.168.35.2", "192.168.35.3", "192.168.35.4"])
        self.assertEqual(self.ask("PUT", "/api/service/devices/rescan", Host="localhost"), (200, b"3"))
        self.assertEqual(self.ask(path="/x", Host="localhost")[0], 404)
        self.assertEqual(self.ask(Host="evil.example")[0], 403)
        self.assertEqual(self.ask(Host=host, Origin="http://localhost")[0], 403)

        # Ten commands on two boards at once, all through the one service.
        started = [(ids[i % 2], self.product.start("device", "show-attached", "--device",
                                                   paths[i % 2], "--output", "json"))
                   for i in range(10)]
        for device_id, process in started:
            output, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, errors)
            self.assertEqual(json.loads(output)["deviceId"], device_id)
        use_device(self, self.product, paths[0], ids[0])
        rows = {row["connectionPath"]: row for row in self.product.json("link", "status")}
        self.assertEqual(rows[paths[0]]["state"], "open")
        self.assertGreater(rows[paths[0]]["bytesOut"], 100_000)
        self.assertGreaterEqual(rows[paths[0]]["counters"]["connected"], 8)
        held = {row["connectionPath"]: row for row in self.product.json("link", "list")}
        self.assertEqual(held[paths[0]]["state"], "held")

    def test_a_board_that_comes_back_is_used_without_a_word(self):
        self.serve()
        device_id = self.board("one", "--service-uart", f"tcp:{self.tcp[0]}")
        path = f"tcp-127.0.0.1-{self.tcp[0]}"
        wait_for(lambda: path in self.listed(), 20)
        address = self.listed()[path]
        self.product.run("board", "stop", "one")
        wait_for(lambda: path not in self.listed(), 20)
        error = self.product.error("device", "show-attached", "--device", path)
        self.assertIn(error["code"], ("link.unplugged", "link.no-board"))
        self.product.run("board", "start", "one")
        wait_for(lambda: path in self.listed(), 20)
        self.assertEqual(self.listed()[path], address)
        shown = self.product.json("device", "show-attached", "--device", path)
        self.assertEqual(shown["deviceId"], device_id)

    def test_a_forwarded_port_and_a_trace(self):
        self.serve()
        self.board("one", "--service-uart", f"tcp:{self.tcp[0]}")
        path = f"tcp-127.0.0.1-{self.tcp[0]}"
        wait_for(lambda: path in self.listed(), 20)
        file = self.product.home / "trace.pcap"
        trace = self.product.start("link", "trace", "--output-file", file, "--device", path)
        wait_for(lambda: file.exists() and file.stat().st_size >= 24, 20)  # Its head: it records.
        forward = self.product.start("link", "forward", "--local", "0", "--remote", "443",
                                     "--device", path, "--output", "json")
        local = json.loads(forward.stdout.readline())["local"]
        context = ssl.create_default_context(cafile=self.product.home / "data/sphere/device-api-ca.pem")
        with socket.create_connection(("127.0.0.1", local), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="192.168.35.2") as secure:
                secure.sendall(b"GET /status HTTP/1.1\r\nHost: 192.168.35.2\r\nConnection: close\r\n\r\n")
                self.assertTrue(secure.recv(100).startswith(b"HTTP/1.1 200"))
        wait_for(lambda: file.stat().st_size > 24 + 9 * (16 + 40), 20)
        for process in (forward, trace):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        wait_for(lambda: self.is_refused(local), 20)  # The service closes it once its client is gone.
        data = file.read_bytes()
        self.assertEqual(struct.unpack_from("<IHHiIII", data), (0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        at, packets = 24, 0
        while at < len(data):
            length = struct.unpack_from("<I", data, at + 8)[0]
            self.assertEqual(data[at + 16] >> 4, 4)
            at, packets = at + 16 + length, packets + 1
        self.assertEqual(at, len(data))
        self.assertGreater(packets, 8)

    def test_polling_scripts_get_their_answers_quickly(self):
        self.serve()
        self.board("plain")
        wait_for(lambda: self.listed(), 20)
        times = []
        for _ in range(200):
            begin = time.monotonic()
            self.assertEqual(self.ask(Host="localhost")[0], 200)
            times.append(time.monotonic() - begin)
        times.sort()
        print(f"median of 200 polls: {times[100] * 1000:.2f} ms")

    def test_a_taken_port_and_a_second_service_are_told(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port))
            taken.listen()
            self.serve()
            lines = [self.service.stdout.readline() for _ in range(1)]
            self.assertIn("no enumeration service", "".join(lines))
        error = self.product.run("link", "serve", "--port", str(free_port()), "--output", "json",
                                 status=1)
        self.assertIn("link.busy", error.stdout)

    def test_the_end_of_the_service_gives_the_boards_back(self):
        self.serve()
        self.board("one", "--service-uart", f"tcp:{self.tcp[0]}")
        path = f"tcp-127.0.0.1-{self.tcp[0]}"
        wait_for(lambda: path in self.listed(), 20)
        os.kill(self.service.pid, signal.SIGKILL)
        self.service.communicate()
        self.assertEqual(self.product.json("device", "show-os-version", "--device", path).keys(),
                         {"osVersion"})

    def test_without_a_service_the_next_step_is_named(self):
        for command in (("status",), ("trace", "--output-file", "x", "--device", "tcp-localhost-9")):
            error = self.product.error("link", *command)
            self.assertEqual(error["next"], "start it: sphere link serve")


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main(verbosity=2)
