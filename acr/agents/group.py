"""Ends an agent's process group, and what it started in sessions of its own."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from acr.nouns import AttemptStatus

__all__ = ["Ending"]

GRACE = 5.0
"""Seconds between asking a process group to end and killing it."""
DRAIN = 1.0
"""Seconds that output is still read after the agent itself has ended."""


class Ending:
    """Ends a process group, and what its members started in sessions of their own."""

    def __init__(self, child: subprocess.Popen[bytes], mark: str) -> None:
        """`mark` is a NAME=VALUE in the environment of the child and nobody else's."""
        self._child, self._mark = child, mark.encode()
        self._family: set[Process] = set()
        self._kill_at = math.inf
        self._ended_at = math.inf
        self.reason: AttemptStatus | None = None

    def overdue(self) -> bool:
        """Whether the agent ended more than DRAIN ago (first asked when it has ended)."""
        self._ended_at = min(self._ended_at, time.monotonic())
        return time.monotonic() > self._ended_at + DRAIN

    def press(self, reason: AttemptStatus, *, hard: bool) -> None:
        """Asks the group to end; kills it once GRACE is over, or at once when `hard`."""
        if self.reason is None:
            self.reason = reason
            self._family = _family(self._child.pid)
            self._kill_at = time.monotonic() + GRACE
            self._signal(signal.SIGTERM)
        if hard or time.monotonic() > self._kill_at:
            self._signal(signal.SIGKILL)

    def surely(self) -> None:
        """Nothing of the group is left when this returns, whatever happened before."""
        stopped = self.reason is not None
        if self._child.poll() is None:
            stopped = True
            self._family = self._family or _family(self._child.pid)
        elif self._group_lives():
            self._signal(signal.SIGTERM)
            limit = time.monotonic() + DRAIN
            while self._group_lives() and time.monotonic() < limit:
                time.sleep(0.01)
        self._signal(signal.SIGKILL)
        self._child.wait()
        if stopped:
            self._sweep()

    def _sweep(self) -> None:
        """Kills what left the group, until a look finds nothing more."""
        limit = time.monotonic() + GRACE
        while time.monotonic() < limit:
            left = {p.pid for p in self._family & _everyone() if p.alive} | _marked(self._mark)
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._child.pid, 0)
        except (ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one with the same number by its start."""

    pid: int
    started: str
    parent: int = field(compare=False)
    group: int = field(compare=False)
    alive: bool = field(compare=False)
    """False once it has ended, even where nobody has taken note."""


def _everyone() -> set[Process]:
    """All processes; empty where `ps` is missing."""
    try:
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart="],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    except OSError:
        return set()
    rows = (line.split(None, 4) for line in listed.splitlines())
    return {
        Process(int(pid), started, int(parent), int(group), not state.startswith("Z"))
        for pid, parent, group, state, started in rows
    }


def _marked(mark: bytes) -> set[int]:
    """Processes with `mark` in their environment, whoever their parent is; Linux tells."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
    return found


def _family(leader: int) -> set[Process]:
    """The leader, the members of its group, and all their descendants."""
    everyone = _everyone()
    family = {p for p in everyone if leader in {p.pid, p.group}}
    while True:
        pids = {p.pid for p in family}
        grown = family | {p for p in everyone if p.parent in pids}
        if len(grown) == len(family):
            return family
        family = grown
