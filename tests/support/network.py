# SPDX-License-Identifier: MIT
"""A network namespace for tests that make interfaces: nothing of it is seen outside."""
import fcntl
import os
import socket
import struct
import subprocess
import sys

from product import skip


def need_tun():
    """Skips unless an interface can be made here, by making one."""
    try:
        with open("/dev/net/tun", "r+b", buffering=0) as tun:
            fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"probe0", 0x1001))
    except OSError as error:
        skip(f"no TUN interface ({error}): a node /dev/net/tun that this user may open, and CAP_NET_ADMIN")


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))


def enter_own_network():
    """Runs this script anew in a network of its own, and ends with its status; returns inside only."""
    if os.environ.get("SPHERE_TEST_NETWORK") == "own":
        loopback_up()
        return
    inside = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-n"]
    probe = subprocess.run([*inside, "true"], capture_output=True, text=True)
    if probe.returncode:
        skip(f"no network namespace ({probe.stderr.strip()}): user namespaces, or root")
    done = subprocess.run([*inside, sys.executable, "-B", *sys.argv],
                          env={**os.environ, "SPHERE_TEST_NETWORK": "own"})
    sys.exit(done.returncode)
