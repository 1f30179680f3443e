"""Looks at a running process tree now and then: memory and disk that no kernel limit counts."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acr.settings import Limits
from acr.verifier.sandbox.limits import MIB

__all__ = ["Watchdog", "folder_size", "tree_bytes"]

FREE_DISK = 256 * MIB
"""Below this much free space on the copy's disk a run is stopped."""
PARTS = 15
"""Parts of a path that are opened at once: 15 names of 255 bytes are below PATH_MAX."""
FREE_MEMORY = 0.1
"""Below this share of the machine's memory a run that may have taken it is stopped."""


class Watchdog:
    """Says when a process tree, or what it wrote, is too much."""

    def __init__(self, limits: Limits, folders: Sequence[Path], memory: bool = True) -> None:
        """`folders` may grow to `limits.copy`; `memory` is off where a cgroup counts it."""
        self._limits, self._folders, self._memory = limits, folders, memory
        self._next_disk = 0.0
        self._free = [_free(folder) for folder in folders]
        self._machine = _Machine.now()

    def look(self, pid: int | None) -> str:
        """'memory' or 'disk' when the tree below `pid` must be stopped, else "".

        Memory is looked at on every call, the disk at most once a second and never for more
        than a tenth of the time.
        """
        if self._memory and pid is not None and self._memory_is_over(pid):
            return "memory"
        now = time.monotonic()
        if now < self._next_disk:
            return ""
        over = self._disk_is_over(pid)
        self._next_disk = time.monotonic() + max(1.0, 10 * (time.monotonic() - now))
        return "disk" if over else ""

    def _memory_is_over(self, pid: int) -> bool:
        """What the tree has mapped, and what it may hold without: shared memory, pipes, sockets."""
        cap = self._limits.memory * MIB
        if tree_bytes(pid) > cap and tree_bytes(pid, exact=True) > cap:
            return True
        then, now = self._machine, _Machine.now()
        fell = then.available - now.available > cap
        return now.shared - then.shared > cap or (fell and now.available < FREE_MEMORY * now.total)

    def _disk_is_over(self, pid: int | None) -> bool:
        cap, hidden = self._limits.copy * MIB, _holds_deleted_files(pid)
        for folder, before in zip(self._folders, self._free, strict=True):
            size, entries, whole = folder_size(folder, cap)
            free = _free(folder)
            fell = before is not None and free is not None and before - free > cap
            if size > cap or entries > self._limits.entries or (free or cap) < FREE_DISK:
                return True
            if fell and (hidden or not whole):
                return True
        return False


@dataclass(frozen=True, slots=True)
class _Machine:
    """Memory of the whole machine in bytes; all 0 where /proc is not there."""

    total: int = 0
    available: int = 0
    shared: int = 0
    """Of files that live in memory and of shared segments, mapped or not."""

    @classmethod
    def now(cls) -> _Machine:
        with contextlib.suppress(OSError):
            lines = Path("/proc/meminfo").read_text().splitlines()
            kib = {
                name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)
            }
            wanted = (kib.get(name, 0) * 1024 for name in ("MemTotal", "MemAvailable", "Shmem"))
            return cls(*wanted)
        return cls()


def tree_bytes(pid: int, exact: bool = False) -> int:
    """Resident bytes of a process and its descendants; 0 where /proc is not there.

    `exact` counts pages that processes share once, where the kernel tells, and takes longer.
    """
    return sum((_proportional(p) if exact else None) or _resident(p) for p in _descendants(pid))


def _descendants(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                children = Path(f"/proc/{one}/task/{task}/children").read_text()
                waiting.extend(int(child) for child in children.split())


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _proportional(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return None


def _holds_deleted_files(pid: int | None) -> bool:
    """Whether the tree may write to files that no folder shows any more."""
    for one in _descendants(pid) if pid else ():
        folder = f"/proc/{one}/fd"
        try:
            for name in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError):
                    if os.readlink(f"{folder}/{name}").endswith(" (deleted)"):
                        return True
        except PermissionError:
            return True
        except OSError:  # it has ended
            continue
    return False


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def folder_size(folder: Path, stop_at: int) -> tuple[int, int, bool]:
    """(bytes on disk, entries, whether all of it could be seen) below `folder`, links not followed.

    Stops counting past `stop_at` bytes.
    """
    total, entries, whole, waiting = 0, 0, True, [os.fsencode(folder)]
    while waiting and total <= stop_at:
        here = waiting.pop()
        try:
            descriptor = _open(here)
        except FileNotFoundError:
            continue
        except OSError:  # closed, or replaced by a link
            whole = False
            continue
        try:
            with os.scandir(descriptor) as found:
                for entry in found:
                    entries += 1
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(here + b"/" + os.fsencode(entry.name))
        finally:
            os.close(descriptor)
    return total, entries, whole


def _open(folder: bytes) -> int:
    """A descriptor of `folder`, whose path may be longer than the kernel takes at once."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    parts = folder.split(b"/")
    descriptor = os.open(b"/".join(parts[:PARTS]) or b"/", flags)
    for start in range(PARTS, len(parts), PARTS):
        try:
            deeper = os.open(b"/".join(parts[start : start + PARTS]), flags, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor
