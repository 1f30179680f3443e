"""Bounds how many sandboxes run at a time, over all processes of one user's acr."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from acr import settings

__all__ = ["turn"]

PAUSE = 0.1
"""Seconds between two looks for a free place."""


@contextlib.contextmanager
def turn(parallel: int = 0) -> Iterator[None]:
    """Holds one of `parallel` places, once one is free; 0 is half the cores, at least one.

    The kernel gives a place back when the process that holds it ends, however it ends.
    """
    places = parallel or max(1, (os.cpu_count() or 1) // 2)
    folder = settings.folder("locks")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(folder / f"sandbox-{n}", "a")) for n in range(places)]
        while not any(_taken(file.fileno()) for file in files):
            time.sleep(PAUSE)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
