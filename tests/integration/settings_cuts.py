#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""settings_cuts.py BUILD_DIRECTORY [CUTS]: the agent is killed at random instants while settings are
written. What it has confirmed is there afterwards, and nothing that nobody asked for."""
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402
from rest import Gone, Refused, Rest  # noqa: E402

NETWORKS = "/wifi/config/networks"


class Cutter:
    def __init__(self, product):
        self.product = product
        product.run("board", "create", "desk")
        product.run("board", "start", "desk")
        self.rest = Rest(product.home / "run/sphere/boards/desk/rest.sock")
        self.networks, self.port = {}, 0  # What was confirmed last.
        begin = time.monotonic()
        self.rest.get(NETWORKS)
        self.longest = 10 * (time.monotonic() - begin)  # Some changes on this machine.

    def agent(self):
        pid = int((self.product.home / "state/sphere/boards/desk/lock").read_text())
        return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def kill_soon(self, seconds):
        """The thread that kills the agent, and what it sets then."""
        pid, killed = self.agent(), threading.Event()

        def kill():
            os.kill(pid, signal.SIGKILL)
            killed.set()
        thread = threading.Timer(seconds, kill)
        thread.start()
        return thread, killed

    def cut(self, number):
        """Changes settings until the agent is gone; then both stores are as confirmed, or one step on."""
        killer, killed = self.kill_soon(random.uniform(0, self.longest))
        asked, asked_port, step = dict(self.networks), self.port, -1
        while not killed.is_set():  # A kill between two requests is noticed by none of them.
            step += 1
            try:
                if self.networks and step % 3 == 2:
                    victim = random.choice(list(self.networks))
                    asked = {key: value for key, value in self.networks.items() if key != victim}
                    self.rest.request("DELETE", f"{NETWORKS}/{victim}")
                    self.networks = asked
                elif len(self.networks) < 20:
                    name = f"n{number}-{step}"
                    free = min(set(range(64)) - set(self.networks))
                    asked = {**self.networks, free: name}
                    self.rest.request("POST", NETWORKS, {"ssid": name, "securityState": "open"})
                    self.networks = asked
                asked_port = random.randrange(65536)
                self.rest.request("POST", "/net/proxy", {
                    "enabled": True, "address": "a", "port": asked_port, "authenticationType": "anonymous"})
                self.port = asked_port
            except (Gone, Refused):
                break
        killer.join()
        self.rest.wait()
        found = {row["id"]: row["ssid"] for row in self.rest.get(NETWORKS)["values"]}
        port = self.rest.get("/net/proxy").get("port", 0)
        if found not in (self.networks, asked) or port not in (self.port, asked_port):
            raise AssertionError(f"cut {number}: confirmed {self.networks} {self.port}, asked {asked} "
                                 f"{asked_port}, found {found} {port}")
        self.networks, self.port = found, port
        print(f"cut {number}: {len(found)} networks", flush=True)


def main(build, cuts="15"):
    with Product(build) as product:
        cutter = Cutter(product)
        begin = time.monotonic()
        for number in range(int(cuts)):
            if number % 5 == 4:  # Else the supervisor makes each further start wait.
                product.run("board", "stop", "desk")
                product.run("board", "start", "desk")
            cutter.cut(number)
        for path in (product.home / "state/sphere/boards/desk/network").glob("*.json"):
            json.loads(path.read_text())
        print(f"{cuts} cuts, nothing lost, {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
