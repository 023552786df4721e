#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails on what a reader should never meet in a source file: see RULES and the size limits."""
import pathlib
import re
import subprocess
import sys

CODE = (".c", ".h", ".cpp", ".py", ".sh", ".cmake")
SPDX = "SPDX-License-" + "Identifier: MIT"  # In two parts: reuse reads this file, too.
LONGEST = 800  # Lines; style aims at 300. A longer file is two files.
MAIN_LONGEST = 80

# (pattern, files it concerns, what to do instead)
RULES = [
    (r"using namespace std\s*;", r"\.(h|cpp)$", "name what you use"),
    (r"\bfile\s*\(\s*GLOB", r"CMakeLists\.txt$", "list the files"),
    (r"\bCMAKE_C(XX)?_FLAGS\b", r"CMakeLists\.txt$", "presets set flags; targets set options"),
    (r"\binclude_directories\s*\(", r"CMakeLists\.txt$", "use target_include_directories"),
    (r"\bTODO\b(?!\(#\d+\))|\bFIXME\b|\bXXX\b|\bHACK\b", r"^(?!tests/lint/)", "open an issue: TODO(#123)"),
    (r"[ \t]+$", r"\.(c|h|cpp|py|sh|cmake|json)$", "no blanks at line ends"),
]


def files(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def problems_in(name, text):
    """Yields what is wrong with one file."""
    lines = text.splitlines()
    if name.endswith(CODE) and not any(SPDX in line for line in lines[:2]):
        yield f"{name}:1: no SPDX licence line in the first two lines"
    limit = MAIN_LONGEST if name.endswith("/main.cpp") and not name.startswith("tests/") else LONGEST
    if name.endswith((".c", ".h", ".cpp")) and len(lines) > limit:
        yield f"{name}: {len(lines)} lines, more than {limit}: split it by subject"
    for pattern, concerned, instead in RULES:
        if not re.search(concerned, name):
            continue
        for number, line in enumerate(lines, 1):
            if re.search(pattern, line):
                yield f"{name}:{number}: {line.strip()[:60]!r}: {instead}"


def problems(root):
    for name in files(root):
        path = pathlib.Path(root, name)
        if name.startswith(("tests/fuzz/corpus/", "tests/golden/", "LICENSES/")) or path.is_symlink():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        yield from problems_in(name, text)


if __name__ == "__main__":
    found = list(problems(sys.argv[1]))
    print("\n".join(found) or "text: ok")
    sys.exit(bool(found))
