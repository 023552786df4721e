#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""growth.py BUILD_DIRECTORY [TURNS]: what a long life costs. The same work again and again: packages that come and
go, settings, logs, refused requests, connections over a SLIP link that `sphere link serve` holds. Memory that
does not stop growing, and descriptors or threads that stay, are found in agent, board and service."""
import contextlib
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "bench")]
from link_boards import package, wait_for  # noqa: E402
from product import Failed, Product  # noqa: E402
from rest import Refused, Rest  # noqa: E402
from rest_clients import agent_of, settled, size_of  # noqa: E402

# Pages of the C library's heap that come and go: more than this in each of the rounds is growth.
MOST_KB = 256
ROUNDS = 4
WARM_UP = 6  # Times as much work in the first round: heaps and caches reach their size.


def work(board, served, packages, component, turn):
    """One turn; everything that it makes it takes away again."""
    board.stage(packages[turn % 2])
    board.request("POST", "/update/install", {"appControlMode": "Manual"})
    board.delete(component)
    made = board.request("POST", "/wifi/config/networks", {"ssid": f"n{turn}", "securityState": "open"})
    board.request("DELETE", f"/wifi/config/networks/{made['id']}")
    for refused in (lambda: board.request("PATCH", f"/app/status/{component}", {"trigger": "start"}),
                    lambda: board.stage(packages[0][:-1]), lambda: board.get("/nothing")):
        with contextlib.suppress(Refused):
            refused()
    for target in ("/log", "/telemetry", "/images", "/sphere/v1/apps", "/sphere/v1/events?after=0", "/sphere/v1/log"):
        board.get(target)
    for _ in range(3):
        served.get("/status")


def measure(pids, before):
    """After what ends a moment later than the last answer."""
    return {name: settled(pid, before[name], 1) for name, pid in pids.items()}


def check(sizes):
    """Growth that every round but the first, which fills caches and heaps, has added to."""
    for name in sizes[0]:
        rows = [size[name] for size in sizes]
        print(f"{name}: RSS {' '.join(str(row['RSS']) for row in rows)} KiB, descriptors "
              f"{rows[-1]['descriptors']}, threads {rows[-1]['threads']}", flush=True)
        steps = [after["RSS"] - before["RSS"] for before, after in zip(rows[1:], rows[2:])]
        if min(steps) > MOST_KB:
            raise Failed(f"{name} grows with each round: {steps} KiB")
        for key in ("descriptors", "threads"):
            if rows[-1][key] > rows[-2][key] > rows[-3][key]:
                raise Failed(f"{name} keeps {key}: {[row[key] for row in rows]}")


def main(build, turns="50"):
    with Product(build) as product:
        product.run("board", "create", "desk")
        product.run("board", "start", "desk")
        packages = [package(product, size, "grown").read_bytes() for size in (2_000, 300_000)]
        service = product.start("link", "serve", "--no-http")
        try:
            serving(product, service, packages, int(turns))
        finally:
            service.send_signal(signal.SIGINT)
            service.communicate(timeout=30)
    return 0


def serving(product, service, packages, turns):
    runtime = product.home / "run/sphere"
    wait_for(lambda: (runtime / "link.sock").exists() and [
        row for row in product.json("link", "status") if row["state"] == "open"], 30)
    [row] = product.json("link", "status")
    socket = runtime / "boards" / row["connectionPath"] / "443.sock"
    wait_for(socket.exists)
    board, served = Rest(runtime / "boards/desk/rest.sock"), Rest(socket)
    board.stage(packages[0])
    board.request("POST", "/update/install", {"appControlMode": "Manual"})
    [component] = board.images()
    agent = agent_of(product)
    pids = {"sphered": agent, "sphere-board": int((product.home / "state/sphere/boards/desk/lock").read_text()),
            "sphere link serve": service.pid}
    sizes = [{name: size_of(pid) for name, pid in pids.items()}]
    for round_number in range(ROUNDS):
        for turn in range(turns if round_number else WARM_UP * turns):
            work(board, served, packages, component, turn)
        sizes.append(measure(pids, sizes[-1]))
    if agent_of(product) != agent:
        raise Failed("the agent has been replaced")
    check(sizes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
