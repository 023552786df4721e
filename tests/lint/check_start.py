#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_start.py SPHERE: fails when a command opens a file at its start that it does not need.

Image commands run under strace. None may open OpenSSL's configuration, a network or USB library, or
a locale; help, completion and a mistyped line read no configuration either. Where strace cannot
trace, the dynamic loader tells which libraries were loaded, and the rest is skipped."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Never, by any image or key command.
FORBIDDEN = re.compile(r"openssl[^/]*\.cnf|lib(curl|usb|ssl|gssapi|krb5|ldap|nghttp2|lwip|sphere_net)[^/]*\.so|locale-archive|"
                       r"/usr/(share|lib)/locale|gconv|/etc/(localtime|passwd|nsswitch\.conf|resolv\.conf)|/usr/share/zoneinfo|"
                       r"/sys/bus/usb|/dev/bus/usb|/dev/tty(?!$)")
CONFIGURATION = re.compile(r"sphere/config\.json|sphere\.json")
CALL = re.compile(r'^(?:\[pid +\d+\] |\d+ +)?\w+\((?:AT_FDCWD, |\d+(?:<[^>]*>)?, )?"((?:[^"\\]|\\.)*)"')
LOADED = re.compile(r"(?:file=|calling init: )([^ ;]+\.so[^ ;\[]*)")
MANIFEST = json.dumps({"SchemaVersion": 1, "Name": "start", "ComponentId": "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",
                       "EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"})
PACK = ["image-package", "pack-application", "--package-directory", "app", "--no-check", "--target-api-set", "15"]
# Words and exit status. Each runs after those before it.
COMMANDS = [
    ([*PACK, "--output-file", "a.imagepackage"], 0),
    ([*PACK, "--output-file", "b.imagepackage", "--format", "v2"], 0),
    (["image-package", "show", "a.imagepackage"], 0),
    (["image-package", "verify", "a.imagepackage", "b.imagepackage"], 0),
    (["image-package", "sign", "a.imagepackage", "--output-file", "c.imagepackage"], 0),
    (["image-package", "sign", "b.imagepackage"], 0),
    (["image-package", "diff", "a.imagepackage", "c.imagepackage"], None),
    (["key", "list"], 0),
    (["image-package", "verify", "absent.imagepackage"], 1),
]
# These ask for no setting, either.
WITHOUT_CONFIGURATION = [
    (["--help"], 0),
    (["image-package", "--help"], 0),
    (["image-package", "sign", "--help"], 0),
    (["image-package", "sing"], 2),
    (["image-package", "sign", "--no-such-option"], 2),
    (["__complete", "--", "image-package", "s"], 0),
]


def paths_of_trace(text):
    return [match[1] for line in text.splitlines() if (match := CALL.match(line))]


def paths_of_loader(text):
    return [match[1] for line in text.splitlines() if (match := LOADED.search(line))]


class Watcher:
    """Runs a program and tells which files it named to the kernel."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8",
                            # Leak checks cannot run beside a tracer.
                            "ASAN_OPTIONS": "detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "")}
        self.traces = shutil.which("strace") is not None and self.run(["strace", "-o", "trace", "true"])[0] == 0

    def run(self, command, **variables):
        done = subprocess.run(command, cwd=self.folder, env={**self.environment, **variables}, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, timeout=60)
        return done.returncode, done.stderr.decode(errors="replace")

    def paths(self, command):
        """Exit status, standard error and paths."""
        if self.traces:
            status, error = self.run(["strace", "-f", "-e", "trace=%file", "-o", "trace", *command])
            return status, error, paths_of_trace((self.folder / "trace").read_text(encoding="utf-8", errors="replace"))
        status, error = self.run(command, LD_DEBUG="files", LD_DEBUG_OUTPUT=str(self.folder / "loaded"))
        loaded = "".join(path.read_text(errors="replace") for path in self.folder.glob("loaded.*"))
        for path in self.folder.glob("loaded.*"):
            path.unlink()
        return status, error, paths_of_loader(loaded)


def check(watcher, sphere, words, wanted_status, forbidden):
    status, error, paths = watcher.paths([sphere, *words])
    line = " ".join(words)
    if wanted_status is not None and status != wanted_status:
        return [f"sphere {line}: exit status {status}, expected {wanted_status}: {error}"]
    if not any("libc.so" in path for path in paths):
        return [f"sphere {line}: not even libc is seen, so nothing is proven"]
    return [f"sphere {line}: opens {path}" for path in dict.fromkeys(paths) if any(rule.search(path) for rule in forbidden)]


def main(sphere):
    if not pathlib.Path(sphere).exists():
        print(f"SKIPPED: {sphere} is not built")
        return 77
    with tempfile.TemporaryDirectory(prefix="sphere-start-") as folder:
        app = pathlib.Path(folder) / "app"
        (app / "bin").mkdir(parents=True)
        (app / "bin/app").write_bytes(b"start")
        (app / "app_manifest.json").write_text(MANIFEST, encoding="ascii")
        watcher = Watcher(folder)
        # Makes the developer's key, once in a lifetime: OpenSSL writes its certificate and asks for the time zone.
        wrong = check(watcher, sphere, [*PACK, "--output-file", "first.imagepackage"], 0, [])
        for words, status in COMMANDS:
            wrong += check(watcher, sphere, words, status, [FORBIDDEN])
        for words, status in WITHOUT_CONFIGURATION:
            wrong += check(watcher, sphere, words, status, [FORBIDDEN, CONFIGURATION])
        # The other way round: what the rules look for is seen where it is.
        if watcher.traces and not any(CONFIGURATION.search(path) for path in watcher.paths([sphere, "key", "list"])[2]):
            wrong.append("the configuration that key list reads is not seen")
    print("\n".join(wrong) or "start: ok")
    if not wrong and not watcher.traces:
        print("SKIPPED: libraries are as they must be; the files were not looked at, as strace is missing or may not trace")
        return 77
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
