#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""token_faults.py BUILD_DIRECTORY MODULE: batches with a key in a token that counts what it is asked and errs as
it is told (tests/support/fake_token.cpp)."""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

COUNT = 150
MANIFEST = {"SchemaVersion": 1, "Name": "token", "ComponentId": "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",
            "EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"}


class TokenFaults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sphere-token-faults")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program = pathlib.Path(BUILD) / "bin/sphere"
        self.log = self.root / "log"
        key = self.root / "key.pem"
        self.public = self.root / "public.pem"
        for command in (["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
                        ["openssl", "ec", "-in", key, "-pubout", "-out", self.public]):
            subprocess.run(command, check=True, capture_output=True)
        configuration = self.root / "configuration"
        configuration.mkdir()
        (configuration / "config.json").write_text(json.dumps({"pkcs11": {"module": MODULE}}), encoding="utf-8")
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "SPHERE_CONFIG_DIR": str(configuration),
                            "SPHERE_TOKEN_PIN": "4711", "SPHERE_FAKE_TOKEN_KEY": str(key),
                            "SPHERE_FAKE_TOKEN_LOG": str(self.log)}
        self.key = "pkcs11:token=Fake;object=key"
        self.jobs = []
        (self.root / "out").mkdir()
        for number in range(COUNT):
            app = self.root / f"app{number}"
            (app / "bin").mkdir(parents=True)
            (app / "bin/app").write_bytes(str(number).encode() * 500)
            (app / "app_manifest.json").write_text(json.dumps(MANIFEST), encoding="ascii")
            self.jobs.append({"package-directory": str(app), "key": self.key,
                              "output-file": str(self.root / f"out/{number:03}.imagepackage")})

    def sphere(self, *words, jobs=None, status=0, faults=""):
        lines = None if jobs is None else "".join(json.dumps(job) + "\n" for job in jobs)
        result = subprocess.run([self.program, "image-package", *words], input=lines, text=True, capture_output=True,
                                check=False, env={**self.environment, "SPHERE_FAKE_TOKEN_FAULTS": faults})
        self.assertEqual(result.returncode, status, result.stderr[-2000:])
        return result

    def pack(self, jobs, status=0, faults=""):
        result = self.sphere("pack-application", "--batch", "--no-check", "--target-api-set", "15", "--no-sync", "-o", "json",
                             jobs=jobs, status=status, faults=faults)
        return json.loads(result.stdout)

    def calls(self):
        lines = self.log.read_text(encoding="ascii").splitlines()
        return collections.Counter(line.split()[0] for line in lines), [line for line in lines if line.startswith("sign ")]

    def check_outputs(self, count):
        files = sorted((self.root / "out").iterdir())
        self.assertEqual(len(files), count)
        if files:
            self.sphere("verify", *map(str, files), "--trust", str(self.public), "-o", "none")

    def test_one_login_and_each_digest_once(self):
        self.pack(self.jobs)
        calls, signed = self.calls()
        self.assertEqual({name: calls[name] for name in ("initialize", "open", "login", "close", "finalize")},
                         {"initialize": 1, "open": 1, "login": 1, "close": 1, "finalize": 1})
        self.assertEqual(len(signed), COUNT)
        self.assertEqual(len(set(signed)), COUNT)
        self.check_outputs(COUNT)

    def test_two_names_of_one_key_share_the_module(self):
        for number, job in enumerate(self.jobs):
            job["key"] = self.key + (";id=%01" if number % 2 else "")
        self.pack(self.jobs)
        calls, signed = self.calls()
        self.assertEqual((calls["initialize"], calls["finalize"], calls["login"]), (1, 1, 2))
        self.assertEqual(len(set(signed)), COUNT)
        self.check_outputs(COUNT)

    def test_a_token_that_goes_in_the_middle_leaves_the_finished_files(self):
        for value in ("0xB3", "0x32"):  # The session's handle is invalid; the device was removed.
            with self.subTest(value=value):
                for path in (self.root / "out").iterdir():
                    path.unlink()
                rows = self.pack(self.jobs, status=1, faults=f"sign-init={value} after=70")
                bad = [row for row in rows if row["error"] is not None]
                self.assertGreater(len(bad), COUNT - 71)
                self.assertLess(len(bad), COUNT)
                self.assertEqual({(row["error"]["code"], row["error"]["next"]) for row in bad},
                                 {("key.token-missing", "put the token in again, then repeat")})
                self.check_outputs(COUNT - len(bad))

    def test_false_signatures_are_never_written(self):
        for length in ("0", "63", "65", "0xFFFFFFFFFFFFFFFF"):
            rows = self.pack(self.jobs[:20], status=1, faults=f"signature={length}")
            self.assertEqual({row["error"]["code"] for row in rows}, {"key.refused"})
            self.check_outputs(0)

    def test_a_token_before_its_last_try_is_left_alone(self):
        for flags, words in (("0x20000", "one more wrong PIN would lock"), ("0x40000", "is locked")):
            rows = self.pack(self.jobs[:20], status=1, faults=f"flags={flags}")
            self.assertEqual({row["error"]["code"] for row in rows}, {"key.locked"})
            self.assertTrue(all(words in row["error"]["message"] and row["error"]["next"] for row in rows), rows[0])
            self.check_outputs(0)
        self.assertEqual(self.calls()[0]["login"], 0)


if __name__ == "__main__":
    BUILD, MODULE = sys.argv.pop(1), os.path.abspath(sys.argv.pop(1))
    unittest.main()
