#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""disk_faults.py BUILD_DIRECTORY: batches over a disk that fails for one of their files, and kills between
naming a finished file and moving it to its place; tests/support/failing_disk.c plays the disk."""
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

COUNT = 12
BAD = 3
MANIFEST = {"SchemaVersion": 1, "Name": "disk", "ComponentId": "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",
            "EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"}
CODES = {errno.ENOSPC: "local.no-space", errno.EDQUOT: "local.no-space", errno.EIO: "local.file-unreadable"}


class DiskFaults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sphere-disk")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program = pathlib.Path(BUILD) / "bin/sphere"
        self.shim = self.root / "failing_disk.so"
        source = pathlib.Path(__file__).resolve().parents[1] / "support/failing_disk.c"
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", self.shim, source], check=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "SOURCE_DATE_EPOCH": "1735689600",
                            # The preloaded library comes before the sanitizer's.
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}
        app = self.root / "app"
        (app / "bin").mkdir(parents=True)
        (app / "bin/app").write_bytes(b"disk" * 5000)
        (app / "app_manifest.json").write_text(json.dumps(MANIFEST), encoding="ascii")
        for number in range(COUNT):
            self.output(number).parent.mkdir(parents=True)
        self.first = self.root / "first.imagepackage"
        self.sphere(["pack-application", *self.pack_options(), "--package-directory", str(app), "--output-file",
                     str(self.first), "-o", "none"])
        self.app = app

    @staticmethod
    def pack_options():
        return ["--no-check", "--target-api-set", "15"]

    def output(self, number):
        return self.root / f"out/{number:02}/x.imagepackage"

    def jobs(self, verb, count=COUNT):
        source = {"package-directory": self.app} if verb == "pack-application" else {"image-package": self.first}
        return [{**source, "output-file": self.output(number)} for number in range(count)]

    def sphere(self, words, jobs=None, status=0, **variables):
        lines = "".join(json.dumps(job, default=str) + "\n" for job in jobs or [])
        result = subprocess.run([self.program, "image-package", *words], input=lines, text=True, capture_output=True,
                                check=False, env={**self.environment, **variables})
        self.assertEqual(result.returncode, status, result.stderr[-2000:])
        return result

    def batch(self, verb, count=COUNT, sync=True, **options):
        words = [verb, "--batch", "-o", "json", *([] if sync else ["--no-sync"])]
        if verb == "pack-application":
            words += [*self.pack_options(), "--format", options.pop("form", "v1")]
        return self.sphere(words, self.jobs(verb, count), **options)

    def disk(self, call, number, error, room=0):
        return {"LD_PRELOAD": str(self.shim), "SPHERE_TEST_DISK_CALL": call, "SPHERE_TEST_DISK_PATH": f"/out/{number:02}",
                "SPHERE_TEST_DISK_ERROR": str(error), "SPHERE_TEST_DISK_BYTES": str(room)}

    def files(self):
        return {path: path.read_bytes() for path in sorted((self.root / "out").rglob("*")) if path.is_file()}

    def check_one_failed(self, result, error):
        rows = json.loads(result.stdout)
        self.assertEqual([row["job"] - 1 for row in rows if row["error"] is not None], [BAD], result.stderr)
        found = rows[BAD]["error"]
        self.assertEqual(found["code"], CODES[error], found)
        self.assertIn(str(self.output(BAD)), found["message"])
        self.assertTrue(found["next"], found)
        self.assertIn(str(self.output(BAD)), result.stderr)

    def check_good(self, numbers):
        self.sphere(["verify", *(str(self.output(number)) for number in numbers), "-o", "none"])

    def each_way(self):
        for verb, form in (("pack-application", "v1"), ("pack-application", "v2"), ("sign", None)):
            for sync in (True, False):
                with self.subTest(verb=verb, form=form, sync=sync):
                    yield verb, {"sync": sync, **({"form": form} if form else {})}

    def test_a_full_or_broken_disk_costs_one_file(self):
        for verb, options in self.each_way():
            for call, error, room in (("open", errno.EIO, 0), ("open", errno.ENOSPC, 0), ("write", errno.ENOSPC, 0),
                                      ("write", errno.ENOSPC, 5000), ("write", errno.EIO, 20_500), ("name", errno.EIO, 0),
                                      ("name", errno.EDQUOT, 0)):
                with self.subTest(call=call, error=errno.errorcode[error], room=room):
                    for path in self.files():
                        path.unlink()
                    result = self.batch(verb, status=1, **options, **self.disk(call, BAD, error, room))
                    self.check_one_failed(result, error)
                    good = [number for number in range(COUNT) if number != BAD]
                    self.assertEqual(list(self.files()), [self.output(number) for number in good])
                    self.check_good(good)

    def test_an_old_output_stays_when_the_new_one_cannot_be_moved_there(self):
        for verb, options in self.each_way():
            for call, error in (("move", errno.EIO), ("name", errno.ENOSPC), ("write", errno.EIO)):
                with self.subTest(call=call, error=errno.errorcode[error]):
                    self.batch(verb, **options)
                    before = self.files()
                    result = self.batch(verb, status=1, **options, **self.disk(call, BAD, error))
                    self.check_one_failed(result, error)
                    after = self.files()
                    self.assertEqual(list(after), list(before))
                    self.assertEqual(after[self.output(BAD)], before[self.output(BAD)])
                    self.check_good(range(COUNT))

    def test_what_could_not_be_flushed_is_not_called_done(self):
        for verb in ("pack-application", "sign"):
            with self.subTest(verb=verb):
                self.batch(verb)
                before = self.files()
                # One flush serves the whole group.
                result = self.batch(verb, status=1, **self.disk("sync", 0, errno.EIO))
                rows = json.loads(result.stdout)
                self.assertEqual([row["error"]["code"] for row in rows], ["local.file-unreadable"] * COUNT)
                self.assertEqual(self.files(), before)

    def test_in_place_a_failing_disk_leaves_the_old_or_new_package(self):
        for number in range(COUNT):
            shutil.copy(self.first, self.output(number))
        jobs = [{"image-package": self.output(number)} for number in range(COUNT)]
        before = self.files()
        # First the record of the change cannot be written, then the change itself.
        for path in (f"/out/{BAD:02}/", f"/out/{BAD:02}/x.imagepackage"):
            variables = {**self.disk("write", BAD, errno.EIO), "SPHERE_TEST_DISK_PATH": path}
            result = self.sphere(["sign", "--batch", "-o", "json"], jobs, status=1, **variables)
            self.check_one_failed(result, errno.EIO)
            self.check_good(range(COUNT))
            self.assertEqual(list(self.files()), list(before))

    def test_a_kill_before_the_move_leaves_nothing_after_the_next_run(self):
        for verb, options in self.each_way():
            self.batch(verb, **options)
            before = self.files()
            self.batch(verb, status=-9, **options, **self.disk("move", BAD, 0))
            left = set(self.files()) - set(before)
            # The case is real: a finished file stands beside its target.
            self.assertIn(self.output(BAD).with_name(".x.imagepackage.sphere-0"), left)
            self.check_good(range(COUNT))
            self.batch(verb, **options)
            self.assertEqual(list(self.files()), list(before))
            self.check_good(range(COUNT))


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    if not shutil.which("cc"):
        print("SKIPPED: cc is missing: package gcc")
        sys.exit(77)
    unittest.main()
