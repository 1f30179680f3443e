"""The image that the host's toolchain is bound into: an empty root file system."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from acr.verifier.sandbox.system import ROOTS, etc

__all__ = ["IN_IMAGE", "empty_root"]

IN_IMAGE = tuple(name for name in ROOTS if name != "sbin")
"""sbin is a folder of the image's own: the engine puts its init there."""
_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "home/acr": 0o777}
"""A tmpfs takes the mode of the folder that it covers."""


def empty_root(user: int) -> bytes:
    """A tar of an empty root file system: folders, links and /etc/passwd, the same every time."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in [
            "usr",
            "sbin",
            "etc",
            "proc",
            "sys",
            "dev",
            "tmp",
            "run",
            "root",
            "home",
            "home/acr",
            "opt",
            "var",
            "var/tmp",
        ]:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, _MODES.get(name, 0o755)
            tar.addfile(folder)
        for name in IN_IMAGE:
            link, path = tarfile.TarInfo(name), Path("/", name)
            if path.is_symlink():
                link.type, link.linkname = tarfile.SYMTYPE, os.readlink(path)
            elif path.is_dir():
                link.type, link.mode = tarfile.DIRTYPE, 0o755
            else:
                continue
            tar.addfile(link)
        for name, text in etc(user).items():
            file = tarfile.TarInfo(f"etc/{name}")
            file.size, file.mode = len(text), 0o644
            tar.addfile(file, io.BytesIO(text))
    return data.getvalue()
