#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""package_v2.py BUILD_DIRECTORY VECTORS: packages of format v2 on a virtual board: they run, expanded
and compressed; an older security version and another board's package are refused."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from blink_variants import COMPONENT, Variants  # noqa: E402
from product import Product  # noqa: E402
from rest import Rest  # noqa: E402


class PackageV2(unittest.TestCase):
    def setUp(self):
        self.product = Product(BUILD)
        self.addCleanup(self.product.__exit__)
        self.product.need_sdk()
        self.variants = Variants(self.product, VECTORS)
        self.files = pathlib.Path(self.product.home) / "files"
        self.product.run("image-package", "unpack", self.variants.vector, "--output-directory",
                         self.files)

    def pack(self, name, *options):
        package = pathlib.Path(self.product.home) / f"{name}.imagepackage"
        self.product.run("image-package", "pack-application", "--format", "v2",
                         "--package-directory", self.files, "--application-manifest",
                         self.files / "app_manifest.json", "--no-check", "--output-file", package,
                         *options)
        return package

    def board(self):
        self.product.run("board", "create", "desk")
        self.product.run("board", "start", "desk")
        return Rest(pathlib.Path(self.product.home) / "run/sphere/boards/desk/rest.sock")

    def deploy(self, package):
        self.product.run("device", "sideload", "deploy", "--image-package", package)

    def refusal(self, package):
        """Deploys what the board must refuse; returns the message."""
        error = self.product.error("device", "sideload", "deploy", "--image-package", package)
        return error["message"]

    def assert_blinks(self):
        self.assertGreaterEqual(len(self.product.edges("desk", 4.5)), 2)

    def test_it_runs(self):
        self.board()
        self.deploy(self.pack("v2", "--security-version", "3", "--board", "mt3620-rdb"))
        self.assert_blinks()
        self.assertIn("azure-sphere-samples", self.product.output(COMPONENT))

    def test_the_compressed_form_is_stored_expanded_and_runs(self):
        self.board()
        self.deploy(self.pack("small", "--compress"))
        self.assert_blinks()
        images = pathlib.Path(self.product.home) / "state/sphere/boards/desk"
        stored = [path for path in images.rglob("images/*") if path.is_file()]
        self.assertEqual(len(stored), 1)
        shown = self.product.json("image-package", "show", stored[0])
        self.assertIsNotNone(shown["compression"])
        self.assertGreater(stored[0].stat().st_size, shown["merkle"]["blocks"] * 4096)

    def test_an_older_security_version_is_refused(self):
        self.board()
        self.deploy(self.pack("new", "--security-version", "5"))
        self.assertIn("security version 4",
                      self.refusal(self.pack("old", "--security-version", "4")))
        # Package v1 has none, which counts as 0.
        self.assertIn("security version 0", self.refusal(self.variants.vector))
        self.deploy(self.pack("same", "--security-version", "5"))
        self.assert_blinks()

    def test_a_package_for_another_board_is_refused(self):
        self.board()
        self.assertIn("another-board", self.refusal(self.pack("other", "--board", "another-board")))

    def test_a_damaged_package_is_refused(self):
        self.board()
        package = self.pack("good")
        data = bytearray(package.read_bytes())
        data[0x2100] ^= 1
        package.write_bytes(data)
        self.assertIn("signed hash tree", self.refusal(package))


if __name__ == "__main__":
    BUILD, VECTORS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
