# SPDX-License-Identifier: MIT
"""Speaks the device REST API to a virtual board without any of the product's code.

    board = Rest(socket_path)
    board.get("/status")                      # {"uptime": 3}
    board.request("PUT", "/update/stage", package_bytes)

A refused request raises Refused, a board that goes away meanwhile Gone.
"""
import http.client
import json
import socket
import ssl
import time


class Refused(Exception):
    def __init__(self, status, code, body):
        super().__init__(f"HTTP {status}, error {code}: {body}")
        self.status, self.code, self.body = status, code, body


class Gone(Exception):
    """The board ended, or does not answer, in the middle of a request."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(self.timeout)
        plain.connect(str(self.path))
        # The socket's place in the user's own directory says whose board it is.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(plain)


class Rest:
    def __init__(self, path, timeout=30):
        self.path = path
        self.timeout = timeout

    def request(self, method, target, body=None, kind=None):
        if isinstance(body, (dict, list)):
            body, kind = json.dumps(body).encode(), "application/json"
        headers = {"Content-Type": kind or "application/octet-stream"} if body is not None else {}
        connection = UnixConnection(self.path, self.timeout)
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{method} {target}: {error!r}") from None
        finally:
            connection.close()
        parsed = json.loads(text) if text and answer.getheader("Content-Type") == "application/json" \
            else text
        if answer.status // 100 != 2:
            raise Refused(answer.status, int(answer.getheader("Sphere-Error", "0")), parsed)
        return parsed

    def get(self, target):
        return self.request("GET", target)

    def stage(self, package):
        return self.request("PUT", "/update/stage", package)

    def install(self):
        return self.request("POST", "/update/install", {})

    def delete(self, component):
        return self.request("DELETE", f"/app/image/{component}")

    def images(self):
        """{component id: image id} of what is installed."""
        return {row["uid"]: row["images"][0]["uid"] for row in self.get("/images")["components"]
                if row["images"]}

    def state(self, component):
        return self.get(f"/app/status/{component}")["state"]

    def wait(self, seconds=90):
        """Until the board answers, which it does from the moment sphered runs: after several deaths the
        board's supervisor starts it up to a minute later."""
        until = time.monotonic() + seconds
        once = Rest(self.path, 5)
        while True:
            try:
                return once.get("/status")
            except (Gone, Refused):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
