#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for sphered beside a sphere-board under test: it keeps to board_link.h (descriptors 3, 4
and 5, the question `info`, its exit status) and does what a test tells it over the REST socket, one
command a connection: "exit N", "hang", "pid", "arguments", "open PIN", "child" (a process that
outlives it), "say TEXT" (a line for the log). FAKE_SPHERED changes its start: "fail" (a line, exit 3)
or "mute" (never asks)."""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time


def ask(link, verb, payload=b""):
    link.send(struct.pack("<HHIiI", 1, verb, 1, 0, len(payload)) + payload)
    message, descriptors, _, _ = socket.recv_fds(link, 4096, 1)
    return struct.unpack_from("<i", message, 8)[0], message[16:], descriptors


def obey(command, link, held):
    word, _, rest = command.partition(" ")
    if word == "exit":
        os._exit(int(rest))
    elif word == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        held.append("hang")
    elif word == "pid":
        return str(os.getpid())
    elif word == "arguments":
        return " ".join(sys.argv[1:])
    elif word == "open":
        status, _, descriptors = ask(link, 0x1002, struct.pack("<iBBB", int(rest), 1, 0, 0) + b"fake")
        held.extend(descriptors)
        return str(status)
    elif word == "child":
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        return str(child.pid)
    elif word == "say":
        print(rest, flush=True)
    return "done"


def main():
    mode = os.environ.get("FAKE_SPHERED", "")
    if mode == "fail":
        print("sphered: the state folder is broken\nsphered: next: repair it", flush=True)
        sys.exit(3)
    link = socket.socket(fileno=3)
    listeners = [socket.socket(fileno=4)]
    if "4,5" in sys.argv:
        listeners.append(socket.socket(fileno=5))
    if mode == "mute":
        time.sleep(1000)
    status, _, _ = ask(link, 0x1001)
    assert status == 0
    held = []
    while True:
        ready, _, _ = select.select([*listeners, *([] if "hang" in held else [link])], [], [])
        if link in ready:
            sys.exit(0)  # Power is off.
        connection, _ = ready[0].accept()
        with connection:
            command = connection.recv(4096).decode()
            if command:
                connection.send(obey(command, link, held).encode())


if __name__ == "__main__":
    main()
