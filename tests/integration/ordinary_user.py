#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ordinary_user.py BUILD_DIRECTORY VECTORS: the whole boards once more, without any privilege. Only
root has to change the user for that; everybody else has run them so already."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import skip  # noqa: E402

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
          "--bounding-set=-all", "env", "HOME=/nonexistent"]


def works(*command):
    return subprocess.run([*NOBODY, *command], capture_output=True, check=False).returncode == 0


def main(build, vectors):
    here = pathlib.Path(__file__).resolve().parent
    if os.geteuid() != 0:
        print("an ordinary user runs this: whole_boards.py is the same test")
        return
    if not shutil.which("setpriv"):
        skip("no setpriv: install the Debian package util-linux")
    if not works("test", "-x", f"{build}/bin/sphere") or not works("test", "-r", here):
        skip("the build folder is not readable for other users")
    pythons = [path for path in (sys.executable, "/usr/bin/python3") if works(path, "--version")]
    if not pythons:
        skip("no python3 that other users may run: install the Debian package python3")
    if not works("unshare", "--user", "--map-root-user", "true"):
        skip("no user namespaces for ordinary users: set kernel.unprivileged_userns_clone=1")
    done = subprocess.run([*NOBODY, pythons[0], "-B", here / "whole_boards.py", build, vectors],
                          check=False, cwd="/")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
