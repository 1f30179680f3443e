"""One run at a time in a work tree: an advisory lock that says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from acr import settings
from acr.errors import AcrError

__all__ = ["hold"]


@contextlib.contextmanager
def hold(root: Path, what: str) -> Iterator[None]:
    """Holds the lock of the work tree `root`; the kernel frees it when the process ends.

    Raises AcrError that names the holder's process and prompt when it is taken.
    """
    folder = settings.folder("locks")
    name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
    with open(folder / f"{name}.lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AcrError(f"{_holder(file.name)} is at work in {root}; wait for it") from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": time.time(), "prompt": what[:80]}))
        file.flush()
        yield


def _holder(path: str) -> str:
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        prompt = " ".join(str(held["prompt"]).split())
        return f"another acr (process {held['pid']}, {prompt!r})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another acr"
