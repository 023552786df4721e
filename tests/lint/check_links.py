#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when the command line links more than it may: what is linked is loaded at every start."""
import pathlib
import re
import subprocess
import sys

ALLOWED = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libfmt.so.9", "libcrypto.so.3",
           "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
# The sanitizers' own, in their presets.
SANITIZERS = re.compile(r"lib(asan|ubsan|tsan)\.so")


def needed(program):
    text = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", text))


if __name__ == "__main__":
    sphere = pathlib.Path(sys.argv[1])
    if not sphere.exists():
        print(f"SKIPPED: {sphere} is not built")
        sys.exit(77)
    extra = {name for name in needed(sphere) - ALLOWED if not SANITIZERS.match(name)}
    print(f"{sphere.name} may not link {', '.join(sorted(extra))}" if extra else "links: ok")
    sys.exit(bool(extra))
