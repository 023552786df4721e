#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""first_run.py BUILD_DIRECTORY: the main job from end to end, as the quickstart tells it."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Failed, Product  # noqa: E402


def main(build):
    with Product(build) as product:
        product.need_sdk()
        project = product.home / "my projects" / "blink"
        project.parent.mkdir()
        product.run("project", "new", project, "--template", "hl-blink")
        product.run("key", "create", "--name", "developer", "--use", "image")
        built = product.json("project", "build", project, timeout=120)
        [package] = built["packages"]
        shown = product.json("image-package", "show", package)
        product.run("image-package", "verify", package, "--trust", product.home / "data/sphere/keys")

        product.run("board", "create", "demo")
        product.run("board", "start", "demo")
        deployed = product.json("device", "sideload", "deploy", "--image-package", package)
        if deployed["state"] != "running":
            raise Failed(f"deployed, but {deployed}")
        component = shown["componentId"]
        edges = product.edges("demo", 4)
        if len(edges) < 2:
            raise Failed(f"pin 8 did not toggle: {edges}")
        if not product.output(component).strip():
            raise Failed("the app's output is empty")

        product.run("device", "sideload", "delete")
        if product.json("device", "image", "list-installed"):
            raise Failed("the app is still installed")
        product.run("board", "stop", "demo")
        product.run("board", "delete", "demo", "--yes")
        if product.json("board", "list"):
            raise Failed("the board is still there")


if __name__ == "__main__":
    main(sys.argv[1])
