"""What every sandbox shows of the host's own system, and the few files it has of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path

from acr.settings import Limits
from acr.verifier.sandbox.engine import HOME
from acr.verifier.sandbox.limits import MIB

__all__ = ["ROOTS", "SHM", "SHOWN", "TMP", "TRIAL", "etc"]

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
