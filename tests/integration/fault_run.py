#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fault_run.py BUILD_DIRECTORY [--kills N] [--malformed N] [--frames N] [--seed N]: what a board meets.

The agent is killed at N random instants while packages are staged, installed and deleted and settings
are written: afterwards each of them is as it was confirmed last, or one step on, and nothing else.
Then a full disk, clocks that jump, N malformed HTTP requests, N malformed SLIP frames: the agent
lives and answers. The seed is printed; the same seed makes the same run up to the scheduler's part.
Needs no SDK and no emulator: the packages are installed and not started. A full run: --kills 1000
--malformed 10000 --frames 10000.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "conformance")]
import device_rest  # noqa: E402
from link_boards import free_port, package  # noqa: E402
from product import Failed, Product  # noqa: E402
from rest import Gone, Refused, Rest  # noqa: E402

NAMES = ("one", "two")
END, ESCAPE = 0xC0, 0xDB


def component_of(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


class Board:
    def __init__(self, product, *options):
        self.product = product
        product.run("board", "create", "desk", *options)
        self.directory = product.home / "state/sphere/boards/desk"
        self.rest = Rest(product.home / "run/sphere/boards/desk/rest.sock")

    def start(self, *before):
        done = subprocess.run([*before, self.product.bin / "sphere", "board", "start", "desk"],
                              env=self.product.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(done.stderr)

    def restart(self):
        self.product.run("board", "stop", "desk")
        self.start()

    def agent(self):
        board = int((self.directory / "lock").read_text())
        return int(pathlib.Path(f"/proc/{board}/task/{board}/children").read_text().split()[0])

    def install(self, data):
        self.rest.stage(data)
        self.rest.request("POST", "/update/install", {"appControlMode": "Manual"})


class Kills:
    """One change after the other until the agent is gone. `is_now` maps a store's name to what was
    confirmed, `asked` to what was asked for when the answer did not come."""

    def __init__(self, board, packages):
        self.board, self.rest, self.packages = board, board.rest, packages
        self.is_now = {"apps": self.apps(), "networks": {}, "port": 0}
        self.outcomes = {"old": 0, "new": 0, "between": 0}
        begin = time.monotonic()
        self.board.install(packages[NAMES[0]][1][1])
        self.longest = 1.3 * (time.monotonic() - begin)  # Of the longest change on this machine.
        self.is_now["apps"] = self.apps()

    def apps(self):
        return self.rest.images()

    def state(self):
        return {"apps": self.apps(),
                "networks": {row["id"]: row["ssid"] for row in self.rest.get("/wifi/config/networks")["values"]},
                "port": self.rest.get("/net/proxy").get("port", 0)}

    def change_apps(self):
        name = random.choice(NAMES)
        component = component_of(name)
        apps = dict(self.is_now["apps"])
        if component in apps and random.random() < 0.4:
            del apps[component]
            return apps, lambda: self.rest.delete(component)
        image, data = random.choice(self.packages[name])
        apps[component] = image
        return apps, lambda: self.board.install(data)

    def change_networks(self):
        networks = dict(self.is_now["networks"])
        if len(networks) > 10 or (networks and random.random() < 0.3):
            victim = random.choice(list(networks))
            del networks[victim]
            return networks, lambda: self.rest.request("DELETE", f"/wifi/config/networks/{victim}")
        free = min(set(range(64)) - set(networks))
        networks[free] = f"n{random.randrange(10**9)}"
        return networks, lambda: self.rest.request(
            "POST", "/wifi/config/networks", {"ssid": networks[free], "securityState": "open"})

    def change_port(self):
        port = random.randrange(65536)
        return port, lambda: self.rest.request("POST", "/net/proxy", {
            "enabled": True, "address": "a", "port": port, "authenticationType": "anonymous"})

    def change_until(self, killed):
        """What is asked for when the agent is killed; what is confirmed, when that happens in between:
        requests that come then wait for the next run."""
        while not killed.is_set():
            what = random.choice(("apps", "apps", "networks", "port"))
            asked, act = getattr(self, f"change_{what}")()
            try:
                act()
            except (Gone, Refused):
                return {**self.is_now, what: asked}
            if what == "apps" and killed.is_set():  # The next run installs nothing: it has nothing staged.
                return {**self.is_now, what: asked}
            self.is_now[what] = asked
        return self.is_now

    def one(self, number):
        pid, killed = self.board.agent(), threading.Event()

        def kill():
            os.kill(pid, signal.SIGKILL)
            killed.set()
        killer = threading.Timer(random.uniform(0, self.longest), kill)
        killer.start()
        asked = self.change_until(killed)
        killer.join()
        self.rest.wait()
        found = self.state()
        if found not in (self.is_now, asked):
            raise Failed(f"kill {number}: confirmed {self.is_now}, asked {asked}, found {found}")
        between = asked is self.is_now
        self.outcomes["between" if between else "old" if found == self.is_now else "new"] += 1
        self.is_now = found
        left = [path.name for path in (self.board.directory / "apps/staged").iterdir()]
        files = list((self.board.directory / "apps/images").iterdir())
        if left or len(files) != len(found["apps"]):
            raise Failed(f"kill {number}: staged {left}, {len(files)} files for {len(found['apps'])} apps")


def run_kills(product, count):
    packages = {name: [pack(product, name, size) for size in (3_000, 400_000)] for name in NAMES}
    board = Board(product)
    board.start()
    kills = Kills(board, packages)
    begin = time.monotonic()
    for number in range(count):
        if number % 5 == 4:  # Else the supervisor makes each further start wait.
            board.restart()
        kills.one(number)
        if number % 100 == 99:
            print(f"{number + 1} kills, {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{count} kills of sphered, none tore anything: {kills.outcomes}", flush=True)
    return board


def pack(product, name, size):
    """(image id, bytes) of a package that is installed and not started."""
    file = package(product, size, name)
    shown = product.json("image-package", "show", "--image-package", file)
    return find(shown, "imageId"), file.read_bytes()


def find(value, key):
    """The first value of `key` anywhere in a JSON value."""
    if isinstance(value, dict):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            if (found := find(item, key)) is not None:
                return found
    return None


def full_disk(board, product):
    """A file system too small for a package, where the packages lie."""
    apps = board.directory / "apps"
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        print("full disk: left out (needs root, to mount a small file system)", flush=True)
        return
    product.run("board", "stop", "desk")
    script = f"mount -t tmpfs -o size=1m none '{apps}' && exec \"$@\""
    board.start("unshare", "-m", "sh", "-c", script, "-")
    board.rest.wait()
    _, large = pack(product, "large", 2_000_000)
    image, small = pack(product, "small", 20_000)
    for _ in range(3):
        try:
            board.rest.stage(large)
            raise Failed("a package that does not fit was taken")
        except Refused as refused:
            if refused.code != 14680082:
                raise Failed(f"a full disk is told as {refused}") from None
    board.install(small)
    if board.rest.images() != {component_of("small"): image}:
        raise Failed(f"after a full disk: {board.rest.images()}")
    print("full disk: refused with its code, three times; a small package fits", flush=True)
    board.restart()


def clock_jumps(board):
    """A start whose monotonic clock is a year ahead, and the next one, a year back."""
    if subprocess.run(["unshare", "-T", "--monotonic", "31536000", "true"], capture_output=True,
                      check=False).returncode:
        print("clock jumps: left out (needs root and time namespaces)", flush=True)
        return
    before = board.rest.images()
    board.product.run("board", "stop", "desk")
    board.start("unshare", "-T", "--monotonic", "31536000", "--boottime", "31536000", "--fork")
    for _ in range(2):
        uptime = board.rest.wait()["uptime"]
        if not 0 <= uptime < 600 or board.rest.images() != before:
            raise Failed(f"after a jump of the clock: uptime {uptime}, {board.rest.images()}")
        board.rest.get("/log")
        board.restart()
    print("clock jumps: a year ahead and back, nothing changed", flush=True)


class Clock:
    """The wall clock of programs that set_clock.c is preloaded into."""

    def __init__(self, product):
        self.library, self.file = product.home / "set_clock.so", product.home / "clock"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, HERE.parent / "support/set_clock.c"],
                       check=True)
        self.set(0)

    def set(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "w+b") as file:
            file.write(struct.pack("=q", seconds))  # In place: the programs have it mapped.

    def environment(self):
        return {"LD_PRELOAD": str(self.library), "SET_CLOCK": str(self.file)}


