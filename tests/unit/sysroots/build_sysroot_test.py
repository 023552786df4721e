#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the parts of sysroots/build-sysroot that need no network."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import tempfile
import unittest

RECIPE = pathlib.Path(__file__).resolve().parents[3] / "sysroots/build-sysroot"


def load():
    loader = importlib.machinery.SourceFileLoader("build_sysroot", str(RECIPE))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("build_sysroot", loader))
    loader.exec_module(module)
    return module


recipe = load()


class Mirrors(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.etc = pathlib.Path(self.folder.name)

    def found(self, **files):
        for name, text in files.items():
            file = self.etc / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return list(recipe.mirrors_of_files(self.etc))

    def test_one_line_form(self):
        self.assertEqual(self.found(sources_list="""
# deb http://commented.example bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main contrib # why
deb-src http://source.example/debian bookworm main
deb http://other.example/debian bookworm-security main
deb http://broken.example
"""), ["http://one.example/debian"])

    def test_deb822_form(self):
        self.assertEqual(self.found(sources_list_d__a_sources="""Types: deb
# URIs: http://commented.example
URIs: http://a.example/debian http://b.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://security.example
Suites: bookworm-security

Enabled: no
Types: deb
URIs: http://off.example
Suites: bookworm

no field at all
"""), ["http://a.example/debian", "http://b.example/debian"])

    def test_other_files_are_not_read(self):
        self.assertEqual(self.found(sources_list_d__x_disabled="deb http://x.example bookworm main"), [])

    def test_nothing_there(self):
        self.assertEqual(self.found(), [])


class Stub(unittest.TestCase):
    def test_names_of_one_address_share_an_object(self):
        text = recipe.stub_of([(16, 4, "OBJECT", "GLOBAL", "a"), (16, 4, "OBJECT", "WEAK", "b"),
                               (2, 8, "FUNC", "GLOBAL", "f")])
        self.assertIn("a:\n.weak b\n.type b, %object\nb:\n.space 4", text)
        self.assertIn(".size b, 4", text)
        self.assertIn("f:\nbx lr", text)


class Directory(unittest.TestCase):
    def test_replacing_leaves_only_the_new_one(self):
        with tempfile.TemporaryDirectory() as folder:
            final, new = pathlib.Path(folder, "15"), pathlib.Path(folder, "15.new")
            for path, content in ((final, "old"), (new, "new")):
                path.mkdir()
                (path / content).touch()
            recipe.replace_directory(new, final)
            self.assertEqual([p.name for p in pathlib.Path(folder).iterdir()], ["15"])
            self.assertEqual([p.name for p in final.iterdir()], ["new"])

    def test_failure_leaves_the_old_one_and_names_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            final = pathlib.Path(folder, "15")
            final.mkdir()
            program = (f"import sys; sys.argv = ['x', {str(final)!r}]\n"
                       "import importlib.machinery as m, importlib.util as u\n"
                       f"l = m.SourceFileLoader('r', {str(RECIPE)!r})\n"
                       "r = u.module_from_spec(u.spec_from_loader('r', l)); l.exec_module(r)\n"
                       "r.find_mirrors = lambda: ['file:///no/such/mirror']\n"
                       "sys.exit(r.main(sys.argv[1:]))\n")
            done = subprocess.run(["python3", "-B", "-c", program], text=True, capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("build-sysroot: package musl (armhf)", done.stderr)
            self.assertEqual([p.name for p in pathlib.Path(folder).iterdir()], ["15"])


if __name__ == "__main__":
    unittest.main()
