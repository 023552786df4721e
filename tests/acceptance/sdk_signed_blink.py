#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sdk_signed_blink.py BUILD_DIRECTORY VECTORS: a binary built by Microsoft's SDK runs unmodified."""
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Failed, Product, skip  # noqa: E402

COMPONENT = "2f074b0f-d99d-4692-82d9-ef93a7d6463c"


def main(build, vectors):
    package = pathlib.Path(vectors, "hl-blink-sdk-signed.imagepackage")
    if not package.exists():
        skip("no vector hl-blink-sdk-signed.imagepackage beside the project")
    with Product(build) as product:
        product.need_sdk()
        product.run("board", "create", "real")
        product.run("board", "start", "real")
        product.run("device", "sideload", "deploy", "--image-package", package)
        edges = product.edges("real", 6)
        gaps = [(b[0] - a[0]) / 1e6 for a, b in zip(edges, edges[1:])]
        if len(gaps) < 2 or not 0.5 < statistics.median(gaps) < 1.6:
            raise Failed(f"GPIO 8 does not toggle about once a second: {edges}")
        if not product.output(COMPONENT).strip():
            raise Failed("no log line")


if __name__ == "__main__":
    main(*sys.argv[1:])
