"""What the kernel holds a process tree to where the engine does not: rlimits and cgroups."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from acr.settings import Limits

__all__ = ["MIB", "Cgroup", "refused_processes", "rlimits"]

MIB = 1024 * 1024
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
        if made.holds >= {"memory", "pids"} and made.joinable:
            return made
        made.remove()
        return None

    @property
    def joinable(self) -> bool:
        """Whether this process may put its children in: cgroup v2 asks the common parent too."""
        files = [folder / "cgroup.procs" for folder in self.folders]
        if not (_CGROUPS / "cgroup.controllers").exists():
            return all(os.access(file, os.W_OK) for file in files)
        shared = [file.parents[1] / "cgroup.procs" for file in files]
        return all(os.access(file, os.W_OK) for file in [*files, *shared])

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
        files = ("memory.oom_control", "memory.events")
        return any(_event(f / file, "oom_kill") for f in self.folders for file in files)

    def refused_processes(self) -> bool:
        """Whether a process could not be started because there were too many."""
        return any(_event(folder / "pids.events", "max") for folder in self.folders)

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


def _event(file: Path, name: str) -> bool:
    """Whether the kernel counted an event of the cgroup that `file` belongs to."""
    with contextlib.suppress(OSError):
        pairs = (line.split() for line in file.read_text().splitlines())
        return any(int(pair[1]) for pair in pairs if pair[0] == name)
    return False


def refused_processes(pid: int) -> bool:
    """Cgroup.refused_processes of the cgroup that process `pid` is in; False once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "pids"):
                folder = _CGROUPS / controllers / path.lstrip("/")
                if _event(folder / "pids.events", "max"):
                    return True
    return False


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
