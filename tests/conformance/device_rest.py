#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""device_rest.py BASE_URL [--ca FILE] [--package FILE] [--malformed N] [--stock]

What a device must answer over its REST API, checked with nothing of the product's own code. BASE_URL:
https://192.168.35.2, https://127.0.0.1:PORT or unix:/path/to/rest.sock. The device must be a
development board in state Blank or Module1Complete; its apps, networks and certificates are changed
and left as they were found where that is possible. --package: an image package that the device may
install. --ca: the certificate authority that signed the device's certificate; without it the address
alone says who answers. --stock: the programs of others (curl, Python's urllib and requests) are tried
as well, which needs --ca and a base of https. Ends with 0 when all holds.
"""
import argparse
import http.client
import json
import random
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
import uuid

ARGUMENTS = argparse.Namespace(base="", package=None, malformed=2000, ca=None, stock=False)
HOST = "*.devices.sphere.azure.local"  # What public clients send.
# Every operation, with the class that locks it.
OPERATIONS = """
N GET /status; N GET /osversion; N GET /abi_versions; N GET /device/security_state; N GET /device/capabilities
N GET /device/manufacturing_state; R PUT /device/manufacturing_state; R POST /restart; R GET /log
R GET /telemetry; R DELETE /telemetry; R GET /app/status/ID; R PATCH /app/status/ID; R DELETE /app/image/ID
R GET /app/quota/ID; A GET /stats/memory/groups/applications; R GET /images; R PUT /update/stage
R POST /update/install; R GET /certstore/certs; R GET /certstore/certs/x; R POST /certstore/certs/x
R DELETE /certstore/certs/x; R GET /certstore/space; N GET /net/status; R GET /net/interfaces
R GET /net/interfaces/wlan0; R PATCH /net/interfaces/wlan0; R GET /net/proxy; R POST /net/proxy
R DELETE /net/proxy; R GET /net/firewall/rulesets; R GET /wifi/config/networks; R POST /wifi/config/networks
R GET /wifi/config/networks/0; R PATCH /wifi/config/networks/0; R DELETE /wifi/config/networks/0
R GET /wifi/diagnostics/networks; R GET /wifi/diagnostics/networks/0; R GET /wifi/interface
R PATCH /wifi/interface; R GET /wifi/scan
"""


def operations():
    return [tuple(part.split()) for line in OPERATIONS.strip().splitlines() for part in line.split("; ")]


def open_socket(timeout=30):
    """A TLS connection to the device; who it is was decided by the address."""
    if ARGUMENTS.base.startswith("unix:"):
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(timeout)
        plain.connect(ARGUMENTS.base[5:])
    else:
        name, _, port = ARGUMENTS.base.removeprefix("https://").rstrip("/").partition(":")
        plain = socket.create_connection((name, int(port or 443)), timeout)
    return tls_context().wrap_socket(plain, server_hostname=HOST)


def tls_context():
    """As public clients have it: the pinned authority, and the literal name that they demand."""
    context = ssl.create_default_context(cafile=ARGUMENTS.ca)
    if not ARGUMENTS.ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Connection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("device", timeout=30)

    def connect(self):
        self.sock = open_socket()


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"] if self.body else None


def ask(method, path, body=None, kind="application/json", headers=None):
    connection = Connection()
    sent = {"Host": HOST, **(headers or {})}
    if body is not None:
        sent["Content-Type"] = kind
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, body=body, headers=sent)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def raw(data, timeout=30):
    """Everything the device answers to these bytes until it closes, as it does after what it refuses."""
    with open_socket(timeout) as stream:
        received = b""
        try:
            stream.sendall(data)
            while piece := stream.recv(65536):
                received += piece
        except (OSError, ssl.SSLError):
            pass
        return received


class Compatible(unittest.TestCase):
    def ok(self, *arguments, status=200, **options):
        answer = ask(*arguments, **options)
        self.assertEqual(answer.status, status, (arguments, answer.body))
        return answer

    def refused(self, status, code, *arguments, **options):
        answer = ask(*arguments, **options)
        self.assertEqual((answer.status, answer.error), (status, code), arguments)
        self.assertEqual(answer.headers["Sphere-Error"], str(code))

    def test_there_are_42_operations_on_30_paths(self):
        listed = operations()
        self.assertEqual(len(listed), 42)
        self.assertEqual(len({path for _, _, path in listed}), 30)
        for _, method, path in listed:
            answer = ask("BREW", path.replace("ID", str(uuid.uuid4())))
            self.assertEqual(answer.status, 405, path)
            self.assertIn(method, answer.headers["Allow"].split(", "))
            self.assertEqual(answer.body, b"")

    def test_every_answer_has_its_version(self):
        for path in ("/status", "/nothing", "/app/status/x"):
            self.assertEqual(ask("GET", path).headers["REST-API-Version"], "4.6.0")
            self.assertEqual(ask("GET", path).headers["Sphere-API-Version"], "1.0.0")

    def test_device(self):
        self.assertGreaterEqual(self.ok("GET", "/status").json["uptime"], 0)
        self.assertRegex(self.ok("GET", "/osversion").json["osversion"], r"^\d+\.\d+$")
        self.assertEqual(set(self.ok("GET", "/abi_versions").json),
                         {"SecureWorldRuntime", "OSRuntime", "ApplicationRuntime"})
        security = self.ok("GET", "/device/security_state").json
        self.assertRegex(security["deviceIdentifier"], r"^[0-9a-f]{128}$")
        self.assertEqual(security["deviceIdentityPublicKey"], security["deviceIdentifier"])
        capabilities = self.ok("GET", "/device/capabilities").json["device_capabilities"]
        self.assertEqual(capabilities, sorted(set(capabilities)))
        self.refused(400, 10485761, "PUT", "/device/manufacturing_state", {"manufacturingState": "Blank"})
        self.refused(400, 10485761, "PUT", "/device/manufacturing_state", {"manufacturingState": 1})

    def test_log_is_a_ring_of_banks_with_entries(self):
        self.ok("GET", "/status")
        answer = self.ok("GET", "/log")
        self.assertEqual(answer.headers["Content-Type"], "application/octet-stream")
        banks = [answer.body[at:at + 4096] for at in range(0, len(answer.body), 4096)]
        self.assertTrue(1 <= len(banks) <= 256 and len(banks[-1]) == 4096)
        entries, counters = 0, []
        for bank in banks:
            counter, = struct.unpack_from("<H", bank, 4092)
            if counter != 0xFFFF:
                counters.append(counter)
            offset = 0
            while offset < 4080:
                length, = struct.unpack_from("<H", bank, offset)
                if length == 0xFFFF:
                    break
                self.assertGreaterEqual(length, 12)
                self.assertLessEqual(offset + length, 4092)
                entries, offset = entries + 1, offset + length
        self.assertGreater(entries, 0)
        self.assertEqual(len(counters), len(set(counters)))

    def test_telemetry_is_emptied(self):
        self.assertEqual(self.ok("DELETE", "/telemetry").json, {})
        body = self.ok("GET", "/telemetry").body
        self.assertEqual(body[3:5], b"\0\0")
        self.assertEqual(len(body), 5)

    def test_an_app_that_is_not_there(self):
        component = str(uuid.uuid4())
        self.assertEqual(self.ok("GET", f"/app/status/{component.upper()}").json, {"state": "notPresent"})
        for trigger in ("start", "startDebug", "stop"):
            self.refused(409, 14680076, "PATCH", f"/app/status/{component}", {"trigger": trigger})
        for body in ({"trigger": "startdebug"}, {"trigger": ["startDebug"]}, {"startDebug": True}, []):
            self.assertEqual(ask("PATCH", f"/app/status/{component}", body).status, 400, body)
        self.refused(404, 14680076, "GET", f"/app/quota/{component}")
        self.assertEqual(self.ok("DELETE", f"/app/image/{component}").json, {})
        for wrong in ("x", "{" + component + "}", "a" * 900):
            self.assertEqual(ask("GET", f"/app/status/{wrong}").status, 400)

    def test_packages_that_are_none(self):
        for body in (b"x", b"\0" * 4096, b"4X4M" * 100):
            answer = ask("PUT", "/update/stage", body, kind="application/octet-stream")
            self.assertEqual(answer.status, 500)
        self.assertEqual(self.ok("POST", "/update/install").json, {})
        self.assertFalse(self.ok("GET", "/images").json["has_staged_updates"])

    def test_a_package_is_staged_installed_and_deleted(self):
        if not ARGUMENTS.package:
            self.skipTest("no --package")
        with open(ARGUMENTS.package, "rb") as file:
            package = file.read()
        before = {row["uid"] for row in self.ok("GET", "/images").json["components"]}
        self.ok("PUT", "/update/stage", package, kind="application/octet-stream")
        staged = self.ok("GET", "/images").json
        self.assertTrue(staged["has_staged_updates"])
        self.assertEqual({row["uid"] for row in staged["components"]}, before)
        self.assertEqual(self.ok("POST", "/update/install", {"appControlMode": "Manual"}).json, {})
        component, = {row["uid"] for row in self.ok("GET", "/images").json["components"]} - before
        self.assertEqual(self.ok("GET", f"/app/status/{component}").json, {"state": "stopped"})
        quota = self.ok("GET", f"/app/quota/{component}").json
        self.assertEqual(set(quota), {"UsageKB", "LimitKB"})
        self.assertEqual(self.ok("PATCH", f"/app/status/{component}", {"trigger": "startDebug"}).json,
                         {"state": "debugging", "gdbPort": 2345, "outPort": 2342})
        self.assertEqual(self.ok("GET", f"/app/status/{component}").json, {"state": "debugging"})
        self.assertEqual(ask("PATCH", f"/app/status/{component}", {"trigger": "startDebug"}).status, 409)
        self.assertEqual(self.ok("PATCH", f"/app/status/{component}", {"trigger": "stop"}).json,
                         {"state": "stopped"})
        self.assertEqual(self.ok("DELETE", f"/app/image/{component}").json, {})
        self.assertEqual(self.ok("GET", f"/app/status/{component}").json, {"state": "notPresent"})

    def test_memory_statistics(self):
        stats = self.ok("GET", "/stats/memory/groups/applications").json
        self.assertEqual(set(stats["memoryStats"]), {
            "currentMemoryUsageInBytes", "userModeMemoryUsageInBytes", "peakUserModeMemoryUsageInBytes"})
        self.assertIsInstance(stats["apps"], list)

    def test_interfaces(self):
        self.assertEqual(self.ok("GET", "/net/interfaces/azspheresvc").json, {
            "interfaceName": "azspheresvc", "interfaceUp": True, "connectedToNetwork": False,
            "ipAcquired": False, "connectedToInternet": False, "ipAddresses": ["192.168.35.2"]})
        names = {row["interfaceName"] for row in self.ok("GET", "/net/interfaces").json["interfaces"]}
        self.assertLessEqual({"azspheresvc", "lo", "wlan0"}, names)
        self.refused(404, 15728642, "GET", "/net/interfaces/InvalidInterface!")
        self.refused(400, 31457295, "PATCH", "/net/interfaces/lo", {"interfaceUp": False})
        self.ok("PATCH", "/net/interfaces/wlan0", {"interfaceUp": False})
        self.refused(500, 13631506, "GET", "/wifi/scan")
        self.refused(500, 13631506, "DELETE", "/wifi/config/networks/99")
        self.ok("GET", "/wifi/interface")
        self.ok("PATCH", "/net/interfaces/wlan0", {"interfaceUp": True})
        self.assertIsInstance(self.ok("GET", "/wifi/scan").json["values"], list)
        self.assertEqual(set(self.ok("GET", "/net/status").json),
                         {"deviceAuthenticationIsReady", "networkTimeSync", "proxy"})
        self.assertIsInstance(self.ok("GET", "/net/firewall/rulesets").json["rulesets"], list)

    def test_proxy(self):
        proxy = {"enabled": True, "address": "example", "port": 1, "noProxyAddresses": ["a"],
                 "authenticationType": "basic", "username": "u", "password": "p"}
        self.assertEqual(self.ok("POST", "/net/proxy", proxy).json, proxy)
        shown = {key: value for key, value in proxy.items() if key != "password"}
        self.assertEqual(self.ok("GET", "/net/proxy").json, shown)
        for _ in range(2):
            self.assertEqual(self.ok("DELETE", "/net/proxy").json, {})
        self.assertEqual(self.ok("GET", "/net/proxy").json, {})
        answer = ask("POST", "/net/proxy", {**proxy, "port": 70000})
        self.assertEqual((answer.status, answer.error), (400, 10485761))
        self.assertEqual(answer.headers["Sphere-Error"], "10485780")

    def test_wifi(self):
        path = "/wifi/config/networks"
        answer = self.ok("POST", path, {"ssid": "TestA", "securityState": "open", "configName": "c1",
                                        "configState": "enabled"}, status=201).json
        number = answer.pop("id")
        self.assertEqual(answer, {"ssid": "TestA", "configState": "enabled", "connectionState": "unknown",
                                  "securityState": "open", "targetedScan": False, "configName": "c1"})
        self.assertIn(self.ok("GET", f"{path}/{number}").json["connectionState"],
                      ("disconnected", "connected"))
        self.assertEqual(self.ok("PATCH", f"{path}/{number}", {"configState": "disabled"}).json["configState"],
                         "disabled")
        self.assertEqual(self.ok("DELETE", f"{path}/{number}").json, {})
        self.refused(404, 13631491, "DELETE", f"{path}/{number}")
        self.refused(400, 13631513, "PATCH", f"{path}/99", {"psk": "1234"})
        self.refused(400, 13631513, "POST", path, {"ssid": "a", "securityState": "psk", "psk": "1234567"})
        self.refused(400, 13631503, "POST", path, {"ssid": "x" * 33, "securityState": "open"})
        self.refused(400, 13631512, "POST", path, {"ssid": "a", "securityState": "eaptls"})
        self.ok("PATCH", "/wifi/interface", {"enablePowerSavings": True})
        self.assertEqual(self.ok("GET", "/wifi/interface").json["powerSavingsState"], "enabled")
        self.ok("PATCH", "/wifi/interface", {"enablePowerSavings": False, "reloadConfig": True})

    def test_certificate_store(self):
        space = self.ok("GET", "/certstore/space").json["AvailableSpace"]
        self.assertIsInstance(space, str)
        self.refused(404, 38797319, "GET", "/certstore/certs/none-such")
        self.refused(400, 38797314, "GET", "/certstore/certs/a!b")
        self.refused(400, 38797316, "GET", "/certstore/certs/12345678901234567")
        self.refused(400, 38797324, "POST", "/certstore/certs/a", {"certType": "x", "publicCert": "x"})
        self.refused(400, 38797325, "POST", "/certstore/certs/a", {"certType": "rootca", "publicCert": ""})
        self.assertEqual(self.ok("GET", "/certstore/space").json["AvailableSpace"], space)

    def test_the_identity_challenge_is_answered(self):
        answer = self.ok("POST", "/sphere/v1/identity", {"nonce": "MDEyMzQ1Njc4OWFiY2RlZg=="}).json
        self.assertLessEqual(len(answer["proof"]), 684)
        self.assertEqual(ask("POST", "/sphere/v1/identity", {"nonce": ""}).status, 400)


class Http(unittest.TestCase):
    def test_bodies(self):
        for _, method, path in operations():
            if method in ("GET", "DELETE") or path in ("/update/stage", "/restart", "/update/install"):
                continue
            path = path.replace("ID", str(uuid.uuid4()))
            for body, status in ((b"{", 400), (b"\xff", 400), (b'{"a":1,"a":2}', 400),
                                 (b"[" * 17 + b"]" * 17, 400), (b" " * 65537, 400), (b"[]", 400)):
                self.assertIn(ask(method, path, body).status, (status, 409), (method, path, body[:20]))
            self.assertEqual(ask(method, path, b"{}", kind="text/plain").status, 415)
            self.assertEqual(ask(method, path).status, 415)

    def test_hosts_and_origins(self):
        for host in (HOST, "192.168.35.2", "localhost:1", "x.devices.sphere.azure.local"):
            self.assertEqual(ask("GET", "/status", headers={"Host": host}).status, 200, host)
        self.assertEqual(ask("GET", "/status", headers={"Host": "evil.example"}).status, 400)
        self.assertEqual(ask("GET", "/status", headers={"Origin": "https://evil.example"}).status, 403)

    def test_paths(self):
        for path in ("/", "/status/", "//status", "/a/../status", "/app/status/%2F", "/app/status/%00",
                     "/STATUS", "/wifi/config/networks/0/1"):
            answer = ask("GET", path)
            self.assertEqual((answer.status, answer.error), (404, 15728642), path)

    def test_heads_that_are_refused(self):
        for data in (b"GET /status HTTP/1.1\r\n\r\n",
                     b"GET /status HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
                     b"GET /status HTTP/1.1\nHost: localhost\n\n",
                     b"GET /status HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
                     b"POST /restart HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
                     b"POST /restart HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"GET /" + b"x" * 1100 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET /status HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 70 + b"\r\n",
                     b"GET /status HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 9000 + b"\r\n\r\n"):
            self.assertTrue(raw(data).startswith(b"HTTP/1.1 400 "), data[:60])
        self.assertTrue(raw(b"GET /status HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 "))

    def test_requests_on_one_connection_are_answered_in_order(self):
        data = b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, last) for path, last in (
            (b"/status", b""), (b"/osversion", b""), (b"/nothing", b"Connection: close\r\n")))
        text = raw(data)
        places = [text.find(word) for word in (b"uptime", b"osversion", b"15728642")]
        self.assertNotIn(-1, places)
        self.assertEqual(places, sorted(places))

    def test_malformed_requests_leave_the_device_alive(self):
        chance = random.Random(4711)
        good = (b"PATCH /app/status/4a0a5bd0-7f4d-4b30-9c0b-3ef2a3a5f3c1 HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 19\r\n\r\n" + b'{"trigger":"start"}')
        stream, sent = None, 0
        while sent < ARGUMENTS.malformed:
            data = bytearray(good)
            for _ in range(chance.randint(1, 6)):
                place = chance.randrange(len(data))
                what = chance.randrange(3)
                if what == 0:
                    data[place] = chance.randrange(256)
                elif what == 1:
                    del data[place:place + chance.randint(1, 20)]
                else:
                    data[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 9)))
                if not data:
                    break
            sent += 1
            try:
                stream = stream or open_socket(10)
                stream.sendall(bytes(data))
                stream.settimeout(0.003)
                if not stream.recv(65536):
                    raise OSError("closed")
            except TimeoutError:
                if chance.randrange(4) == 0:
                    stream.close()
                    stream = None
            except (OSError, ssl.SSLError):
                if stream:
                    stream.close()
                stream = None
        if stream:
            stream.close()
        begin = time.monotonic()
        self.assertEqual(ask("GET", "/status").status, 200)
        self.assertLess(time.monotonic() - begin, 20)


class StockClients(unittest.TestCase):
    """Programs that know nothing of this device: they check its certificate and its address."""

    def setUp(self):
        if not ARGUMENTS.stock:
            self.skipTest("no --stock")
        self.base = ARGUMENTS.base.rstrip("/")

    def curl(self, *arguments):
        if not shutil.which("curl"):
            self.skipTest("no curl")
        run = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", ARGUMENTS.ca, "--max-time", "30",
                              *map(str, arguments)], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_curl_reads_writes_and_uploads(self):
        self.assertIn("uptime", json.loads(self.curl(f"{self.base}/status")))
        power = self.curl("-X", "PATCH", "-H", "Content-Type: application/json", "-d",
                          '{"enablePowerSavings":false}', f"{self.base}/wifi/interface")
        self.assertEqual(json.loads(power), {})
        if ARGUMENTS.package:
            self.assertEqual(self.curl("-T", ARGUMENTS.package, "-H", "Content-Type: application/octet-stream",
                                       "-H", "Expect: 100-continue", f"{self.base}/update/stage"), "{}")
            # The stage is a set that install empties; what it installs is removed again.
            before = {row["uid"] for row in ask("GET", "/images").json["components"]}
            self.curl("-X", "POST", "-H", "Content-Type: application/json", "-d",
                      '{"appControlMode":"Manual"}', f"{self.base}/update/install")
            for row in ask("GET", "/images").json["components"]:
                if row["uid"] not in before:
                    self.assertEqual(self.curl("-X", "DELETE", f"{self.base}/app/image/{row['uid']}"), "{}")

    def test_curl_refuses_another_authority(self):
        if not shutil.which("curl"):
            self.skipTest("no curl")
        run = subprocess.run(["curl", "-sS", "--noproxy", "*", f"{self.base}/status"], capture_output=True,
                             text=True, check=False)
        self.assertEqual(run.returncode, 60, run.stderr)

    def test_urllib(self):
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ARGUMENTS.ca)))
        with opener.open(f"{self.base}/device/security_state", timeout=10) as answer:
            self.assertRegex(json.loads(answer.read())["deviceIdentifier"], r"^[0-9a-f]{128}$")
        with self.assertRaises(urllib.error.HTTPError) as missing:
            opener.open(f"{self.base}/nothing", timeout=10)
        self.assertEqual(missing.exception.code, 404)

    def test_requests_keeps_its_session(self):
        try:
            import requests
        except ImportError:
            self.skipTest("no Python package requests")
        with requests.Session() as session:
            session.trust_env = False
            session.verify = ARGUMENTS.ca
            for _ in range(20):
                answer = session.get(f"{self.base}/status", timeout=10)
                self.assertEqual(answer.status_code, 200)
                self.assertEqual(answer.headers["REST-API-Version"], "4.6.0")
            self.assertGreater(len(session.get(f"{self.base}/log", timeout=10).content), 4095)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("base", metavar="BASE_URL")
    parser.add_argument("--package")
    parser.add_argument("--malformed", type=int, default=ARGUMENTS.malformed)
    parser.add_argument("--ca", metavar="FILE")
    parser.add_argument("--stock", action="store_true")
    parser.parse_args(namespace=ARGUMENTS)
    if not re.match(r"https://|unix:/", ARGUMENTS.base):
        parser.error("BASE_URL is https://HOST[:PORT] or unix:/PATH")
    if ARGUMENTS.stock and not (ARGUMENTS.ca and ARGUMENTS.base.startswith("https:")):
        parser.error("--stock needs --ca and a base of https")
    result = unittest.main(argv=sys.argv[:1], exit=False).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
