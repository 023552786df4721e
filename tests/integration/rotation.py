#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rotation.py BUILD_DIRECTORY PROBE: keys of a board rotated by trust-store images. T17: no such image
is taken without the signature of the store before it, none that is older, and a kill at any moment
leaves the old store or the new one. SPHERE_POWER_CUTS: how many kills (default 40). SPHERE_SEED: of
their moments; printed."""
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product  # noqa: E402
from rest import Gone, Refused, Rest  # noqa: E402

STORE = "cf60860e-e243-8ce9-8213-b188e7a0e155"
UNTRUSTED = 7340047


class Rotation(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        for name, use in (("owner", "trust-store"), ("safe", "trust-store"), ("a", "image"), ("b", "image")):
            self.product.run("key", "create", "--name", name, "--use", use)
        # The stranger's keys are made elsewhere, so that no board knows them.
        with Product(BUILD) as elsewhere:
            elsewhere.run("key", "create", "--name", "stranger", "--use", "trust-store")
            self.stranger = self.product.home / "stranger.pem"
            self.stranger.touch(mode=0o600)
            self.stranger.write_bytes((elsewhere.home / "data/sphere/keys/stranger.pem").read_bytes())
        self.product.run("board", "create", "desk")
        self.product.run("board", "start", "desk")
        self.directory = self.product.home / "state/sphere/boards/desk"
        self.rest = Rest(self.product.home / "run/sphere/boards/desk/rest.sock")

    def store(self, name, *options, key="owner"):
        package = self.product.home / f"{name}.imagepackage"
        self.product.run("image-package", "pack-trust-store", "--key", key, "--output-file", package, *options)
        return package

    def app(self, key):
        component = str(uuid.uuid4())
        tree = self.product.home / component
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/app").write_bytes(PROBE.read_bytes())
        (tree / "app_manifest.json").write_text(json.dumps({
            "SchemaVersion": 1, "Name": "probe", "ComponentId": component, "EntryPoint": "/bin/app",
            "CmdArgs": ["wait"], "Capabilities": {}, "ApplicationType": "Default"}), encoding="ascii")
        package = self.product.home / f"{component}.imagepackage"
        self.product.run("image-package", "pack-application", "--package-directory", tree, "--output-file", package,
                         "--key", key, "--no-check", "--target-api-set", "15")
        return package, component

    def deploy(self, package):
        return self.product.json("device", "sideload", "deploy", "--image-package", package, "--manual-start")

    def refused(self, package):
        """By the tool's advice and, past the tool, by the board itself."""
        error = self.product.error("device", "sideload", "deploy", "--image-package", package, "--manual-start")
        self.assertEqual(error["code"], "package.untrusted", error)
        before = self.kept()
        with self.assertRaises(Refused) as refusal:
            self.rest.stage(package.read_bytes())
        self.assertEqual(refusal.exception.code, UNTRUSTED)
        self.assertEqual(self.kept(), before)
        return refusal.exception.body["message"]

    def kept(self):
        """Everything of the board's trust stores."""
        return {path.name: path.read_bytes() for path in sorted((self.directory / "trust/store").glob("*"))}

    def version(self):
        rows = {row["uid"]: row["name"] for row in self.rest.get("/images")["components"]}
        return int(rows[STORE].split()[1]) if STORE in rows else 0

    def first_store(self):
        return self.store("one", "--add", "trust-store=owner", "--add", "trust-store=safe", "--add", "production=a")

    def test_T17_keys_are_rotated(self):
        one = self.first_store()
        two = self.store("two", "--base", one, "--add", "production=b,Line 2", "--revoke", "a")
        before, component = self.app("a")
        self.refused(before)  # The developer's key is the only one so far.
        deployed = self.deploy(one)
        self.assertEqual((deployed["componentId"], deployed["state"]), (STORE, None))
        self.assertEqual(self.version(), 1)
        self.deploy(before)
        state = self.rest.state(component)
        self.assertIn("no trusted key", self.refused(self.app("developer")[0]))

        self.deploy(two)
        self.assertEqual(self.version(), 2)
        self.assertEqual(self.rest.state(component), state)  # What is there stays.
        self.assertIn("no trusted key", self.refused(self.app("a")[0]))
        after, _ = self.app("b")
        self.deploy(after)

        # Older or equal: refused, whoever signed it.
        self.assertIn("not above 2", self.refused(one))
        self.assertIn("not above 2", self.refused(two))
        self.assertIn("not above 2", self.refused(self.store("again", "--base", one, key="safe")))
        # Keys for another use, and a stranger's, though the new store names it.
        for name in ("a", "b", "developer"):
            wrong = self.store(f"by-{name}", "--base", two,
                               key=self.product.home / f"data/sphere/keys/{name}.pem")
            self.refused(wrong)
        self.assertIn("another use", self.refused(self.product.home / "by-b.imagepackage"))
        self.refused(self.store("strange", "--base", two, "--add", f"trust-store={self.stranger}", key=self.stranger))
        damaged = self.product.home / "damaged.imagepackage"
        good = self.store("three", "--base", two, key="safe")
        content = bytearray(good.read_bytes())
        for offset in range(0, len(content), len(content) // 50):
            content[offset] ^= 4
            damaged.write_bytes(content)
            with self.assertRaises(Refused):
                self.rest.stage(damaged.read_bytes())
            content[offset] ^= 4

        self.product.run("device", "restart", "--wait")
        self.assertEqual(self.version(), 2)
        self.refused(self.app("a")[0])
        self.deploy(good)
        self.assertEqual(self.version(), 3)

    def test_T17_a_board_without_an_owner_takes_none(self):
        for path in (self.directory / "trust/trust-store").iterdir():
            path.unlink()
        self.refused(self.first_store())
        self.assertEqual(self.version(), 0)

    def test_a_trust_store_is_not_deleted(self):
        self.deploy(self.first_store())
        error = self.product.error("device", "sideload", "delete", "--component-id", STORE, status=2)
        self.assertIn("never deleted", error["message"])
        self.assertEqual(self.version(), 1)

    def agent(self):
        pid = int((self.directory / "lock").read_text())
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def update(self, package):
        self.rest.stage(package)
        self.rest.install()

    def cut(self, package, delay):
        """Kills the agent after `delay` seconds of an update. True: it was done before."""
        done = threading.Event()

        def run():
            try:
                self.update(package)
                done.set()
            except (Gone, Refused):
                pass
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(delay)
        before = done.is_set()
        os.kill(self.agent(), signal.SIGKILL)
        thread.join(40)
        self.assertFalse(thread.is_alive())
        self.rest.wait()
        return before

    def test_T17_a_kill_leaves_the_old_store_or_the_new_one(self):
        rounds = int(os.environ.get("SPHERE_POWER_CUTS", "40"))
        seed = int(os.environ.get("SPHERE_SEED", time.time_ns() % 1_000_000))
        print(f"SPHERE_SEED={seed}", flush=True)
        generator = random.Random(seed)
        apps = [self.app(name)[0].read_bytes() for name in ("a", "b")]
        base = self.first_store()
        begin = time.monotonic()
        self.update(base.read_bytes())
        longest = 1.5 * (time.monotonic() - begin)
        outcomes = {"old": 0, "new": 0, "late": 0}
        for turn in range(rounds):
            old = self.version()
            # Even versions trust b alone, odd ones a.
            add, remove = ("b", "a") if old % 2 else ("a", "b")
            package = self.store(f"cut-{turn}", "--base", base, "--add", f"production={add}", "--remove", remove)
            done = self.cut(package.read_bytes(), generator.uniform(0, longest))
            now = self.version()
            self.assertIn(now, (old, old + 1))
            self.assertTrue(now == old + 1 or not done)
            outcomes["late" if done else "new" if now > old else "old"] += 1
            base = package if now > old else base
            taken = []
            for app in apps:
                try:
                    self.rest.stage(app)
                    taken.append(True)
                except Refused as refusal:
                    self.assertEqual(refusal.code, UNTRUSTED)
                    taken.append(False)
            self.assertEqual(taken, [now % 2 == 1, now % 2 == 0])
            self.assertNotIn("staged", self.kept())
            if turn % 5 == 4:  # Else the supervisor makes each further start wait.
                self.product.run("board", "stop", "desk")
                self.product.run("board", "start", "desk")
        print(outcomes, flush=True)


if __name__ == "__main__":
    BUILD, PROBE = sys.argv[1], pathlib.Path(sys.argv[2])
    unittest.main(argv=sys.argv[:1], verbosity=2)
