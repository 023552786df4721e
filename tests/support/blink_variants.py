# SPDX-License-Identifier: MIT
"""Packages made from the SDK-signed blink vector: the same program with another manifest, another
processor or another signer. No compiler is needed."""
import json
import pathlib
import uuid

from product import skip

COMPONENT = "2f074b0f-d99d-4692-82d9-ef93a7d6463c"  # Of the vector itself.


class Variants:
    def __init__(self, product, vectors):
        self.product = product
        self.vector = pathlib.Path(vectors, "hl-blink-sdk-signed.imagepackage")
        if not self.vector.exists():
            skip("no vector hl-blink-sdk-signed.imagepackage beside the project")
        self.folder = product.home / "variants"
        self.folder.mkdir()
        product.run("key", "create", "--name", "developer", "--use", "image", check=False)

    def path(self, name):
        return self.folder / f"{name}.imagepackage"

    def pack(self, name, *, component=None, key="developer", elf=None, padding=0, image_id=None,
             **manifest):
        """Packs the blink program as app `name`. `manifest` replaces keys of the manifest, Gpio of
        its capabilities; `elf` is a function over the program's bytes; `padding` bytes of a file
        that does not compress make it longer. Returns the package's path."""
        tree = self.folder / name
        self.product.run("image-package", "unpack", self.vector, "--output-directory", tree)
        text = json.loads((tree / "app_manifest.json").read_text())
        text["Name"] = name
        text["ComponentId"] = component or str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        text["Capabilities"].update(manifest.pop("Capabilities", {}))
        text["Capabilities"] = {k: v for k, v in text["Capabilities"].items() if v is not None}
        text.update(manifest)
        (tree / "app_manifest.json").write_text(json.dumps(text))
        if elf:
            program = tree / "bin/app"
            program.write_bytes(elf(program.read_bytes()))
        if padding:
            (tree / "padding").write_bytes(bytes(i * 7 % 251 for i in range(256)) * (padding // 256))
        identity = ["--image-id", image_id] if image_id else []
        self.product.run("image-package", "pack-application", "--package-directory", tree,
                         "--output-file", self.path(name), "--key", key, "--no-check", *identity)
        return self.path(name)
