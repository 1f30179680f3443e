"""What holds a process tree to its limits where the engine does not: cgroups and a watchdog."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from acr.settings import Limits

__all__ = ["MIB", "Cgroup", "Watchdog", "folder_bytes", "rlimits", "tree_bytes"]

MIB = 1024 * 1024
FREE_DISK = 256 * MIB
"""Below this much free space on the copy's disk a run is stopped."""
_CGROUPS = Path("/sys/fs/cgroup")
_OWN = re.compile(r"acr-(\d+)-[0-9a-f]+")


def rlimits(limits: Limits, pids: bool) -> dict[str, int]:
    """rlimit name -> value in bytes or counts, as util-linux prlimit names them.

    Address space is left alone: runtimes reserve far more than they use. `pids` says whether
    processes are counted by rlimit, which counts all processes of the user.
    """
    made = {
        "core": 0,
        "data": limits.memory * MIB,
        "fsize": limits.file * MIB,
        "nofile": limits.files,
    }
    return {**made, "nproc": limits.pids} if pids else made


class Cgroup:
    """A cgroup of one run, v1 or v2, where the user may make one."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self.holds: set[str] = set()
        """Which of memory, pids and cpus it limits."""

    @classmethod
    def create(cls, limits: Limits) -> Cgroup | None:
        """A new cgroup that limits at least memory and pids; None where none can be made."""
        name = f"acr-{os.getpid()}-{secrets.token_hex(4)}"
        made = cls()
        try:
            for parent in _parents():
                _sweep(parent)
                folder = parent / name
                folder.mkdir()
                made.folders.append(folder)
                made._set(folder, limits)
        except OSError:
            made.holds.clear()
        if made.holds >= {"memory", "pids"}:
            return made
        made.remove()
        return None

    def _set(self, folder: Path, limits: Limits) -> None:
        for file, holds, value in _values(limits):
            if (folder / file).exists():
                (folder / file).write_text(str(value))
                self.holds |= {holds}

    def joining(self, command: Sequence[str]) -> list[str]:
        """`command`, entering this cgroup before it starts."""
        count = len(self.folders)
        enter = "".join(f'echo $$ > "${n}" && ' for n in range(1, count + 1))
        files = [str(folder / "cgroup.procs") for folder in self.folders]
        return ["/bin/sh", "-c", f'{enter}shift {count} && exec "$@"', "sh", *files, *command]

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed a process of the cgroup for memory."""
        return any(self._count(file) for file in ("memory.oom_control", "memory.events"))

    def _count(self, file: str) -> int:
        total = 0
        for folder in self.folders:
            with contextlib.suppress(OSError):
                pairs = (line.split() for line in (folder / file).read_text().splitlines())
                total += sum(int(pair[1]) for pair in pairs if pair[0] == "oom_kill")
        return total

    def remove(self) -> None:
        """Removes the cgroup; waits up to a second for its last process to be gone."""
        deadline = time.monotonic() + 1
        while self.folders and time.monotonic() < deadline:
            for folder in tuple(self.folders):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    self.folders.remove(folder)
            if self.folders:
                time.sleep(0.005)


def _parents() -> list[Path]:
    """The folders in which this process may be able to make cgroups."""
    if not (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS / controller for controller in ("memory", "pids", "cpu")]
    memberships = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(line for line in memberships if line.startswith("0::"))
    inside = _CGROUPS / own.removeprefix("0::").lstrip("/")
    return [_CGROUPS if inside == _CGROUPS else inside.parent]


def _values(limits: Limits) -> Iterator[tuple[str, str, int | str]]:
    """(file, what it limits, value), v2 and v1; those that do not exist are passed over."""
    memory, quota = limits.memory * MIB, int(limits.cpus * 100_000)
    yield "memory.max", "memory", memory
    yield "memory.swap.max", "memory", 0
    yield "memory.limit_in_bytes", "memory", memory
    yield "memory.memsw.limit_in_bytes", "memory", memory
    yield "pids.max", "pids", limits.pids
    yield "cpu.max", "cpus", f"{quota} 100000"
    yield "cpu.cfs_period_us", "cpus", 100_000
    yield "cpu.cfs_quota_us", "cpus", quota


def _sweep(parent: Path) -> None:
    """Removes the empty cgroups of runs whose acr is gone."""
    for folder in parent.glob("acr-*"):
        own = _OWN.fullmatch(folder.name)
        if own and not Path(f"/proc/{own[1]}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


class Watchdog:
    """Looks at a running process tree now and then, and says when it is too much."""

    def __init__(self, limits: Limits, folders: Sequence[Path], memory: bool = True) -> None:
        """`folders` may grow to `limits.copy`; `memory` is off where a cgroup counts it."""
        self._limits, self._folders, self._memory = limits, folders, memory
        self._next_disk = 0.0

    def look(self, pid: int | None) -> str:
        """'memory' or 'disk' when the tree below `pid` must be stopped, else "".

        Memory is looked at on every call, the disk at most once a second and never for more
        than a tenth of the time.
        """
        if self._memory and pid is not None and tree_bytes(pid) > self._limits.memory * MIB:
            return "memory"
        now = time.monotonic()
        if now < self._next_disk:
            return ""
        over = self._disk_is_over()
        self._next_disk = time.monotonic() + max(1.0, 10 * (time.monotonic() - now))
        return "disk" if over else ""

    def _disk_is_over(self) -> bool:
        cap = self._limits.copy * MIB
        return any(
            shutil.disk_usage(folder).free < FREE_DISK or folder_bytes(folder, cap) > cap
            for folder in self._folders
        )


def tree_bytes(pid: int) -> int:
    """Resident bytes of a process and its descendants; 0 where /proc is not there.

    Pages that processes share are counted once (Pss) where the kernel tells.
    """
    return sum(_resident(p) for p in _descendants(pid))


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
        plain = pages * os.sysconf("SC_PAGE_SIZE")
        if plain < 64 * MIB:
            return plain
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        return plain
    return 0


def folder_bytes(folder: Path, stop_at: int) -> int:
    """Bytes on disk below `folder`, links not followed; stops counting past `stop_at`."""
    total, waiting = 0, [os.fsencode(folder)]
    while waiting and total <= stop_at:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total
