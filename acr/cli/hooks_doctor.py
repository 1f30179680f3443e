"""Looks for what is wrong with the hooks that are installed, and tries them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from acr.cli.doctor import Finding

__all__ = ["examine_hooks"]

SAMPLE = {"session_id": "acr-hooks-doctor", "source": "startup"}
PATIENCE = 20.0
"""Seconds that a hook may take."""


def examine_hooks(cwd: Path, root: Path | None, *, run: bool) -> Iterator[Finding]:
    """How it stands with each agent that has hooks of acr's; `run` tries each command as well."""
    from acr.installer import AGENTS, edit, get
    from acr.installer.status import look, spots

    installed = False
    for name in AGENTS:
        found = look(name, cwd, root)
        notes = "; ".join(found.notes)
        if not found.installed:
            if notes:
                yield Finding(f"hooks {name}", "failure", notes)
            continue
        installed = True
        good = found.enabled is not False and found.trusted is not False and not notes
        detail = ", ".join(spot.path for spot in found.files)
        yield Finding(
            f"hooks {name}", "ok" if good else "warning", f"{detail}: {notes or 'in use'}"
        )
        for place in spots(get(name), root):
            commands = {hook.command: hook.event for hook in edit.hooks(place)}
            yield from _static(name, list(commands))
            if run:
                yield _tried(name, next(iter(commands)))
    if not installed:
        yield Finding("hooks", "ok", "none installed; acr hooks install lets acr learn from them")


def _static(name: str, commands: list[str]) -> Iterator[Finding]:
    """Paths in the commands that are gone."""
    words = {word for command in commands for word in _words(command) if word.startswith("/")}
    gone = sorted(word for word in words if not Path(word).exists())
    if gone:
        fix = f"Run: acr hooks install {name}"
        detail = f"gone: {', '.join(gone)}; the agent goes on without them"
        yield Finding(f"hooks {name}", "failure", detail, fix)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _tried(name: str, command: str) -> Finding:
    """Runs a hook as its agent would, with a sample, and looks for its line in a spool apart."""
    label, fix = f"hooks {name}", f"Run: acr hooks install {name}"
    words = [word for word in _words(command) if not word.startswith("ACR_HOME=")]
    if name == "opencode":  # the plugin adds these
        words += ["SessionStart", "--acr-hook"]
    line = " ".join(word if word == "||" else shlex.quote(word) for word in words)
    with tempfile.TemporaryDirectory(prefix="acr-doctor-") as folder:
        env = {k: v for k, v in os.environ.items() if k != "ACR_ATTEMPT"}
        sample = {**SAMPLE, "cwd": folder, "hook_event_name": "SessionStart"}
        begun = time.monotonic()
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                input=json.dumps(sample).encode(),
                capture_output=True,
                env={**env, "ACR_HOME": folder},
                cwd=folder,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Finding(label, "failure", f"a hook took longer than {PATIENCE:g} s", fix)
        took = (time.monotonic() - begun) * 1000
        spool = Path(folder, "spool")
        noted = any(SAMPLE["session_id"].encode() in f.read_bytes() for f in spool.glob("*"))
    if done.returncode or done.stdout:
        detail = f"a hook ended with exit code {done.returncode} and said {done.stdout[:80]!r}"
        return Finding(label, "failure", detail, fix)
    if not noted:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Finding(label, "failure", f"a hook noted nothing: {''.join(said)[:200]}", fix)
    return Finding(label, "ok", f"a hook noted a sample in {took:.0f} ms")
