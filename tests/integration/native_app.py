#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""native_app.py BUILD_DIRECTORY PROBE: a program for this machine's own processor on a virtual board,
under policy production: its report, its crash, its memory, its network."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product, skip  # noqa: E402
from rest import Rest  # noqa: E402


class NativeApp(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.product.run("key", "create", "--name", "developer", "--use", "image", check=False)
        self.product.run("board", "create", "desk")
        self.product.run("board", "start", "desk")
        self.rest = Rest(self.product.home / "run/sphere/boards/desk/rest.sock")

    def deploy(self, *arguments, **capabilities):
        component = str(uuid.uuid4())
        tree = self.product.home / component
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/app").write_bytes(PROBE.read_bytes())
        (tree / "bin/app").chmod(0o755)
        (tree / "app_manifest.json").write_text(json.dumps({
            "SchemaVersion": 1, "Name": "probe", "ComponentId": component, "EntryPoint": "/bin/app",
            "CmdArgs": list(arguments), "Capabilities": capabilities,
            "ApplicationType": "Default"}))
        package = self.product.home / f"{component}.imagepackage"
        self.product.run("image-package", "pack-application", "--package-directory", tree,
                         "--output-file", package, "--key", "developer", "--no-check")
        self.product.run("device", "sideload", "deploy", "--image-package", package)
        return component

    def app(self, component):
        return next(a for a in self.rest.get("/sphere/v1/apps")["apps"] if a["componentId"] == component)

    def wait_for_event(self, category, accept=lambda fields: True, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in self.rest.get("/sphere/v1/events?after=0")["events"]:
                if event["category"] == category and accept(event["fields"]):
                    return event["fields"]
            time.sleep(0.2)
        self.fail(f"no event {category}")

    def test_the_report_says_production_and_every_layer(self):
        component = self.deploy("wait")
        report = self.rest.get(f"/sphere/v1/apps/{component}/sandbox")
        self.assertEqual(report["policy"], "production")
        self.assertTrue(report["passed"])
        self.assertEqual([layer["id"] for layer in report["layers"]],
                         ["L0", "L1", "L2", "L3", "L3b", "L4", "L5", "L6", "L7", "L8", "L9", "L10",
                          "L11", "L12", "L13"])
        for layer in report["layers"]:
            self.assertNotEqual(layer["state"], "absent", layer)
            self.assertTrue(layer["found"], layer)
        self.assertEqual(self.app(component)["state"], "running")
        self.assertGreater(self.app(component)["memoryBytes"], 0)

    def test_a_killed_agent_starts_its_apps_again(self):
        component = self.deploy("wait")
        lock = self.product.home / "state/sphere/boards/desk/lock"
        for _ in range(2):
            board = int(lock.read_text())
            agent = int(pathlib.Path(f"/proc/{board}/task/{board}/children").read_text().split()[0])
            os.kill(agent, signal.SIGKILL)
            self.rest.wait()
            until = time.monotonic() + 20
            while self.app(component)["state"] != "running":
                self.assertLess(time.monotonic(), until, self.rest.get("/sphere/v1/events?after=0"))
                time.sleep(0.1)

    def test_a_crash_has_registers_and_offsets(self):
        self.deploy("crash")
        fields = self.wait_for_event("AppCrash", lambda fields: "pc" in fields)
        self.assertEqual(fields["signo"], 11)
        self.assertEqual(int(fields["fault_address"], 16), 0)
        if os.path.ismount("/"):  # In a chroot the kernel names files by paths outside of it.
            self.assertTrue(fields["pc_module"].endswith("/bin/app"), fields)
            self.assertGreater(int(fields["pc_offset"], 16), 0)
        self.wait_for_event("AppCrash", lambda fields: fields.get("signal_status") == 11)
        self.wait_for_event("AppRestartLoop")

    def test_an_app_beyond_its_memory_is_killed_and_the_reason_told(self):
        component = self.deploy("memory")
        fields = self.wait_for_event("AppCrash", lambda fields: fields.get("limit") == "memory")
        self.assertEqual(fields["signal_status"], 9)
        self.assertIn("256 KiB", fields["reason"])
        last = self.app(component)["lastExit"]
        self.assertEqual(last["kind"], "limit")
        self.assertEqual(last["memory"]["budgetBytes"], 256 * 1024)
        self.assertLessEqual(last["memory"]["usedBytes"], last["memory"]["limitBytes"])
        [row] = self.product.json("device", "app", "show-status", "--component-id", component)
        self.assertIn("out of memory: the app needed more than its 256 KiB", row["lastEnd"])

    def test_an_unhandled_alarm_is_the_watchdog(self):
        component = self.deploy("alarm")
        self.wait_for_event("AppCrash", lambda fields: fields.get("watchdog"))
        self.assertEqual(self.app(component)["lastExit"]["kind"], "watchdog")


if __name__ == "__main__":
    BUILD, PROBE = sys.argv[1], pathlib.Path(sys.argv[2])
    check = subprocess.run([BUILD + "/bin/sphered", "check", "--json"], capture_output=True, text=True)
    if check.returncode != 0:
        refused = [row for row in json.loads(check.stdout or '{"native": []}')["native"] if row["refused"]]
        skip(f"policy production: {refused[:1] or check.stderr.strip()}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
