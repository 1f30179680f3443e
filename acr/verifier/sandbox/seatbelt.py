"""macOS's sandbox-exec, experimental: no network and no writing outside, but no hidden files."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from acr.errors import SandboxError
from acr.verifier.sandbox import none
from acr.verifier.sandbox.engine import Job, Probe, SandboxResult
from acr.verifier.sandbox.system import TRIAL

__all__ = ["Seatbelt", "profile"]

PROGRAM = "/usr/bin/sandbox-exec"


class Seatbelt:
    """Runs commands under a sandbox-exec profile; only when the settings name it.

    Apple calls sandbox-exec deprecated and documents its language nowhere, so that `auto` never
    takes it. The user's home cannot be read but for the toolchains that the job names.
    """

    name = "seatbelt"
    grade = "experimental"

    def probe(self) -> Probe:
        """Runs a command that must not be able to write outside."""
        if sys.platform != "darwin":
            return Probe(False, reason="sandbox-exec is for macOS", fix="")
        if shutil.which(PROGRAM) is None:
            return Probe(False, reason=f"{PROGRAM} is missing", fix="Install Docker.")
        with (
            tempfile.TemporaryDirectory(prefix="acr-probe-") as inside,
            tempfile.TemporaryDirectory(prefix="acr-probe-") as outside,
        ):
            copy = Path(inside).resolve()
            target = Path(outside).resolve() / "escaped"
            script = 'echo x > inside && ! echo x > "$0" && exit 42'
            job = Job(["/bin/sh", "-c", script, str(target)], copy, copy, TRIAL)
            try:
                ended = self.run(job)
            except SandboxError as e:
                return Probe(False, reason=str(e), fix="Install Docker.")
        if ended.exit == 42:
            return Probe(True, "sandbox-exec")
        reason = " ".join(str(ended.stderr).split())[-300:] or f"ended with {ended.exit}"
        return Probe(False, reason=reason, fix="Install Docker.")

    def run(self, job: Job) -> SandboxResult:
        """Runs `job` in its copy, where it really lies; `at` is not kept. See Sandbox.run."""
        writable = [job.copy, *([job.results] if job.results else [])]
        ran = none.run_held(
            job, lambda home: [PROGRAM, "-p", profile([*writable, home], job.readonly)]
        )
        held = {
            "network": "none",
            "filesystem": "writes only in the copy; your home hidden, other files readable",
        }
        return replace(ran, engine=self.name, enforced={**ran.enforced, **held})


def profile(writable: Sequence[Path], readonly: Sequence[Path]) -> str:
    """The sandbox-exec profile; of rules that apply, the last one decides."""
    user = _paths([Path(os.path.expanduser("~"))])
    return "\n".join(
        [
            "(version 1)",
            "(allow default)",
            "(deny network*)",
            "(deny file-write*)",
            f"(deny file-read-data {user})",
            f"(allow file-read* {_paths([*readonly, *writable])})",
            f"(allow file-write* {_paths(writable)})",
            '(allow file-write* (literal "/dev/null") (literal "/dev/tty"))',
            "(deny process-info* (target others))",
            "(deny signal (target others))",
            "(deny mach-lookup)",
        ]
    )


def _paths(paths: Sequence[Path]) -> str:
    """`(subpath "/a b") …` with the paths as the kernel knows them; quotes are escaped."""
    real = [os.path.realpath(path) for path in paths]
    quoted = (path.replace("\\", "\\\\").replace('"', '\\"') for path in real)
    return " ".join(f'(subpath "{path}")' for path in quoted)
