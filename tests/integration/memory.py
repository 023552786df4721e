#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""memory.py BUILD_DIRECTORY: peak memory of packing, signing and verifying a large package, with 1, 2 and 8 threads:
at most 16 MiB more than for a package of one page."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PART = 15 << 20  # A file of a package has less than 16 MiB.
LARGE = 17 * PART
MOST = 16 << 10  # KiB
MANIFEST = {"SchemaVersion": 1, "Name": "memory", "ComponentId": "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",
            "EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"}


class Memory(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sphere-memory")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.runner = self.root / "runner"
        subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-o", self.runner,
                        pathlib.Path(__file__).resolve().parents[1] / "bench/runner.c"], check=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "SOURCE_DATE_EPOCH": "1735689600"}
        self.apps = {"small": self.app("small", 1), "large": self.app("large", LARGE)}

    def app(self, name, size):
        """The program, and files that are mostly holes."""
        app = self.root / name
        (app / "bin").mkdir(parents=True)
        (app / "bin/app").write_bytes(b"memory")
        for number, start in enumerate(range(0, size, PART)):
            with open(app / f"data{number}", "wb") as data:
                data.write(os.urandom(min(size, 1 << 16)))
                data.truncate(min(size - start, PART))
        (app / "app_manifest.json").write_text(json.dumps(MANIFEST), encoding="ascii")
        return app

    def peak(self, *words):
        """KiB."""
        figures = self.root / "figures"
        subprocess.run([self.runner, figures, pathlib.Path(BUILD) / "bin/sphere", "image-package", *words], check=True,
                       env=self.environment, stdin=subprocess.DEVNULL)
        _, _, peak, status = figures.read_text(encoding="ascii").split()
        self.assertEqual(status, "0", words)
        return int(peak)

    def peaks(self, form, jobs):
        """Of each verb: for the small package and for the large one."""
        result = {}
        for size, app in self.apps.items():
            package, other = self.root / f"{size}.{form}", self.root / f"{size}.{form}.other"
            pack = ["pack-application", "--package-directory", app, "--no-check", "--target-api-set", "15", "--format", form,
                    "--output-file", package, "--force", "--no-sync", "-o", "none"]
            threads = ["--jobs", str(jobs), "-o", "none"]
            result.setdefault("pack", []).append(self.peak(*pack))
            result.setdefault("verify", []).append(self.peak("verify", package, *threads))
            result.setdefault("sign in place", []).append(self.peak("sign", package, *threads))
            result.setdefault("sign", []).append(
                self.peak("sign", package, "--output-file", other, "--force", "--no-sync", *threads))
            # A package of format v1 keeps one thread busy.
            result.setdefault("verify both", []).append(self.peak("verify", package, other, *threads))
            package.unlink()
            other.unlink()
        return result

    def test_the_size_of_a_package_costs_no_memory(self):
        for form in ("v1", "v2"):
            for jobs in (1, 2, 8):
                for verb, (small, large) in self.peaks(form, jobs).items():
                    print(f"{form} {verb}{'' if verb == 'pack' else f', {jobs} threads'}: {small} KiB, {large - small} more for {LARGE >> 20} MiB")
                    with self.subTest(form=form, verb=verb, jobs=jobs):
                        self.assertLessEqual(large - small, MOST)


def is_sanitized(program):
    return b"__asan_init" in program.read_bytes() or b"__tsan_init" in program.read_bytes()


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    if not shutil.which("cc"):
        print("SKIPPED: cc is missing: package gcc")
        sys.exit(77)
    if is_sanitized(pathlib.Path(BUILD) / "bin/sphere"):
        print("SKIPPED: a sanitizer's memory is not the program's")
        sys.exit(77)
    unittest.main()
