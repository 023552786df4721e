# SPDX-License-Identifier: MIT
"""The agent's end of an app's broker socket, for tests that run one program without an agent.

    with FakeAgent() as agent:
        process = agent.start(["./app"])
        agent.wait_for_levels(3)

Pins are simulated, the mutable file is a temporary one, everything else is refused with EACCES. The
layout of frames is that of device-agent/applibs/src/broker_protocol.h.
"""
import errno
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time

HEADER = struct.Struct("<HHIiI")
GPIO_IN, GPIO_OUT, FILE_OPEN, NET_READY = 0x0101, 0x0102, 0x0201, 0x0401
GPIO_GET, GPIO_SET = 0x0801, 0x0802
KIND_GPIO, KIND_FILE = 1, 7


class FakeAgent:
    def __init__(self):
        self.broker, self.app = self._pair()
        self.levels = []  # (pin, level) in the order in which the app set them.
        self.requests = []  # Verbs.
        self.file = tempfile.TemporaryFile()
        self.process = None

    def __enter__(self):
        self._serve(self.broker, self._answer)
        return self

    def __exit__(self, *unused):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.broker.close()
        self.file.close()

    @staticmethod
    def _pair():
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def start(self, command, **options):
        """Starts a program with its end of the socket as descriptor 3."""
        number = self.app.fileno()

        def place():
            os.dup2(number, 3)  # Also clears close-on-exec.

        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, close_fds=True, pass_fds=sorted({3, number}), preexec_fn=place, **options)
        self.app.close()
        return self.process

    def wait_for_levels(self, count, seconds=20):
        """The levels set so far, at least `count` unless time is up or the program ends."""
        deadline = time.monotonic() + seconds
        while (len(self.levels) < count and time.monotonic() < deadline
               and self.process.poll() is None):
            time.sleep(0.02)
        return list(self.levels)

    def _serve(self, end, answer):
        def loop():
            while True:
                try:
                    frame = end.recv(4096)
                    if len(frame) < HEADER.size:
                        return
                    version, verb, number, _, length = HEADER.unpack_from(frame)
                    assert version == 1 and length == len(frame) - HEADER.size, frame
                    status, payload, descriptors = answer(verb, frame[HEADER.size:])
                    reply = HEADER.pack(1, verb, number, status, len(payload)) + payload
                    socket.send_fds(end, [reply], [d.fileno() for d in descriptors])
                except OSError:
                    return
                for descriptor in descriptors:
                    if descriptor is not self.file:
                        descriptor.close()

        threading.Thread(target=loop, daemon=True).start()

    def _answer(self, verb, payload):
        self.requests.append(verb)
        if verb in (GPIO_IN, GPIO_OUT):
            return self._open_pin(struct.unpack_from("<i", payload)[0], payload[5:6] or b"\1")
        if verb == FILE_OPEN:
            return 0, bytes([KIND_FILE]), [self.file]
        if verb == NET_READY:
            return 0, struct.pack("<i", 0), []
        return errno.EACCES, b"", []

    def _open_pin(self, pin, initial):
        agent_end, app_end = self._pair()
        level = [initial[0]]

        def answer(verb, payload):
            if verb == GPIO_SET:
                level[0] = payload[0]
                self.levels.append((pin, payload[0]))
                return 0, struct.pack("<i", 0), []
            if verb == GPIO_GET:
                return 0, struct.pack("<i", level[0]), []
            return errno.EPROTO, b"", []

        self._serve(agent_end, answer)
        return 0, bytes([KIND_GPIO]), [app_end]
