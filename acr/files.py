"""Writes a file in one step: the old content or the new, never half."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(file: Path, content: str | bytes) -> None:
    """Puts `content` in place of `file`; its mode and owner are kept (new: 0600), a link followed.

    Missing folders are made, 0700. Raises OSError, with the file as it was.
    """
    target = Path(os.path.realpath(file))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = target.stat() if target.exists() else None
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            if before and (os.geteuid(), os.getegid()) != (before.st_uid, before.st_gid):
                with contextlib.suppress(PermissionError):
                    os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            os.fchmod(stream.fileno(), before.st_mode & 0o7777 if before else 0o600)
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    with contextlib.suppress(OSError):  # a folder that cannot be synced still has the new file
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
