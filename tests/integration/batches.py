#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""batches.py BUILD_DIRECTORY: 1,000 packages in one process, with bad ones among them, kills and a
full disk; every signature is checked by openssl."""
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

COUNT = 1000
COMPONENT = "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60"
MANIFEST = json.dumps({"SchemaVersion": 1, "Name": "batch", "ComponentId": COMPONENT, "EntryPoint": "/bin/app",
                       "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"})


def der(raw):
    def integer(number):
        number = number.lstrip(b"\0") or b"\0"
        number = b"\0" + number if number[0] & 0x80 else number
        return b"\x02" + bytes([len(number)]) + number

    numbers = integer(raw[:32]) + integer(raw[32:])
    return b"\x30" + bytes([len(numbers)]) + numbers


class Batches(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sphere-batches")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "XDG_DATA_HOME": str(self.root / "data"),
                            "SOURCE_DATE_EPOCH": "1735689600"}
        self.program = pathlib.Path(BUILD) / "bin/sphere"
        self.key, self.public = self.root / "key.pem", self.root / "public.pem"
        self.key.touch(mode=0o600)
        for command in (["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key],
                        ["openssl", "ec", "-in", self.key, "-pubout", "-out", self.public]):
            subprocess.run(command, check=True, capture_output=True)
        self.generator = random.Random(7)

    def sphere(self, *words, jobs=None, status=0, **options):
        lines = None if jobs is None else "".join(json.dumps(job, default=str) + "\n" for job in jobs)
        result = subprocess.run([self.program, "image-package", *words], input=lines, text=True, capture_output=True,
                                env=self.environment, **options)
        self.assertEqual(result.returncode, status, result.stderr[-2000:])
        return result

    def make_packages(self, count):
        """Packages of mixed lengths, made in one batch."""
        (self.root / "in").mkdir()
        jobs = []
        for number in range(count):
            app = self.root / f"app{number:04}"
            (app / "bin").mkdir(parents=True)
            (app / "bin/app").write_bytes(self.generator.randbytes(self.generator.choice((10, 3000, 4096, 20_000))))
            (app / "app_manifest.json").write_text(MANIFEST, encoding="ascii")
            jobs.append({"package-directory": app, "output-file": self.root / f"in/{number:04}.imagepackage",
                         "no-check": True, "target-api-set": 15, "key": self.key})
        result = self.sphere("pack-application", "--batch", "--no-sync", "-o", "json", jobs=jobs)
        rows = json.loads(result.stdout)
        self.assertEqual([row["job"] for row in rows], list(range(1, count + 1)))
        return [job["output-file"] for job in jobs]

    def sign_jobs(self, packages):
        (self.root / "out").mkdir(exist_ok=True)
        return [{"image-package": path, "key": self.key, "output-file": self.root / "out" / path.name}
                for path in packages]

    def check_with_openssl(self, package):
        data = package.read_bytes()
        signature, signed = self.root / "signature", self.root / "signed"
        signature.write_bytes(der(data[-64:]))
        signed.write_bytes(data[:-64])
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature", signature, signed],
                       check=True, capture_output=True)

    def no_leftovers(self):
        files = [path for path in (self.root / "out").iterdir() if path.suffix != ".imagepackage"]
        self.assertEqual(files, [])

    def test_a_thousand_with_four_bad_ones(self):
        packages = self.make_packages(COUNT)
        packages[10].unlink()
        packages[20].write_bytes(packages[20].read_bytes()[:5000])
        packages[40].write_bytes(b"\0" + packages[40].read_bytes()[1:])
        unreadable = packages[30]
        unreadable.unlink()
        unreadable.mkdir()  # Root can read any file, so a file without read permission will not do.
        result = self.sphere("sign", "--batch", "-o", "json", jobs=self.sign_jobs(packages), status=1)
        rows = json.loads(result.stdout)
        bad = {row["job"] - 1: row["error"] for row in rows if row["error"] is not None}
        self.assertEqual(sorted(bad), [10, 20, 30, 40])
        for error in bad.values():
            self.assertTrue(error["code"] and error["message"] and error["next"], error)
        self.assertEqual(result.stderr.count("error: "), 4)
        written = sorted((self.root / "out").glob("*.imagepackage"))
        self.assertEqual(len(written), COUNT - 4)
        for package in written:
            self.check_with_openssl(package)
        self.no_leftovers()
        verified = self.sphere("verify", "--batch", "-o", "json",
                               jobs=[{"image-package": path, "trust": self.public} for path in written])
        self.assertEqual({row["verdict"] for row in json.loads(verified.stdout)}, {"good"})

    def test_the_same_bytes_for_any_number_of_threads(self):
        packages = self.make_packages(60)
        contents = []
        for jobs in ("1", "2", "8"):
            self.sphere("sign", "--batch", "--no-sync", "--jobs", jobs, "-o", "none", jobs=self.sign_jobs(packages))
            contents.append([path.read_bytes()[:-64] for path in sorted((self.root / "out").iterdir())])
        self.assertEqual(contents[0], contents[1])
        self.assertEqual(contents[0], contents[2])

    def kill(self, process, most):
        time.sleep(self.generator.random() * most)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def test_killed_batches_leave_whole_files(self):
        packages = self.make_packages(300)
        lines = "".join(json.dumps(job, default=str) + "\n" for job in self.sign_jobs(packages))
        for turn in range(30):
            # Without syncing files appear one by one, with it in groups.
            sync = [] if turn % 2 else ["--no-sync"]
            process = subprocess.Popen([self.program, "image-package", "sign", "--batch", "-o", "none", *sync],
                                       stdin=subprocess.PIPE, env=self.environment, text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.stdin.write(lines)
                process.stdin.close()
            except BrokenPipeError:
                pass
            self.kill(process, 0.4)
            for path in (self.root / "out").glob("[0-9]*.imagepackage"):
                self.assertEqual(path.stat().st_size, (self.root / "in" / path.name).stat().st_size)
        written = sorted((self.root / "out").glob("[0-9]*.imagepackage"))
        self.assertNotEqual(written, [])
        self.sphere("verify", *written[:200], "--trust", self.public, "-o", "none")
        self.sphere("sign", "--batch", "-o", "none", jobs=self.sign_jobs(packages))
        self.sphere("verify", self.root / "out", "--trust", self.public, "-o", "none")
        # Nothing under a hidden name is left of what was killed, either.
        self.assertEqual(len(list((self.root / "out").iterdir())), 300)

    def test_killed_signing_in_place_leaves_a_good_package(self):
        package = self.make_packages(1)[0]
        other = self.root / "other.pem"
        other.touch(mode=0o600)
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", other], check=True)
        trust = self.root / "trust"
        trust.mkdir()
        for name, key in (("a", self.key), ("b", other)):
            subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", trust / f"{name}.pem"], check=True,
                           capture_output=True)
        for turn in range(100):
            key = (self.key, other)[turn % 2]
            process = subprocess.Popen([self.program, "image-package", "sign", package, "--key", key, "-o", "none"],
                                       env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.kill(process, 0.03)
            self.sphere("verify", package, "--trust", trust, "-o", "none")
        self.assertEqual(sorted(path.name for path in (self.root / "in").iterdir()), [package.name])

    def test_a_full_disk_keeps_the_old_output(self):
        packages = self.make_packages(3)
        jobs = self.sign_jobs(packages)
        self.sphere("sign", "--batch", "-o", "none", jobs=jobs)
        before = {path.name: path.read_bytes() for path in (self.root / "out").iterdir()}

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))  # Each write beyond it fails, as on a full disk.

        result = self.sphere("sign", "--batch", "-o", "json", jobs=jobs, status=1, preexec_fn=limit)
        self.assertEqual(sum(row["error"] is not None for row in json.loads(result.stdout)), 3)
        self.assertEqual({path.name: path.read_bytes() for path in (self.root / "out").iterdir()}, before)

    def test_bytes_are_read_once(self):
        self.make_packages(1)
        app = self.root / "large"
        (app / "bin").mkdir(parents=True)
        (app / "bin/app").write_bytes(self.generator.randbytes(6 << 20))
        (app / "app_manifest.json").write_text(MANIFEST, encoding="ascii")
        package = self.root / "in/large.imagepackage"
        self.sphere("pack-application", "--package-directory", app, "--output-file", package, "--no-check",
                    "--target-api-set", "15", "--key", self.key, "-o", "none")
        floor = self.bytes_read("verify", self.root / "in/0000.imagepackage")
        size = package.stat().st_size
        self.assertLess(self.bytes_read("verify", package) - floor, size * 1.01)

    def bytes_read(self, verb, package):
        """Of a process that waits for more jobs when it has done this one."""
        process = subprocess.Popen([self.program, "image-package", verb, "--batch", "-o", "tsv"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment, text=True)
        process.stdin.write(json.dumps({"image-package": str(package), "trust": str(self.public)}) + "\n")
        process.stdin.flush()
        self.assertIn("good", process.stdout.readline())
        counters = pathlib.Path(f"/proc/{process.pid}/io").read_text(encoding="ascii")
        process.stdin.close()
        process.wait()
        process.stdout.close()
        return int(counters.split("rchar:")[1].split()[0])


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
