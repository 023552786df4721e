# SPDX-License-Identifier: MIT
"""Rows for image packages: pack, hash and sign; verify; batches. One group for each size of input."""
import os
import pathlib
import shlex
import shutil
import subprocess
import time

import inputs
import measure
from measure import Goal, Limit

PYTHON = "/usr/bin/python3"  # The one whose packages come from Debian.
SIZES = {"16KiB": 16 << 10, "100KiB": 100 << 10, "1MiB": 1 << 20, "16MiB": 16 << 20, "256MiB": 256 << 20, "1GiB": 1 << 30}
ROUNDS = {"16KiB": 21, "100KiB": 21, "1MiB": 11, "16MiB": 7, "256MiB": 5, "1GiB": 5}
V1_LIMIT = 250 << 20  # A package of format v1 has at most 256 MiB.
NO_COMPRESSION = "-noI -noD -noF -noX"


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def shell(*words):
    return " ".join(shlex.quote(str(word)) for word in words)


def der_signature(raw):
    def integer(number):
        number = number.lstrip(b"\0") or b"\0"
        number = b"\0" + number if number[0] & 0x80 else number
        return b"\x02" + bytes([len(number)]) + number

    numbers = integer(raw[:32]) + integer(raw[32:])
    return b"\x30" + bytes([len(numbers)]) + numbers


def openssl_verifies(package, public):
    """Whether openssl, which knows nothing of packages, finds the signature of a package v1 good."""
    with open(package, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(size - 64)
        raw = file.read()
        file.seek(0)
        signed = pathlib.Path(f"{package}.signed")
        with open(signed, "wb") as out:
            shutil.copyfileobj(file, out)
            out.truncate(size - 64)
    signature = pathlib.Path(f"{package}.sig")
    signature.write_bytes(der_signature(raw))
    result = subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, signed],
                            capture_output=True)
    signed.unlink()
    signature.unlink()
    return result.returncode == 0


def remove(*paths):
    """Writing rows start without their output, and with nothing left to write back."""
    def before():
        for path in paths:
            pathlib.Path(path).unlink(missing_ok=True)
        os.sync()
    return before