def set_clocks(board, product):
    """The wall clock of board and agent set a day ahead and back, to 1996 and to 2096, while they run and from
    one start to the next: nothing is lost, and everything goes on."""
    program = (product.bin / "sphered").read_bytes()
    if not shutil.which("cc") or b"__asan_init" in program or b"__tsan_init" in program:
        print("clocks that are set: left out (needs cc, and programs without sanitizers)", flush=True)
        return
    clock = Clock(product)
    packages = [pack(product, "clocked", size) for size in (2_000, 3_000)]
    product.run("board", "stop", "desk")
    before = dict(product.environment)
    product.environment.update(clock.environment())
    board.start()
    product.environment = before
    networks = board.rest.get("/wifi/config/networks")
    day, year = 86_400, 31_557_600
    uptime = last = 0
    for turn, seconds in enumerate((day, -day, -30 * year, 70 * year, 0)):
        clock.set(seconds)
        image, data = packages[turn % 2]
        board.install(data)
        status = board.rest.get("/status")["uptime"]
        events = board.rest.get(f"/sphere/v1/events?after={last}")["events"]
        jumps = [event for event in events if event["category"] == "ClockJump"]
        if board.rest.images()[component_of("clocked")] != image or status < uptime or not jumps:
            raise Failed(f"clock set by {seconds} s: uptime {uptime}, then {status}; {events[-3:]}")
        if any(event["firstAt"] > event["lastAt"] for event in events):
            raise Failed(f"clock set by {seconds} s: an event ends before it begins: {events}")
        if board.rest.get("/wifi/config/networks") != networks or not board.rest.get("/log"):
            raise Failed(f"clock set by {seconds} s: settings are lost")
        uptime, last = status, events[-1]["seq"]
        os.kill(board.agent(), signal.SIGKILL)  # The next run starts at that time.
        board.rest.wait()
        uptime = 0
        if board.rest.images()[component_of("clocked")] != image:
            raise Failed(f"a start with the clock set by {seconds} s: {board.rest.images()}")
    board.rest.delete(component_of("clocked"))
    print("clocks set by a day, 30 and 70 years, ahead and back: nothing lost, everything goes on", flush=True)
    board.restart()


