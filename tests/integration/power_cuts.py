#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""power_cuts.py BUILD_DIRECTORY VECTORS: SIGKILL at random moments of stage, install and delete, for
sphered and for the whole board. Afterwards the board has the old state or the new one, never another,
and goes on. SPHERE_POWER_CUTS: how many cuts of sphered (default 100; a fifth as many of the board).
SPHERE_SEED: of the random moments; printed, so that a failure can be repeated."""
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from blink_variants import COMPONENT, Variants  # noqa: E402
from product import Failed, Product  # noqa: E402
from rest import Gone, Refused, Rest  # noqa: E402

BOARD = "cut"


class Cutter:
    def __init__(self, product, variants):
        self.product = product
        self.rest = Rest(product.home / f"run/sphere/boards/{BOARD}/rest.sock")
        self.directory = product.home / f"state/sphere/boards/{BOARD}"
        image_ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2)]
        self.packages = [
            variants.pack(f"v{n}", component=COMPONENT, padding=size, image_id=image_id).read_bytes()
            for n, (size, image_id) in enumerate(zip((30_000, 3_000_000), image_ids))]
        self.states = [{COMPONENT: image_id} for image_id in image_ids]
        self.outcomes = {"old": 0, "new": 0, "late": 0}

    def board_pid(self):
        return int((self.directory / "lock").read_text())

    def agent_pid(self):
        pid = self.board_pid()
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def update(self, package):
        self.rest.stage(package)
        self.rest.install()

    def remove(self):
        self.rest.delete(COMPONENT)

    def interrupted(self, change, kill, delay):
        """Runs `change` while `kill` strikes after `delay` seconds. True: it was done before. (An
        answer that comes later may be the next run's, which has nothing staged.)"""
        done = threading.Event()

        def run():
            try:
                change()
                done.set()
            except (Gone, Refused):
                pass
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(delay)
        before = done.is_set()
        kill()
        thread.join(30)
        if thread.is_alive():
            raise Failed("a request to a dead board does not end")
        return before

    def cut(self, kill, again, longest):
        old = self.rest.images()
        if old and random.random() < 0.3:
            change, new = self.remove, {}
        else:
            which = self.states.index(old) ^ 1 if old else random.randrange(2)
            change, new = lambda: self.update(self.packages[which]), self.states[which]
        done = self.interrupted(change, kill, random.uniform(0, longest))
        again()
        self.rest.wait()
        now = self.rest.images()
        if now not in (old, new) or (done and now != new):
            raise Failed(f"from {old} to {new}, but now {now} (answered before: {done})")
        self.outcomes["late" if done else "new" if now == new else "old"] += 1
        for component in now:
            self.wait_running(component)
        left = [path.name for path in (self.directory / "apps/staged").iterdir()]
        if left:
            raise Failed(f"staged packages survived the cut: {left}")
        images = list((self.directory / "apps/images").iterdir())
        if len(images) != len(now):
            raise Failed(f"{len(images)} package files for {len(now)} apps")

    def wait_running(self, component):
        until = time.monotonic() + 30
        while self.rest.state(component) != "running":
            if time.monotonic() > until:
                raise Failed(f"app {component} is {self.rest.state(component)}")
            time.sleep(0.02)

    def kill_agent(self):
        pid = self.agent_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def kill_board(self):
        pid = self.board_pid()
        os.kill(pid, signal.SIGKILL)
        while pathlib.Path(f"/proc/{pid}/stat").exists() and ") Z " not in pathlib.Path(
                f"/proc/{pid}/stat").read_text():
            time.sleep(0.005)

    def start(self):
        self.product.run("board", "start", BOARD)

    def restart_board(self):
        self.product.run("board", "stop", BOARD)
        self.start()


def main(build, vectors):
    rounds = int(os.environ.get("SPHERE_POWER_CUTS", "100"))
    seed = int(os.environ.get("SPHERE_SEED", time.time_ns() % 1_000_000))
    print(f"SPHERE_SEED={seed}", flush=True)
    random.seed(seed)
    with Product(build) as product:
        product.need_sdk()
        cutter = Cutter(product, Variants(product, vectors))
        product.run("board", "create", BOARD)
        cutter.start()
        begin = time.monotonic()
        cutter.update(cutter.packages[1])
        longest = 1.3 * (time.monotonic() - begin)
        for turn in range(rounds):
            if turn % 5 == 4:
                cutter.restart_board()  # Else the supervisor makes each further start wait.
            cutter.cut(cutter.kill_agent, lambda: None, longest)
        print(f"sphered: {cutter.outcomes}", flush=True)
        cutter.outcomes = dict.fromkeys(cutter.outcomes, 0)
        for _ in range(rounds // 5):
            cutter.cut(cutter.kill_board, cutter.start, longest)
        print(f"board: {cutter.outcomes}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