class Case:
    """The input of one size, packed by everyone, and the rows over it."""

    def __init__(self, sphere, root, name, keys, pool, peers, base=0.0):
        self.sphere, self.root, self.keys, self.peers = sphere, root, keys, peers
        self.memory = Limit(most_memory=16, base=base)
        self.name, self.size = name, SIZES[name]
        self.v1 = self.size <= V1_LIMIT + (6 << 20)
        self.environment = {**os.environ, "HOME": str(root), "XDG_DATA_HOME": str(root / "data")}
        self.app, self.manifest = inputs.make_app(root, min(self.size, V1_LIMIT) if self.v1 else self.size, pool)
        self.image = root / "image.bin"
        self.image.write_bytes(inputs.piece(pool, 0, self.size))
        self.ours = {form: root / f"ours.{form}" for form in ("v1", "v2")}

    def pack(self, form, *options):
        """The command line of packing: an app while it fits a package, else a block image."""
        if form == "v2" and not self.v1:
            source = ["pack-image", self.image, "--body-format", "block", "--component-id", inputs.COMPONENT, "--name", "bench"]
        else:
            source = ["pack-application", "--package-directory", self.app, "--application-manifest", self.manifest,
                      "--target-api-set", "15", "--no-check", "--format", form]
        return [self.sphere, "image-package", *source, "--key", self.keys.key, "-o", "none", "--output-file",
                self.ours[form], *options]

    def verify(self, form):
        return [self.sphere, "image-package", "verify", self.ours[form], "--trust", self.keys.public, "-o", "none"]

    def sphere_verifies(self, form):
        return subprocess.run(self.verify(form), capture_output=True, env=self.environment).returncode == 0

    def out(self, name):
        return self.root / name

    def rauc(self, form):
        """A directory that `rauc bundle` takes."""
        folder = self.out(f"rauc-{form}")
        if not folder.is_dir():
            folder.mkdir()
            os.link(self.image, folder / "rootfs.img")
            bundle = "" if form == "plain" else "[bundle]\nformat=verity\n\n"
            (folder / "manifest.raucm").write_text(
                f"[update]\ncompatible=bench\nversion=1\n\n{bundle}[image.rootfs]\nfilename=rootfs.img\n",
                encoding="ascii")
        return ["rauc", "bundle", f"--cert={self.keys.certificate}", f"--key={self.keys.key}",
                f"--mksquashfs-args={NO_COMPRESSION}", folder, self.out(f"bundle.{form}")]

    def signed_after(self, make, image):
        """A shell line: make an image, then sign it with openssl."""
        sign = shell("openssl", "dgst", "-sha256", "-sign", self.keys.key, "-out", f"{image}.sig", image)
        return f"{make} && {sign}"

    def peer_signature_good(self, image):
        return subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.keys.public, "-signature",
                               f"{image}.sig", image], capture_output=True).returncode == 0

    def pack_rows(self):
        squash, erofs, tree, copy = (self.out(name) for name in ("squash", "erofs", "tree", "copy"))
        sign = ["openssl", "dgst", "-sha256", "-sign", self.keys.key, "-out", f"{self.image}.sig", self.image]
        rows = [measure.Row("openssl dgst -sign", sign, note="hash and signature only, no output file",
                            needs=find("openssl"), package="openssl",
                            check=lambda: self.peer_signature_good(self.image)),
                measure.Row("cp", ["cp", self.image, copy], note="copy only", before=remove(copy))]
        if self.v1:
            signed = self.out("resigned.v1")
            bound = 1.1 if self.size <= 8 << 20 else 1.35
            rows.append(measure.Row(
                "sphere pack v1", self.pack("v1", "--no-sync"), before=remove(self.ours["v1"]),
                environment=self.environment,
                goal=[Goal(["sphere sign v1, in place", "cp"], at_most=bound), self.memory],
                check=lambda: openssl_verifies(self.ours["v1"], self.keys.public) and self.sphere_verifies("v1")))
            rows.append(measure.Row(
                "sphere sign v1, in place", [self.sphere, "image-package", "sign", signed, "--key", self.keys.key,
                                             "--no-sync", "-o", "none"], note="for the goal of packing",
                environment=self.environment, before=lambda: shutil.copy(self.ours["v1"], signed)))
        goal = [self.memory]
        if self.name == "1GiB":
            goal += [Goal("cp", at_most=1.15), Goal("mkfs.erofs", at_least=1)]
        rows += [
            measure.Row("sphere pack v2", self.pack("v2", "--no-sync"), before=remove(self.ours["v2"]),
                        environment=self.environment, check=lambda: self.sphere_verifies("v2"), goal=goal),
            measure.Row("sphere pack v2, synced (default)", self.pack("v2"), before=remove(self.ours["v2"]),
                        environment=self.environment, check=lambda: self.sphere_verifies("v2")),
            measure.Row("veritysetup format", [find("veritysetup") or "veritysetup", "format", "--salt=-", self.image,
                                               tree], note="tree only; unsigned",
                        needs=find("veritysetup"), package="cryptsetup-bin", before=remove(tree)),
            measure.Row("mksquashfs + openssl", self.signed_after(
                shell("mksquashfs", self.app, squash, "-noappend", *NO_COMPRESSION.split(), "-no-progress"), squash),
                note="no compression", needs=find("mksquashfs"), package="squashfs-tools",
                before=remove(squash), check=lambda: self.peer_signature_good(squash)),
            measure.Row("mkfs.erofs", ["mkfs.erofs", erofs, self.app], note="no compression, unsigned",
                        needs=find("mkfs.erofs"), package="erofs-utils", before=remove(erofs)),
            measure.Row("mkfs.erofs + openssl", self.signed_after(shell("mkfs.erofs", erofs, self.app), erofs),
                        note="no compression", needs=find("mkfs.erofs"), package="erofs-utils", before=remove(erofs),
                        check=lambda: self.peer_signature_good(erofs)),
        ]
        for form in ("plain", "verity"):
            rows.append(measure.Row(f"rauc bundle, {form}", self.rauc(form), note="no compression",
                                    needs=find("rauc") and find("mksquashfs"), package="rauc squashfs-tools",
                                    before=remove(self.out(f"bundle.{form}"))))
        if self.size <= 1 << 20:
            script = self.out("script")
            rows.append(measure.Row(
                "python3 + cryptography, pack_v1.py",
                [PYTHON, "-B", self.peers / "pack_v1.py", self.app, self.manifest, self.keys.key, script,
                 inputs.COMPONENT, "15"],
                needs=has_cryptography(), package="python3-cryptography", before=remove(script), note="no checks",
                check=lambda: openssl_verifies(script, self.keys.public)))
        return rows

    def sign_rows(self):
        """Signing what is packed already: nothing of the body is written."""
        targets = {form: self.out(f"signed.{form}") for form in ("v1", "v2")}
        rows = [measure.Row("openssl dgst -sign", ["openssl", "dgst", "-sha256", "-sign", self.keys.key, "-out",
                                                   f"{self.image}.sig", self.image],
                            needs=find("openssl"), package="openssl")]
        goals = {"v1": [Goal("openssl dgst -sign", at_most=1.15)] if self.name == "256MiB" else [],
                 "v2": self.sign_goals()}
        for form in ("v1", "v2"):
            if form == "v1" and not self.v1:
                continue
            command = [self.sphere, "image-package", "sign", targets[form], "--key", self.keys.key, "--no-sync", "-o",
                       "none"]
            packed = self.ours[form].exists()
            if packed:
                shutil.copy(self.ours[form], targets[form])
            rows.append(measure.Row(f"sphere sign {form}, in place", command, environment=self.environment,
                                    note="every check, hash, signature" if form == "v1" else
                                    "the hash tree stays; every check of the metadata, signature",
                                    goal=goals[form] + [self.memory], needs=packed, package="(packing failed)"))
        if self.name == "1GiB":
            tree = self.out("tree")
            rows += [measure.Row("fsverity digest", ["fsverity", "digest", self.image], needs=find("fsverity"),
                                 package="fsverity", note="hash only"),
                     measure.Row("veritysetup format", [find("veritysetup") or "veritysetup", "format", "--salt=-",
                                                        self.image, tree], note="tree only; unsigned",
                                 needs=find("veritysetup"), package="cryptsetup-bin", before=remove(tree))]
        if find("minisign"):
            rows.append(measure.Row("minisign -S", ["minisign", "-S", "-W", "-s", self.keys.minisign_key, "-m",
                                                    self.image, "-x", self.out("minisig")], note="Ed25519, BLAKE2b"))
        return rows

    def repack_rows(self):
        """A second packing after a change of about 1 % and with a new build time, beside a full one."""
        changed, output = self.app / "data/table.bin", self.out("again.v2")
        builds = iter(range(1_700_000_000, 1_800_000_000))

        def change():
            with open(changed, "r+b") as file:
                first = file.read(1)[0]
                file.seek(0)
                file.write(bytes([first ^ 1]))
            os.sync()
            time.sleep(0.05)  # A file as new as the cache counts as changed.
            self.environment["SOURCE_DATE_EPOCH"] = str(next(builds))

        def row(name, *options, goal=None, note=""):
            words = [output if word == self.ours["v2"] else word for word in self.pack("v2", "--no-sync", *options)]
            return measure.Row(name, words, before=change, environment=self.environment, goal=goal, note=note,
                               check=lambda: subprocess.run(
                                   [self.sphere, "image-package", "verify", output, "--trust", self.keys.public, "-o",
                                    "none"], capture_output=True).returncode == 0)

        share = changed.stat().st_size / self.size
        # The goal is set for 1 GiB; 250 MiB is the largest app.
        limits = [self.memory] + ([Limit(most_wall=30)] if self.name == "256MiB" else [])
        return [row("sphere pack v2, full"),
                row("sphere pack v2 --incremental", "--incremental", goal=limits,
                    note=f"{share:.1%} changed; the rest is copied by the kernel, or shared where the file system can")]

    def sign_goals(self):
        """Of signing a package v2 that is there already."""
        if self.name == "16MiB":
            return [Goal("openssl dgst -sign", at_least=1.5)]
        if self.name != "1GiB":
            return []
        goals = [Goal("openssl dgst -sign", at_least=3.3), Goal("openssl dgst -sign", at_least=1.7, cpu=True),
                 Goal("fsverity digest", at_least=4), Goal("veritysetup format", at_least=4)]
        return goals + ([Goal("minisign -S", at_least=5)] if find("minisign") else [])

    def verify_rows(self):
        tree = self.out("tree")
        root = tree_root(self.image, tree)
        rows = [measure.Row("openssl dgst -verify",
                            ["openssl", "dgst", "-sha256", "-verify", self.keys.public, "-signature",
                             f"{self.image}.sig", self.image], needs=find("openssl"), package="openssl")]
        if self.v1:
            goal = [self.memory] + ([Goal("openssl dgst -verify", at_most=1.15)] if self.name == "256MiB" else [])
            rows.append(measure.Row("sphere verify v1", self.verify("v1"), environment=self.environment, goal=goal,
                                    note="every check, CRC, hash, signature"))
        goal = ([Goal("openssl dgst -verify", at_least=3), Goal("veritysetup verify", at_least=3.5)]
                if self.name == "1GiB" else [Goal("openssl dgst -verify", at_least=2)] if self.name == "16MiB" else [])
        goal.append(self.memory)
        rows += [measure.Row("sphere verify v2", self.verify("v2"), environment=self.environment, goal=goal,
                             note="every block, signature"),
                 measure.Row("veritysetup verify", [find("veritysetup") or "veritysetup", "verify", self.image, tree,
                                                    root], note="unsigned", needs=root, package="cryptsetup-bin")]
        for form in ("plain", "verity"):
            bundle = self.out(f"bundle.{form}")
            rows.append(measure.Row(f"rauc info, {form}",
                                    ["rauc", "info", f"--keyring={self.keys.certificate}", bundle],
                                    note="" if form == "plain" else "signature of the manifest only",
                                    needs=bundle.exists(), package="rauc"))
        return rows


