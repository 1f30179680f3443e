"""What every sandbox engine takes and gives: Job, SandboxResult, Probe, the Sandbox protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from acr.settings import Limits

__all__ = ["HOME", "NOBODY", "Job", "Output", "Probe", "Sandbox", "SandboxResult"]

HOME = "/home/acr"
"""The home folder inside a sandbox: empty, private, gone afterwards."""
NOBODY = 65534
"""The user id that tests get when acr itself runs as root."""


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run in a sandbox."""

    command: Sequence[str]
    copy: Path
    """The private copy of the tree, on the host; the only tree that the command sees."""
    at: Path
    """Where the copy appears inside: the original absolute path."""
    limits: Limits
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, HOME excepted, which the engine sets."""
    cwd: str = "."
    """Relative to `at`."""
    results: Path | None = None
    """A host folder that the command may write result files to, at the same path inside."""
    readonly: Sequence[Path] = ()
    """Host paths (toolchains, package caches) that appear inside, not writable."""


@dataclass(frozen=True, slots=True)
class Output:
    """What one stream said, bounded: its beginning and its end."""

    text: bytes = b""
    truncated: bool = False

    def __str__(self) -> str:
        return self.text.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a command ended, and what it was really held to."""

    engine: str
    version: str
    exit: int | None
    """Exit code; None when a signal ended it or the engine died."""
    signal: int | None = None
    duration: float = 0.0
    """Seconds."""
    stdout: Output = field(default_factory=Output)
    stderr: Output = field(default_factory=Output)
    timed_out: bool = False
    oom: bool = False
    """Some process was killed for memory; the command may have survived that."""
    disk_full: bool = False
    """It was stopped because the copy grew past its limit or the host's disk ran out."""
    pids_reached: bool = False
    """Some process could not be started because there were too many, as far as a cgroup tells."""
    died: str = ""
    """Why the engine itself failed; then nothing else here is evidence."""
    enforced: Mapping[str, str | None] = field(default_factory=dict)
    """network, filesystem, user, memory, pids, cpus, disk, wall -> how; None: not enforced."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether an engine works here, found out by running it."""

    ok: bool
    version: str = ""
    reason: str = ""
    """Why not: the engine's own words, one line."""
    fix: str = ""
    """What to do about it."""


class Sandbox(Protocol):
    """A place to run commands that nobody vouches for."""

    name: str
    """docker, bwrap, seatbelt or none."""
    grade: str
    """container, namespace, experimental or none: what stands between command and host."""

    def probe(self) -> Probe:
        """Runs a trivial sandbox; never raises."""

    def run(self, job: Job) -> SandboxResult:
        """Runs one command and leaves nothing of it behind but `job.copy` and `job.results`.

        Raises SandboxError when the engine could not even start it.
        """
