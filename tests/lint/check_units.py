#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_units.py SOURCE [BUILD]: the systemd units, laid out as they are installed, by `systemd-analyze verify`.

The programs that the units name must be there, so BUILD's (or empty ones) stand at their places in a root of
the test's own. Without systemd-analyze the form alone is looked at, and the test is skipped.
"""
import configparser
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# What each unit must have, whatever else it says.
HARDENED = {"system": {"CapabilityBoundingSet", "LockPersonality", "ProtectKernelModules", "RestrictAddressFamilies",
                       "SystemCallArchitectures", "UMask"},
            "user": {"NoNewPrivileges", "RestrictAddressFamilies", "SystemCallArchitectures", "UMask"}}


def read(unit):
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters="=")
    parser.optionxform = str
    parser.read_string(unit.read_text())
    return parser


def check_form(unit, kind):
    """What is wrong with a unit, as texts."""
    parser = read(unit)
    wrong = [f"{unit.name}: no section {part}" for part in ("Unit", "Service", "Install") if part not in parser]
    if wrong:
        return wrong
    wrong += [f"{unit.name}: {key} is missing" for key in sorted(HARDENED[kind] - set(parser["Service"]))]
    program = parser["Service"]["ExecStart"].split()[0]
    if program not in ("/usr/bin/sphere", "/usr/bin/sphere-board"):
        wrong.append(f"{unit.name}: starts {program}")
    return wrong


def install(units, kind, root):
    """Where the units lie then. `--root` is for system units only: those of users name the programs' places
    in the root instead."""
    place = root / "usr/lib/systemd" / kind
    place.mkdir(parents=True)
    programs = root / "usr/bin"
    programs.mkdir()
    for unit in units:
        text = unit.read_text()
        (place / unit.name).write_text(text.replace("/usr/bin/", f"{programs}/") if kind == "user" else text)
    for name in ("sphere", "sphere-board"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    return place


def verify(place, kind, root):
    """The complaints of systemd-analyze about our units; those about units of the machine are none."""
    complaints = []
    for unit in sorted(place.iterdir()):
        # A template is looked at as one of its instances.
        name = unit.name.replace("@.", "@desk.")
        which = [f"--root={root}", "verify", name] if kind == "system" else ["verify", str(unit)]
        told = subprocess.run(["systemd-analyze", f"--{kind}", "--man=no", "--recursive-errors=no", *which],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "XDG_RUNTIME_DIR": str(root), "LC_ALL": "C"})
        lines = [line for line in told.stderr.splitlines() if "sphere" in line]
        complaints += [f"{name}: {line}" for line in lines]
        if told.returncode != 0 and not lines:
            complaints.append(f"{name}: status {told.returncode}\n{told.stderr}")
    return complaints


def main(source):
    folder = pathlib.Path(source) / "packaging/systemd"
    units = {kind: sorted((folder / kind).glob("*.service")) for kind in ("system", "user")}
    wrong = [text for kind, some in units.items() for unit in some for text in check_form(unit, kind)]
    if not all(units.values()):
        wrong.append(f"no units in {folder}")
    if not wrong and not shutil.which("systemd-analyze"):
        print("SKIPPED: no systemd-analyze: install the Debian package systemd")
        return 77
    for kind, some in units.items() if not wrong else ():
        with tempfile.TemporaryDirectory(prefix="sphere-units") as root:
            place = install(some, kind, pathlib.Path(root))
            wrong += verify(place, kind, root)
            broken = place / "sphere-broken.service"  # A complaint is seen, too.
            broken.write_text("[Service]\nExecStart=/bin/sh\nProtectEverything=yes\n")
            if not any("ProtectEverything" in text for text in verify(place, kind, root)):
                wrong.append(f"{kind}: systemd-analyze takes a key that does not exist")
    print("\n".join(wrong) or f"units: {sum(map(len, units.values()))} ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
