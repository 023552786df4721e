#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_links.py SPHERE [static]: fails when the command line links more than it may, as what is linked is
loaded at every start. A program with a static libcrypto may not need the shared one, nor export a symbol of it: a
PKCS#11 module that brings its own would take ours."""
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


def exported(program):
    text = subprocess.run(["readelf", "--dyn-syms", "--wide", program], capture_output=True, text=True, check=True).stdout
    return {words[7] for words in map(str.split, text.splitlines()) if len(words) > 7 and words[6].isdigit()}


if __name__ == "__main__":
    sphere = pathlib.Path(sys.argv[1])
    if not sphere.exists():
        print(f"SKIPPED: {sphere} is not built")
        sys.exit(77)
    static = "static" in sys.argv[2:]
    allowed = ALLOWED - ({"libcrypto.so.3"} if static else set())
    extra = {name for name in needed(sphere) - allowed if not SANITIZERS.match(name)}
    ours = {name for name in exported(sphere) if static and re.match(r"(OPENSSL|OpenSSL|CRYPTO|EVP|SHA|EC|BN)_", name)}
    if extra:
        print(f"{sphere.name} may not link {', '.join(sorted(extra))}")
    if ours:
        print(f"{sphere.name} may not export {', '.join(sorted(ours)[:5])}")
    print("failed" if extra or ours else "links: ok")
    sys.exit(bool(extra or ours))