def malformed_requests(board, count):
    device_rest.ARGUMENTS.base = f"unix:{board.rest.path}"
    device_rest.ARGUMENTS.malformed = count
    test = device_rest.Http("test_malformed_requests_leave_the_device_alive")
    pid = board.agent()
    result = unittest.TextTestRunner(verbosity=0).run(test)
    if not result.wasSuccessful() or board.agent() != pid:
        raise Failed(f"after {count} malformed requests: agent {pid}, now {board.agent()}")
    print(f"{count} malformed HTTP requests: the same agent answers", flush=True)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(port, target, flags, protocol=6, data=b"", sequence=1):
    """An IP packet from the PC to the board, right in each field."""
    addresses = bytes((192, 168, 35, 1, 192, 168, 35, 2))
    tcp = struct.pack(">HHIIBBHHH", port, target, sequence, 0, 0x50, flags, 1024, 0, 0) + data
    sum_ = checksum(addresses + struct.pack(">HH", 6, len(tcp)) + tcp + bytes(len(tcp) % 2))
    tcp = tcp[:16] + struct.pack(">H", sum_) + tcp[18:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, protocol, 0) + addresses
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + tcp


def escaped(data):
    return data.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")


def malformed_frame(chance):
    data = bytearray(packet(chance.randrange(1024, 60000), chance.choice((443, 2342, 2345, 9)),
                            chance.choice((2, 16, 4, 0x12)), chance.choice((6, 6, 17, 1)),
                            chance.randbytes(chance.choice((0, 0, 20, 400))), chance.randrange(2**32)))
    for _ in range(chance.randint(0, 4)):
        place = chance.randrange(len(data) or 1)
        match chance.randrange(4):
            case 0:
                data[place:place + 1] = chance.randbytes(1)
            case 1:
                del data[place:place + chance.randint(1, 30)]
            case 2:
                data[place:place] = chance.randbytes(chance.choice((1, 9, 90, 90, 2000)))
            case _:
                data[place:place] = bytes((chance.choice((END, ESCAPE)), chance.randrange(256)))
    if chance.random() < 0.8:  # Escaped as it should be, else with what is in it.
        data = escaped(bytes(data))
    return bytes((END,)) + bytes(data) + (bytes((END,)) if chance.random() < 0.9 else b"")


def malformed_frames(product, count, seed):
    chance = random.Random(seed)
    port = free_port()
    product.run("board", "create", "wire", "--service-uart", f"tcp:{port}")
    product.run("board", "start", "wire")
    lock = product.home / "state/sphere/boards/wire/lock"
    pid = lock.read_text()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as wire:
        answered = threading.Event()

        def look():
            # To port 60001, from 443, SYN and ACK; what comes before is answers to lucky frames.
            received = b""
            while piece := wire.recv(65536):
                received = (received + piece)[-4096:]
                if struct.pack(">HH", 443, 60001) in received:
                    answered.set()
                    return
        reader = threading.Thread(target=look, daemon=True)
        reader.start()
        for _ in range(count):
            wire.sendall(malformed_frame(chance))
        good = escaped(packet(60001, 443, 2))
        wire.sendall(bytes((END,)) + good + bytes((END,)))
        if not answered.wait(120):
            raise Failed(f"after {count} malformed frames the board answers no request to connect")
    shown = product.json("device", "show-os-version", "--device", f"tcp-127.0.0.1-{port}")
    if "osVersion" not in shown or lock.read_text() != pid:
        raise Failed(f"after {count} malformed frames: {shown}, board {pid}, now {lock.read_text()}")
    print(f"{count} malformed SLIP frames: the same board answers", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--malformed", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    random.seed(options.seed)
    with Product(options.build) as product:
        board = run_kills(product, options.kills)
        clock_jumps(board)
        set_clocks(board, product)
        malformed_requests(board, options.malformed)
        full_disk(board, product)
        malformed_frames(product, options.frames, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
