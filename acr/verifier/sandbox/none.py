"""No sandbox: the user's own rights, held only by rlimits, a process group and a clock."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from acr.verifier.sandbox import process
from acr.verifier.sandbox.engine import Job, Probe, SandboxResult
from acr.verifier.sandbox.limits import rlimits
from acr.verifier.sandbox.system import remove_tree
from acr.verifier.sandbox.watchdog import Watchdog

__all__ = ["NoSandbox", "run_held"]

_LIMIT_AND_EXEC = """
import json, os, resource, sys
for name, value in json.loads(sys.argv[1]).items():
    kind = getattr(resource, "RLIMIT_" + name.upper())
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except ValueError:
        pass
try:
    os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
except OSError as e:
    sys.stderr.write(f"{sys.argv[2]}: {e.strerror}\\n")
    sys.exit(127)
"""


class NoSandbox:
    """Runs commands with the user's own rights; only ever because the user said so."""

    name = "none"
    grade = "none"

    def probe(self) -> Probe:
        """Always works; that is all that can be said for it."""
        return Probe(True)

    def run(self, job: Job) -> SandboxResult:
        """Runs `job` in its copy, where it really lies; `at` is not kept. See Sandbox.run."""
        return run_held(job)


def run_held(job: Job, wrap: Callable[[Path], Sequence[str]] | None = None) -> SandboxResult:
    """Runs `job` where its copy lies, held by rlimits, a process group and a clock.

    `wrap`, given the private home folder, returns the start of a command that runs the rest.
    """
    watched = Watchdog(job.limits, [job.copy, *([job.results] if job.results else [])])
    held = json.dumps(rlimits(job.limits, pids=False))
    start = [sys.executable, "-I", "-S", "-c", _LIMIT_AND_EXEC, held]
    home = Path(tempfile.mkdtemp(prefix="acr-home-"))
    try:
        ended = process.run(
            [*start, *(wrap(home) if wrap else ()), *(_moved(job, word) for word in job.command)],
            job.limits,
            cwd=Path(job.copy, job.cwd),
            env={**{k: _moved(job, v) for k, v in job.env.items()}, "HOME": str(home)},
            watched=watched,
        )
    finally:
        remove_tree(home)
    code, stopped = ended.code, ended.stopped
    return SandboxResult(
        engine=NoSandbox.name,
        version="",
        exit=code if code >= 0 and not stopped else None,
        signal=-code if code < 0 else None,
        duration=ended.duration,
        stdout=ended.stdout,
        stderr=ended.stderr,
        timed_out=stopped == "wall",
        oom=stopped == "memory",
        disk_full=stopped == "disk",
        enforced=_enforced(job),
    )


def _moved(job: Job, text: str) -> str:
    """`text` with the original place of the tree replaced by the copy's."""
    return text.replace(f"{job.at}/", f"{job.copy}/")


def _enforced(job: Job) -> dict[str, str | None]:
    limits = job.limits
    watched = "watched every 50 ms" if sys.platform == "linux" else "rlimit, each process"
    return {
        "network": None,
        "filesystem": None,
        "user": None,
        "memory": f"{limits.memory} MiB ({watched})",
        "pids": None,
        "cpus": None,
        "disk": f"{limits.copy} MiB (watched); {limits.file} MiB a file",
        "wall": f"{limits.wall:g} s",
    }
