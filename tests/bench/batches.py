# SPDX-License-Identifier: MIT
"""Rows for many packages at once: 1,000 of 16 KiB and 1,000 of 100 KiB, in one process and one by one."""
import json
import os
import shutil
import subprocess

import images
import inputs
import measure
from images import find, shell
from measure import Goal, Limit

COUNT = 1000


class Batch:
    """`COUNT` packages of format v1, and job lists over them."""

    def __init__(self, sphere, root, size, keys, pool, peers):
        self.sphere, self.root, self.keys, self.peers = sphere, root, keys, peers
        self.environment = {**os.environ, "HOME": str(root), "XDG_DATA_HOME": str(root / "data")}
        self.packages, self.signed, self.aside = root / "packages", root / "signed", root / "aside"
        self.packages.mkdir()
        self.signed.mkdir()
        jobs = []
        for number in range(COUNT):
            place = root / "apps" / f"{number:04}"
            place.mkdir(parents=True)
            app, manifest = inputs.make_app(place, size, pool, seed=number)
            jobs.append({"package-directory": app, "application-manifest": manifest, "target-api-set": "15",
                         "no-check": True, "key": keys.key, "output-file": self.packages / f"{number:04}.imagepackage"})
        self.pack_jobs = self.job_list("pack.jobs", jobs)
        self.sign_jobs = self.job_list("sign.jobs", [
            {"image-package": job["output-file"], "key": keys.key, "output-file": self.signed / job["output-file"].name}
            for job in jobs])
        self.verify_jobs = self.job_list("verify.jobs", [
            {"image-package": job["output-file"], "trust": keys.public} for job in jobs])

    def job_list(self, name, jobs):

        path = self.root / name
        path.write_text("".join(json.dumps(job, default=str) + "\n" for job in jobs), encoding="utf-8")
        return path

    def command(self, verb, *options):
        return [self.sphere, "image-package", verb, "--batch", "-o", "none", *options]

    def put_aside(self, folder):
        """Makes room for output without deleting: ext4 avoids inodes that were freed a short while ago,
        and a run right after a removal would pay for the search. Memory and disk space are freed."""
        if folder.exists():
            self.aside.mkdir(exist_ok=True)
            place = self.aside / str(len(list(self.aside.iterdir())))
            folder.rename(place)
            for file in place.iterdir():
                os.truncate(file, 0)

    def emptied(self, folder, *, make=True):
        def before():
            self.put_aside(folder)
            if make:
                folder.mkdir()
            os.sync()
        return before

    def all_good(self, folder):
        """Whether openssl finds a sample of the signatures good and there are as many files as jobs."""
        files = sorted(folder.glob("*.imagepackage"))
        return len(files) == COUNT and all(images.openssl_verifies(path, self.keys.public) for path in files[::97])

    def verify_loop(self):
        """openssl over the signed part and the DER signature of each package, written once."""
        place = self.root / "signed-parts"
        place.mkdir()
        for package in sorted(self.packages.glob("*.imagepackage")):
            data = package.read_bytes()
            (place / f"{package.stem}.part").write_bytes(data[:-64])
            (place / f"{package.stem}.sig").write_bytes(images.der_signature(data[-64:]))
        verify_one = shell("openssl", "dgst", "-sha256", "-verify", self.keys.public, "-signature")
        return f"ls {self.packages} | sed s/.imagepackage// | xargs -P2 -I@ {verify_one} {place}/@.sig {place}/@.part"

    def rows(self, goals):
        sign_one = shell("openssl", "dgst", "-sha256", "-sign", self.keys.key, "-out")
        loop = f"ls {self.packages} | xargs -P2 -I@ {sign_one} {self.root}/peer/@.sig {self.packages}/@"
        (self.root / "peer").mkdir()
        names = " ".join(f"{self.packages}/{number:04}.imagepackage" for number in range(COUNT))
        return [
            measure.Row("sphere sign --batch --no-sync", self.command("sign", "--no-sync"), stdin=self.sign_jobs,
                        before=self.emptied(self.signed), check=lambda: self.all_good(self.signed), work=COUNT,
                        environment=self.environment, goal=goals["sign"]),
            measure.Row("the same, --jobs 1", self.command("sign", "--no-sync", "--jobs", "1"), stdin=self.sign_jobs,
                        before=self.emptied(self.signed), check=lambda: self.all_good(self.signed), work=COUNT,
                        environment=self.environment),
            measure.Row("the same, synced (default)", self.command("sign"), stdin=self.sign_jobs,
                        before=self.emptied(self.signed), check=lambda: self.all_good(self.signed), work=COUNT,
                        environment=self.environment, goal=[Goal("cp of the same files, then sync -f", at_most=1.15)]),
            measure.Row("sphere pack-application --batch --no-sync", self.command("pack-application", "--no-sync"),
                        stdin=self.pack_jobs, before=self.emptied(self.packages),
                        check=lambda: self.all_good(self.packages), work=COUNT, environment=self.environment,
                        goal=goals["pack"]),
            measure.Row("sphere verify --batch", self.command("verify"), stdin=self.verify_jobs, work=COUNT,
                        environment=self.environment, goal=goals["verify"]),
            measure.Row("the same with --jobs 1", self.command("verify", "--jobs", "1"), stdin=self.verify_jobs,
                        work=COUNT, environment=self.environment),
            measure.Row("openssl dgst -verify, xargs -P2", self.verify_loop(), work=COUNT, note="one process each"),
            measure.Row("openssl dgst -sign, xargs -P2", loop, work=COUNT, note="one process each"),
            measure.Row("minisign -S, many files", f"minisign -S -W -s {self.keys.minisign_key} -m {names}",
                        needs=find("minisign"), package="minisign", work=COUNT, note="Ed25519, one process"),
            measure.Row("cp of the same files", ["cp", "-r", self.packages, self.root / "copy"], work=COUNT,
                        before=self.emptied(self.root / "copy", make=False),
                        note="copy only"),
            measure.Row("cp of the same files, then sync -f",
                        f"cp -r {self.packages} {self.root}/copy && sync -f {self.root}/copy", work=COUNT,
                        before=self.emptied(self.root / "copy", make=False),
                        note="copy only"),
        ]


def run(sphere, runner, root, rounds, peers):
    keys = inputs.Keys(root, minisign=bool(find("minisign")))
    pool = inputs.make_pool(root / "pool", 64 << 20)
    good = True
    for name, size in (("16 KiB", 8 << 10), ("100 KiB", 88 << 10)):
        place = root / name.replace(" ", "")
        place.mkdir()
        batch = Batch(sphere, place, size, keys, pool, peers)
        subprocess.run(batch.command("pack-application", "--no-sync"), check=True, env=batch.environment,
                       stdin=open(batch.pack_jobs, "rb"), stdout=subprocess.DEVNULL)
        goals = {"sign": [Limit(least_rate=6500)], "verify": [], "pack": []}
        if name == "100 KiB":
            goals = {"sign": [Limit(least_rate=5000), Goal("openssl dgst -sign, xargs -P2", at_least=15),
                              Goal("minisign -S, many files", at_least=3)],
                     "verify": [Limit(least_rate=8000)], "pack": [Limit(least_rate=2400)]}
        good &= images.print_group(runner, f"{COUNT:,} packages of {name}", batch.rows(goals), rounds or 5)
        shutil.rmtree(place)
    return good
