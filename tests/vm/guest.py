# SPDX-License-Identifier: MIT
"""A Debian kernel in an emulated PC, for tests of what this machine's kernel may lack.

The kernel and busybox are unpacked from Debian's packages below the build directory, never
installed. One boot takes some seconds; no root and no hardware virtualisation are needed.
"""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys

ARCHIVE = {"x86_64": ("linux-image-cloud-amd64", "qemu-system-x86_64")}


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(77)


def output_of(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Guest:
    """A kernel tree that is ready to boot. `folder` is kept between runs."""

    def __init__(self, folder):
        machine = os.uname().machine
        if machine not in ARCHIVE:
            skip(f"no guest kernel is named for {machine}")
        self.meta_package, self.emulator = ARCHIVE[machine]
        for program, package in ((self.emulator, "qemu-system-x86"), ("cpio", "cpio"), ("depmod", "kmod"),
                                 ("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("gcc", "gcc")):
            if not self.find(program):
                skip(f"{program} is missing: package {package}")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tree = self.folder / "tree"
        with open(self.folder / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.tree.is_dir():
                self.fetch()

    @staticmethod
    def find(program):
        return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def fetch(self):
        packages = self.folder / "packages"
        packages.mkdir(exist_ok=True)
        try:
            names = [line.split(":", 1)[1].strip()
                     for line in output_of("apt-cache", "depends", self.meta_package).splitlines()
                     if line.strip().startswith("Depends: linux-image-")]
            subprocess.run(["apt-get", "download", "-q", names[0], "busybox-static"], cwd=packages, check=True,
                           capture_output=True)
        except (subprocess.CalledProcessError, IndexError):
            skip(f"the packages {self.meta_package} and busybox-static cannot be downloaded")
        aside = self.folder / "tree.new"
        shutil.rmtree(aside, ignore_errors=True)
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, aside], check=True)
        subprocess.run([self.find("depmod"), "-b", aside, next((aside / "lib/modules").iterdir()).name], check=True)
        aside.rename(self.tree)

    def modules(self, names):
        """Paths of kernel modules and of what they need, in the order of loading."""
        version = next((self.tree / "lib/modules").iterdir()).name
        paths = []
        for name in names:
            for line in output_of(self.find("modprobe"), "-d", str(self.tree), "-S", version, "--show-depends",
                                  name).splitlines():
                words = line.split()
                if words[0] == "insmod" and words[1] not in paths:
                    paths.append(words[1])
        return paths

    def make_initrd(self, work, script, modules, programs):
        """An initial file system whose /init loads `modules` and then runs `script`."""
        root = work / "initrd"
        for directory in ("bin", "dev", "proc", "sys", "tmp", "modules"):
            (root / directory).mkdir(parents=True)
        shutil.copy(next(self.tree.glob("**/bin/busybox")), root / "bin/busybox")
        (root / "bin/sh").symlink_to("busybox")
        for program in programs:
            shutil.copy(program, root / "bin")
        loads = []
        for path in self.modules(modules):
            shutil.copy(path, root / "modules")
            loads.append(f"insmod /modules/{pathlib.Path(path).name} || echo 'FAILED insmod {path}'")
        init = root / "init"
        init.write_text("\n".join([
            "#!/bin/sh", "/bin/busybox --install -s /bin", "mount -t proc proc /proc", "mount -t sysfs sys /sys",
            "mount -t devtmpfs dev /dev", *loads, "mdev -s", script, "echo GUEST-END", "poweroff -f", ""]),
            encoding="utf-8")
        init.chmod(0o755)
        names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(),
                                 capture_output=True, check=True).stdout
        (work / "initrd.cpio").write_bytes(archive)
        return work / "initrd.cpio"

    def run(self, work, script, *, modules, programs, disks, timeout=120):
        """Boots, runs the shell script, and gives the lines that the guest wrote."""
        initrd = self.make_initrd(work, script, modules, programs)
        drives = []
        for index, disk in enumerate(disks):
            drives += ["-drive", f"file={disk},format=raw,if=none,readonly=on,id=d{index}", "-device",
                       f"virtio-blk-pci,drive=d{index}"]
        kernel = next((self.tree / "boot").glob("vmlinuz-*"))
        result = subprocess.run(
            [self.emulator, "-accel", "tcg", "-M", "q35", "-cpu", "max", "-m", "256", "-nographic", "-no-reboot",
             "-nic", "none", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1", *drives],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout)
        # The firmware clears the screen first.
        lines = re.sub(r"\x1b(\[[?0-9;]*[A-Za-z]|c)|\r", "", result.stdout).splitlines()
        if "GUEST-END" not in lines:
            sys.exit("the guest did not reach its end:\n" + "\n".join(lines[-30:]) + result.stderr)
        return lines
