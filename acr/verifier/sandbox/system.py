"""The host around every sandbox: what is shown of it, and what is cleared away on it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from acr.settings import Limits
from acr.verifier.sandbox.engine import HOME
from acr.verifier.sandbox.limits import MIB

__all__ = ["ROOTS", "SHM", "SHOWN", "TMP", "TRIAL", "etc", "remove_tree"]

ROOTS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Folders below / that are links into /usr on most systems."""
SHOWN = ("/usr", "/nix/store", "/etc/alternatives", "/etc/ssl")
"""Host folders that are visible, read-only, where they exist."""
TMP = "/tmp"  # noqa: S108 - inside, a private one
SHM = 64 * MIB
TRIAL = Limits(wall=10.0, memory=256, pids=64, output=1, tmp=16, file=16)
"""For the trivial sandbox of a probe."""


def etc(user: int) -> dict[str, bytes]:
    """Files of /etc by name: accounts of root and `user` only, the host's libraries and time."""
    files = {
        "group": f"root:x:0:\nacr:x:{user}:\n".encode(),
        "hosts": b"127.0.0.1 localhost acr\n::1 localhost\n",
        "nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
        "passwd": (
            f"root:x:0:0:root:/root:/bin/sh\nacr:x:{user}:{user}:acr:{HOME}:/bin/sh\n"
        ).encode(),
    }
    for name in ("ld.so.cache", "localtime"):
        with contextlib.suppress(OSError):
            files[name] = Path("/etc", name).read_bytes()
    return files


def remove_tree(folder: Path) -> None:
    """Removes `folder`, however deep it is and whichever of its folders were closed.

    By rm, which knows no longest path; links in it are not followed.
    """
    for prepare in ((), ("chmod", "-R", "u+rwx", "--", str(folder))):
        if prepare:
            subprocess.run(prepare, stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL, check=False)
        if not os.path.lexists(folder):
            return
