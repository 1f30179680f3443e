"""One run at a time in a work tree: an advisory lock that says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acr import settings
from acr.errors import AcrError

__all__ = ["Holder", "held", "hold"]


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
        told = {"pid": os.getpid(), "since": time.time(), "prompt": what[:80], "root": str(root)}
        file.write(json.dumps(told))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that is at work in a work tree."""

    pid: int
    since: float
    """Seconds since the epoch."""
    prompt: str
    root: str


def held() -> tuple[Holder, ...]:
    """Who is at work now, the longest first. Only looks: it never stands in a lock's way."""
    found = []
    for file in (settings.home() / "locks").glob("*.lock"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            told = json.loads(file.read_text(encoding="utf-8"))
            os.kill(int(told["pid"]), 0)  # raises when it was killed and could not say that it ends
            root = str(told.get("root", ""))
            found.append(Holder(int(told["pid"]), float(told["since"]), str(told["prompt"]), root))
    return tuple(sorted(found, key=lambda holder: holder.since))


def _holder(path: str) -> str:
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        prompt = " ".join(str(held["prompt"]).split())
        return f"another acr (process {held['pid']}, {prompt!r})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another acr"
