#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tokens.py BUILD_DIRECTORY: signing with a key in a PKCS#11 token, which SoftHSM plays: one login for
a batch of 1,000, one try for a wrong PIN, kills."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

COUNT = 1000
PIN = "4711"
MODULE = next((path for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
               if os.path.exists(path)), None)
MANIFEST = json.dumps({"SchemaVersion": 1, "Name": "token", "ComponentId": "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",
                       "EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"})


class Tokens(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sphere-tokens")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program = pathlib.Path(BUILD) / "bin/sphere"
        (self.root / "tokens").mkdir()
        configuration = self.root / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {self.root}/tokens\n", encoding="ascii")
        shim = self.root / "counting_token.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim,
                        pathlib.Path(__file__).resolve().parents[1] / "support/counting_token.c"], check=True)
        self.counts = self.root / "counts"
        self.environment = {"PATH": os.environ["PATH"] + ":/usr/sbin", "HOME": str(self.root),
                            "SOFTHSM2_CONF": str(configuration), "SPHERE_TEST_TOKEN": MODULE,
                            "SPHERE_TEST_TOKEN_COUNTS": str(self.counts)}
        self.tool("softhsm2-util", "--init-token", "--free", "--label", "Line 2", "--pin", PIN, "--so-pin", "08154711")
        self.tool("pkcs11-tool", "--module", MODULE, "--token-label", "Line 2", "--login", "--pin", PIN, "--keypairgen",
                  "--key-type", "EC:prime256v1", "--label", "release", "--id", "01")
        pin = self.root / "pin"
        pin.touch(mode=0o600)
        pin.write_text(PIN + "\n", encoding="ascii")
        self.uri = f"pkcs11:token=Line%202;object=release?module-path={shim}"
        self.key = f"{self.uri}&pin-source=file:{pin}"
        self.public = self.root / "public.der"
        self.tool("pkcs11-tool", "--module", MODULE, "--token-label", "Line 2", "--read-object", "--type", "pubkey",
                  "--id", "01", "--output-file", self.public)
        pem = self.root / "public.pem"
        subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", self.public, "-out", pem], check=True)
        self.public = pem

    def tool(self, *command):
        subprocess.run(command, check=True, capture_output=True, env=self.environment)

    def sphere(self, *words, jobs=None, status=0, **variables):
        lines = None if jobs is None else "".join(json.dumps(job, default=str) + "\n" for job in jobs)
        result = subprocess.run([self.program, *words], input=lines, text=True, capture_output=True,
                                env={**self.environment, **variables})
        self.assertEqual(result.returncode, status, result.stderr[-2000:])
        return result

    def jobs(self, count):
        app = self.root / "app"
        (app / "bin").mkdir(parents=True)
        (app / "bin/app").write_bytes(b"token" * 1000)
        (app / "app_manifest.json").write_text(MANIFEST, encoding="ascii")
        first = self.root / "in.imagepackage"
        self.sphere("image-package", "pack-application", "--package-directory", app, "--output-file", first, "--no-check",
                    "--target-api-set", "15", "-o", "none")
        (self.root / "out").mkdir()
        return [{"image-package": first, "key": self.key, "output-file": self.root / f"out/{number:04}.imagepackage"}
                for number in range(count)]

    def counted(self):
        """Sessions and logins since the test began."""
        text = self.counts.read_text(encoding="ascii")
        return text.count("s"), text.count("l")

    def test_a_named_token_key_signs_for_its_use_only(self):
        self.sphere("key", "import", "--name", "line", "--token", self.key, "-o", "none")
        self.sphere("key", "import", "--name", "caps", "--use", "capability", "--token", self.key, "-o", "none")
        shown = json.loads(self.sphere("key", "show", "line", "-o", "json").stdout)
        self.assertEqual(shown["location"], self.key)
        package = self.jobs(0) or self.root / "in.imagepackage"
        signed = self.root / "named.imagepackage"
        self.sphere("image-package", "sign", package, "--key", "line", "--output-file", signed, "-o", "none")
        self.sphere("image-package", "verify", signed, "--trust", self.public, "-o", "none")
        refused = self.sphere("image-package", "sign", package, "--key", "caps", "--output-file",
                              self.root / "no.imagepackage", "-o", "table", status=1)
        self.assertIn("is for capability, not for images", refused.stderr)
        self.assertFalse((self.root / "no.imagepackage").exists())

    def test_a_thousand_in_one_login(self):
        jobs = self.jobs(COUNT)
        self.sphere("image-package", "sign", "--batch", "--no-sync", "-o", "none", jobs=jobs)
        self.assertEqual(self.counted(), (1, 1))
        self.assertEqual(len(list((self.root / "out").iterdir())), COUNT)
        self.sphere("image-package", "verify", self.root / "out", "--trust", self.public, "-o", "none")

    def test_format_v2_and_low_s(self):
        jobs = self.jobs(1)
        package = self.root / "out/v2.imagepackage"
        for _ in range(8):  # Half of the signatures of a token have a high s.
            self.sphere("image-package", "sign", jobs[0]["image-package"], "--format", "v2", "--key", self.key, "--force",
                        "--output-file", package, "-o", "none")
            self.sphere("image-package", "verify", package, "--trust", self.public, "-o", "none")

    def test_a_wrong_pin_is_tried_once(self):
        jobs = self.jobs(50)
        for number, job in enumerate(jobs):  # Two spellings of one key are one token all the same.
            job["key"] = self.uri if number % 2 else self.uri.replace("object=release", "object=release;id=%01")
        result = self.sphere("image-package", "sign", "--batch", "-o", "json", jobs=jobs, status=1,
                             SPHERE_TOKEN_PIN="0000")
        self.assertEqual(self.counted()[1], 1)
        self.assertEqual({row["error"]["code"] for row in json.loads(result.stdout)}, {"key.refused"})
        self.assertNotIn("0000", result.stderr)
        self.assertEqual(list((self.root / "out").iterdir()), [])

    def test_killed_batches_leave_whole_files(self):
        jobs = self.jobs(300)
        lines = "".join(json.dumps(job, default=str) + "\n" for job in jobs)
        size = jobs[0]["image-package"].stat().st_size
        generator = random.Random(11)
        for _ in range(15):
            process = subprocess.Popen([self.program, "image-package", "sign", "--batch", "--no-sync", "-o", "none"],
                                       stdin=subprocess.PIPE, env=self.environment, text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.stdin.write(lines)
                process.stdin.close()
            except BrokenPipeError:
                pass
            time.sleep(generator.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            process.wait()
            for path in (self.root / "out").glob("[0-9]*.imagepackage"):
                self.assertEqual(path.stat().st_size, size)
        written = sorted((self.root / "out").glob("[0-9]*.imagepackage"))
        self.assertNotEqual(written, [])
        self.sphere("image-package", "verify", *written, "--trust", self.public, "-o", "none")

    def test_what_is_not_there(self):
        [token] = json.loads(self.sphere("key", "list-tokens", "--module", MODULE, "-o", "json").stdout)
        self.assertEqual((token["token"], token["keys"][0]["label"], len(token["keys"][0]["keyId"])),
                         ("Line 2", "release", 64))
        package = self.jobs(1)[0]["image-package"]
        for key, code in ((self.key.replace("Line%202", "Line%203"), "key.token-missing"),
                          (self.key.replace("object=release", "object=other"), "key.not-found"),
                          (self.key.replace("counting_token.so", "public.pem"), "key.not-found"),
                          ("pkcs11:token=Line%202;object=release?pin-value=4711", "usage.bad-value"),
                          ("pkcs11:nonsense", "usage.bad-value")):
            status = 2 if code.startswith("usage") else 1
            result = self.sphere("image-package", "sign", package, "--key", key, "-o", "json", status=status)
            self.assertEqual(json.loads(result.stdout)["error"]["code"], code, key)


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    for program, package in (("softhsm2-util", "softhsm2"), ("pkcs11-tool", "opensc"), ("cc", "gcc")):
        if MODULE is None or not shutil.which(program):
            print(f"SKIPPED: {program} is missing: package {package}")
            sys.exit(77)
    unittest.main()