def tree_root(image, tree):
    if not find("veritysetup"):
        return ""
    lines = subprocess.run([find("veritysetup"), "format", "--salt=-", image, tree], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return next(line.split()[-1] for line in lines if line.startswith("Root hash"))


def has_cryptography():
    return subprocess.run([PYTHON, "-c", "import cryptography"], capture_output=True).returncode == 0


def is_static(sphere):
    """Whether OpenSSL is in the program: then its start costs less."""
    return "libcrypto" not in subprocess.run(["ldd", sphere], capture_output=True, text=True).stdout


def small_goals(case):
    if not is_static(case.sphere):
        return [Limit(most_cpu=4)]
    return [Limit(most_cpu=2.5)] + ([Goal("minisign -S", at_most=1.3, cpu=True)] if find("minisign") else [])


def small_rows(case):
    """One package from start to exit, beside a program that only hashes it."""
    package, signed = case.ours["v1"], case.out("small.signed")
    show = [case.sphere, "image-package", "show", package, "-o", "table"]
    sign = [case.sphere, "image-package", "sign", package, "--key", case.keys.key, "--output-file", signed,
            "--no-sync", "-o", "none"]
    return [
        measure.Row("openssl dgst -sign", ["openssl", "dgst", "-sha256", "-sign", case.keys.key, "-out",
                                           case.out("small.sig"), package], note="hash and signature"),
        measure.Row("sphere image-package sign", sign, note="every check, hash, signature, new file",
                    goal=small_goals(case),
                    before=remove(signed), check=lambda: openssl_verifies(signed, case.keys.public),
                    environment=case.environment),
        measure.Row("sphere image-package verify --trust", case.verify("v1"), note="every check, hash, signature",
                    environment=case.environment),
        measure.Row("sphere image-package show", show, note="every check, hash of the file and of each file in it",
                    environment=case.environment),
        measure.Row("minisign -S", ["minisign", "-S", "-W", "-s", case.keys.minisign_key, "-m", package, "-x",
                                    case.out("small.minisig")], note="Ed25519, BLAKE2b",
                    needs=find("minisign"), package="minisign"),
    ]


def print_group(runner, title, rows, rounds):
    measure.measure(runner, rows, rounds)
    print(f"\n### {title}\n")
    print("\n".join(measure.table(rows)))
    lines = list(measure.goals(rows))
    if lines:
        print()
        print("\n".join(lines))
    print(end="", flush=True)
    return not any(row.failed for row in rows)


def run(sphere, runner, root, rounds, peers, sizes):
    """Prints the tables; gives whether every row that is present succeeded."""
    keys = inputs.Keys(root, minisign=bool(find("minisign")))
    base = runner.run([sphere, "--version"])[2]
    pool = inputs.make_pool(root / "pool", max(SIZES[name] for name in sizes) + (1 << 20))
    good = True
    for name in sizes:
        place = root / name
        place.mkdir()
        case = Case(sphere, place, name, keys, pool, peers, base)
        count = rounds or ROUNDS[name]
        good &= print_group(runner, f"{name}: pack, hash and sign", case.pack_rows(), count)
        good &= print_group(runner, f"{name}: sign what is packed", case.sign_rows(), count)
        good &= print_group(runner, f"{name}: verify", case.verify_rows(), count)
        if name in ("16MiB", "256MiB"):
            good &= print_group(runner, f"{name}: pack again, format v2", case.repack_rows(), count)
        if name == "100KiB":
            good &= print_group(runner, "One package of 100 KiB, start to exit", small_rows(case), count)
        shutil.rmtree(place)
    return good
