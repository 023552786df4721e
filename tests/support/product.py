# SPDX-License-Identifier: MIT
"""Drives the built programs as a user would, in a home of their own.

    with Product(build_directory) as product:
        product.run("board", "create", "demo")
        product.json("device", "list-attached")

Every Product has its own XDG directories below one temporary folder; leaving the block stops its
boards and removes the folder. A test that cannot run on this machine calls skip().
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time


def skip(reason):
    """Ends the test as skipped (or failed, where CI must not skip)."""
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(1 if os.environ.get("SPHERE_TEST_REQUIRE") else 77)


class Failed(Exception):
    """A command ended otherwise than the test expects."""


class Product:
    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.bin = self.build / "bin"
        self.sdk = self.build / "sdk"
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sphere-test."))
        self.environment = {
            "PATH": f"{self.bin}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AzureSphereDefaultSDKDir": f"{self.sdk}/",
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
        }
        (self.home / "run").mkdir(mode=0o700)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop_boards()
        shutil.rmtree(self.home, ignore_errors=True)

    def stop_boards(self):
        listed = self.run("board", "list", "--output", "json", check=False)
        if listed.returncode == 0:
            for board in json.loads(listed.stdout):
                self.run("board", "stop", board["name"], check=False)

    def need_sdk(self):
        """Skips unless the SDK folder and the emulator are there."""
        if not (self.sdk / "Runtime/armhf").is_dir():
            skip("no SDK folder: build with SPHERE_SDK_TREE=ON")
        if not shutil.which("qemu-arm-static"):
            skip("no qemu-arm-static: install the Debian package qemu-user-static")

    def start(self, *arguments, **options):
        """Starts `sphere ARGUMENTS` and returns the running process, output and errors piped."""
        return subprocess.Popen(
            [str(self.bin / "sphere"), *map(str, arguments)], env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, *arguments, check=True, status=None, timeout=60, **options):
        """Runs `sphere ARGUMENTS` to its end. check: exit 0 expected; status: that one instead."""
        process = self.start(*arguments, **options)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            raise Failed(f"sphere {' '.join(map(str, arguments))}: no end within {timeout} s\n"
                         f"{output}{errors}") from None
        expected = status if status is not None else 0
        if (check or status is not None) and process.returncode != expected:
            raise Failed(f"sphere {' '.join(map(str, arguments))}: exit {process.returncode}, "
                         f"expected {expected}\n{output}{errors}")
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--output", "json", **options).stdout)

    def error(self, *arguments, status=1, **options):
        """Runs a command that must fail and returns its error object."""
        run = self.run(*arguments, "--output", "json", status=status, **options)
        return json.loads(run.stdout)["error"]

    def edges(self, board, seconds, peripheral="gpio8"):
        """Edges of a pin seen within `seconds` from the first one on: [(atUs, level), ...]."""
        process = self.start("board", "peripheral", "watch", board, "--peripheral", peripheral,
                             "--output", "json")
        nothing = threading.Timer(30, process.kill)
        nothing.start()
        lines = [process.stdout.readline()]
        nothing.cancel()
        if lines != [""]:
            time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        lines += process.stdout.read().splitlines()
        process.wait(30)
        process.stderr.close()
        rows = [json.loads(line) for line in lines if line.strip()]
        return [(row["atUs"], row["level"]) for row in rows if "atUs" in row]

    def output(self, component):
        """What an app has printed so far, as one text."""
        rows = self.json("device", "app", "show-output", "--component-id", component)
        return "\n".join(row["text"] for row in rows)

    def wait_for_output(self, component, text, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if text in self.output(component):
                return
            time.sleep(0.1)
        raise Failed(f"app {component} did not print {text!r} within {seconds} s:\n"
                     f"{self.output(component)}")
