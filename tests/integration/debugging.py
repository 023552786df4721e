#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""debugging.py BUILD_DIRECTORY native|arm: gdb at an app on a virtual board: breakpoint, variable, continue,
detach; a gdb that is killed; both ports in any order; stop of an app that stands; what the app still may not."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Product, skip  # noqa: E402
from rest import Refused, Rest  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parent / "debug_probe.c"


class Debugging(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.program = self.product.home / "probe"
        subprocess.run([COMPILER, "-g", "-O0", "-static", "-o", self.program, SOURCE, "-pthread"], check=True)
        self.product.run("key", "create", "--name", "developer", "--use", "image", check=False)
        self.product.run("board", "create", "desk")
        self.product.run("board", "start", "desk")
        self.runtime = self.product.home / "run/sphere/boards/desk"
        self.gdb_socket = self.runtime / "2345.sock"
        self.rest = Rest(self.runtime / "rest.sock")

    def deploy(self, *arguments):
        component = str(uuid.uuid4())
        tree = self.product.home / component
        (tree / "bin").mkdir(parents=True)
        shutil.copy(self.program, tree / "bin/app")
        (tree / "app_manifest.json").write_text(json.dumps({
            "SchemaVersion": 1, "Name": "probe", "ComponentId": component, "EntryPoint": "/bin/app",
            "CmdArgs": list(arguments), "Capabilities": {}, "ApplicationType": "Default"}))
        package = self.product.home / f"{component}.imagepackage"
        self.product.run("image-package", "pack-application", "--package-directory", tree,
                         "--output-file", package, "--key", "developer", "--no-check")
        self.product.run("device", "sideload", "deploy", "--image-package", package, "--manual-start")
        return component

    def debug(self, *arguments):
        component = self.deploy(*arguments)
        self.assertEqual(self.trigger(component, "startDebug"),
                         {"state": "debugging", "gdbPort": 2345, "outPort": 2342})
        return component

    def trigger(self, component, what):
        return self.rest.request("PATCH", f"/app/status/{component}", {"trigger": what})

    def status(self, component):
        return self.rest.get(f"/sphere/v1/apps/{component}/debug")

    def arguments(self, *commands):
        told = ["set confirm off", f"set sysroot {self.product.home}", f"file {self.program}",
                f"target remote {self.gdb_socket}", *commands]
        return ["gdb-multiarch", "-nx", "-batch", *(word for line in told for word in ("-ex", line))]

    def gdb(self, *commands, seconds=60):
        done = subprocess.run(self.arguments(*commands), capture_output=True, text=True, timeout=seconds)
        return done.stdout + done.stderr

    def connect(self, port):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.runtime / f"{port}.sock"))
        return client

    def wait_for_state(self, component, state, seconds=20):
        until = time.monotonic() + seconds
        while self.rest.state(component) != state:
            self.assertLess(time.monotonic(), until, self.rest.state(component))
            time.sleep(0.05)

    def rounds(self, component):
        lines = [line for line in self.product.output(component).split("\n") if line.startswith("round ")]
        return int(lines[-1].split()[1]) if lines else -1

    def assert_goes_on(self, component):
        before = self.rounds(component)
        until = time.monotonic() + 20
        while self.rounds(component) <= before:
            self.assertLess(time.monotonic(), until, "the app does not go on")
            time.sleep(0.2)

    def test_breakpoint_variable_continue_detach(self):
        component = self.debug()
        self.assertTrue(self.status(component)["waitingForGdb"])
        self.assertEqual(self.product.output(component), "")  # It stands at its first instruction.
        said = self.gdb("break step_on", "continue", "print value", "continue", "print value", "finish",
                        "delete", "detach")
        self.assertIn("hit Breakpoint 1, step_on (value=0)" if "Thread" in said else
                      "Breakpoint 1, step_on (value=0)", said)
        self.assertIn("$1 = 0\n", said)
        self.assertIn("$2 = 1\n", said)
        self.assertIn("= 2\n", said)  # What it returned.
        self.wait_for_state(component, "running")
        self.assertFalse(self.gdb_socket.exists())
        self.assert_goes_on(component)
        self.assertIn("tracing: -1", self.product.output(component))  # ptrace() stays refused.

    def test_threads_are_seen_and_native_ones_stand_together(self):
        component = self.debug("threads")
        said = self.gdb("break step_on if value == 3", "continue", "info threads", "print other",
                        "shell sleep 0.3", "print other", "delete", "detach")
        self.assertIn("value=3", said)
        self.assertIn("  2 ", said)
        first, second = (int(line.split("=")[1]) for line in said.splitlines() if line.startswith("$"))
        if MACHINE == "native":
            self.assertEqual(first, second)
        else:  # The emulator stops the thread that met the breakpoint, and no other.
            self.assertGreater(second, first)
        self.wait_for_state(component, "running")

    def test_a_killed_gdb_leaves_an_app_that_can_be_debugged_on(self):
        component = self.debug()
        gdb = subprocess.Popen(self.arguments("break step_on", "continue", "shell echo at-breakpoint",
                                              "shell sleep 100"), stdout=subprocess.PIPE, text=True)
        for line in gdb.stdout:
            if "at-breakpoint" in line:
                break
        gdb.send_signal(signal.SIGKILL)
        gdb.wait()
        gdb.stdout.close()
        self.assertEqual(self.rest.state(component), "debugging")
        said = self.gdb("print value", "detach")
        self.assertIn("$1 = 0", said)
        self.assert_goes_on(component)  # The breakpoint has gone with the gdb that set it.

    def test_a_gdb_killed_while_the_app_runs(self):
        component = self.debug()
        gdb = subprocess.Popen(self.arguments("continue"), stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while self.rounds(component) < 20:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        gdb.send_signal(signal.SIGKILL)
        gdb.wait()
        self.assert_goes_on(component)
        said = self.gdb("print rounds > 5", "detach")  # A new one finds it standing.
        self.assertIn("$1 = 1", said)
        self.wait_for_state(component, "running")

    def test_stop_of_an_app_that_stands(self):
        component = self.debug()
        self.assertEqual(self.trigger(component, "stop"), {"state": "stopped"})
        self.assertFalse(self.gdb_socket.exists())
        component_again = self.trigger(component, "startDebug")
        self.assertEqual(component_again["state"], "debugging")
        self.assertEqual(self.trigger(component, "start"), {"state": "running"})
        self.assert_goes_on(component)

    def test_one_app_at_a_time(self):
        component = self.debug()
        with self.assertRaises(Refused) as refused:
            self.trigger(component, "startDebug")
        self.assertEqual(refused.exception.status, 409)
        self.assertIn(component, refused.exception.body["message"])
        self.assertEqual(self.rest.state(component), "debugging")

    def test_a_program_that_ends_stays_stopped(self):
        component = self.debug("exit")
        self.assertIn("exited with code 07", self.gdb("continue"))
        self.wait_for_state(component, "stopped")
        last = next(a for a in self.rest.get("/sphere/v1/apps")["apps"]
                    if a["componentId"] == component)["lastExit"]
        self.assertEqual((last["kind"], last["code"]), ("exit", 7))

    def test_a_crash_stops_in_gdb_first(self):
        component = self.debug("crash")
        said = self.gdb("continue", "print value", "continue")
        self.assertIn("SIGSEGV", said)
        self.assertIn("$1 = 5", said)
        self.wait_for_state(component, "stopped")

    def ended(self, component):
        """The row of `device app show-status` once the app has ended."""
        until = time.monotonic() + 20
        while True:
            [row] = self.product.json("device", "app", "show-status", "--component-id", component,
                                      "--symbols", self.program)
            if row["lastEnd"]:
                return row
            self.assertLess(time.monotonic(), until, row)
            time.sleep(0.1)

    def test_an_end_is_told_with_its_place_and_reason(self):
        for mode, texts in (("crash", ["signal 11 (SIGSEGV)"]), ("exit", ["exit code 7"]),
                            ("alarm", ["watchdog: signal 14 (SIGALRM)"])):
            with self.subTest(mode):
                component = self.deploy(mode)
                self.product.run("device", "app", "start", "--component-id", component)
                row = self.ended(component)
                if mode == "crash" and MACHINE == "native":
                    texts = [*texts, "nothing is mapped at 0x0"]
                    if os.path.ismount("/"):  # In a chroot the kernel names files by paths outside of it.
                        line = next(number for number, text in enumerate(SOURCE.read_text().split("\n"), 1)
                                    if "(volatile int*)0" in text)
                        texts += ["/bin/app+0x", f"main (debug_probe.c:{line})"]
                for text in texts:
                    self.assertIn(text, row["lastEnd"])
                self.assertIsNone(row["gdbAddress"])
                shown = self.product.run("device", "app", "show-status", "--component-id", component,
                                         "--output", "table").stdout
                self.assertIn("last end: ", shown)
                self.rest.delete(component)

    def test_the_ports_of_a_debugged_app_are_shown(self):
        component = self.debug()
        [row] = self.product.json("device", "app", "show-status", "--component-id", component)
        self.assertEqual((row["state"], row["gdbPort"], row["outPort"]), ("debugging", 2345, 2342))
        self.assertEqual(row["gdbAddress"], str(self.gdb_socket))
        shown = self.product.run("device", "app", "show-status", "--output", "table").stdout
        self.assertIn(f"gdb: {self.gdb_socket}", shown)

    def project(self, *arguments):
        """A project whose cmake has built already."""
        component = self.deploy(*arguments)
        project = self.product.home / "project"
        (project / "out").mkdir(parents=True)
        (project / "CMakePresets.json").write_text('{"configurePresets": [{"name": "ARM-Debug"}]}')
        shutil.copy(self.product.home / f"{component}.imagepackage", project / "out/probe.imagepackage")
        shutil.copy(self.program, project / "out/probe.out")
        tools = self.product.home / "tools"
        tools.mkdir()
        (tools / "cmake").write_text(
            f"#!/bin/sh\necho '-- Build files have been written to: {project}/out'\n")
        (tools / "gdb-multiarch").write_text(
            f"#!/bin/sh\nexec {shutil.which('gdb-multiarch')} -nx -batch \"$@\" -ex 'break step_on' "
            "-ex continue -ex 'print value' -ex 'info line' -ex delete -ex detach\n")
        for tool in tools.iterdir():
            tool.chmod(0o755)
        sdk = self.product.home / "sdk"
        (sdk / "CMakeFiles").mkdir(parents=True)
        self.product.environment["AzureSphereDefaultSDKDir"] = f"{sdk}/"
        self.product.environment["PATH"] = f"{tools}:{self.product.environment['PATH']}"
        return component, project

    def test_project_run_starts_gdb_at_the_app(self):
        component, project = self.project()
        said = self.product.run("project", "run", project, "--gdb")
        self.assertIn("$1 = 0\n", said.stdout)
        self.assertIn("debug_probe.c", said.stdout)  # With the symbols of the build.
        self.wait_for_state(component, "running")

    def test_project_run_tells_a_crash(self):
        _, project = self.project("crash")
        run = self.product.run("project", "run", project, "--output", "json", status=1)
        self.assertIn("signal 11 (SIGSEGV)", json.loads(run.stdout)["lastEnd"])
        following = self.product.start("project", "run", project, "--follow")
        warned = ""
        while "has ended at" not in warned:
            line = following.stderr.readline()
            self.assertTrue(line, warned)
            warned += line
        self.assertIn("signal 11 (SIGSEGV)", warned)
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=30)

    def test_ports_in_any_order_again_and_again(self):
        component = self.debug()
        for turn in range(25):
            ports = (2342, 2345) if turn % 2 == 0 else (2345, 2342)
            clients = {port: self.connect(port) for port in ports}
            clients[2345].sendall(b"$qC#b4")
            answer = b""
            while b"QC" not in answer:
                piece = clients[2345].recv(64)
                self.assertTrue(piece, f"turn {turn}: {answer}")
                answer += piece
            for client in clients.values():
                client.close()
        self.assertEqual(self.rest.state(component), "debugging")

    def test_output_port_keeps_what_nobody_read(self):
        component = self.debug()
        gdb = subprocess.Popen(self.arguments("continue"), stdout=subprocess.DEVNULL)
        self.addCleanup(gdb.wait)
        self.addCleanup(gdb.kill)
        until = time.monotonic() + 20
        while self.rounds(component) < 10:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        with self.connect(2342) as reader:
            text = b""
            while b"round 30" not in text:
                text += reader.recv(4096)
        self.assertIn(b"round 0\n", text)

    def test_garbage_does_no_harm(self):
        component = self.debug()
        with self.connect(2345) as client:
            client.sendall(b"\x03+-$#00$zzzz#00" + b"$m" + b"f" * 40000 + b"#00" + os.urandom(20000))
        said = self.gdb("print 1 + 1", "detach")
        self.assertIn("$1 = 2", said)
        self.assert_goes_on(component)


if __name__ == "__main__":
    BUILD, MACHINE = sys.argv[1], sys.argv[2]
    COMPILER = {"native": "musl-gcc", "arm": "arm-linux-gnueabihf-gcc"}[MACHINE]
    for tool in ("gdb-multiarch", COMPILER, *(["qemu-arm-static"] if MACHINE == "arm" else [])):
        if not shutil.which(tool):
            skip(f"no {tool}")
    check = subprocess.run([BUILD + "/bin/sphered", "check", "--json"], capture_output=True, text=True)
    if MACHINE == "native" and check.returncode != 0:
        refused = [row for row in json.loads(check.stdout or '{"native": []}')["native"] if row["refused"]]
        print(f"reduced mode: {refused[:1] or check.stderr.strip()}", flush=True)
    if subprocess.run([COMPILER, "-static", "-o", "/dev/null", SOURCE, "-pthread"]).returncode != 0:
        skip(f"{COMPILER} makes no static programs")
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
