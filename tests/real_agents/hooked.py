"""The agents with acr's hooks in their own configs, run by themselves, without acr."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from acr import settings
from acr.cli import main
from acr.nouns import Outcome
from tests import scripted

ROOT = Path(__file__).parents[2]
RUN = {
    "codex": ("codex", "exec", "--dangerously-bypass-hook-trust", "-s", "danger-full-access"),
    "claude": ("claude", "-p", "--allowedTools=Bash Task"),
    "opencode": ("opencode", "run"),
    "gemini": ("gemini", "-y", "--skip-trust"),
    "qwen": ("qwen", "-y", "--auth-type", "openai"),
}
PATIENCE = 90.0


def install(agent: str) -> None:
    """Puts the hooks into the agent's settings."""
    assert main.run(["hooks", "install", agent]) == 0


def run(agent: str, prompt: str, cwd: Path, model: str, *args: str) -> str:
    """Runs the agent itself; returns what it printed."""
    argv = [*RUN[agent], "-m" if agent != "claude" else "--model", model, *args]
    argv += ["-p", prompt] if agent == "gemini" else [prompt]
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PWD": str(cwd)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def outcomes(n: int) -> list[Outcome]:
    """The first `n` outcomes, once the ingest that the hooks started has stored as many."""
    until(lambda: len(stored()) >= n)
    found = stored()
    assert len(found) == n
    return found


def stored() -> list[Outcome]:
    """All outcomes, oldest first."""
    if not (settings.home() / "memory.db").exists():
        return []
    return sorted(scripted.outcomes(), key=lambda outcome: outcome.attempt.started)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, (settings.home() / "logs").exists() and [
            path.read_text()[-3000:] for path in (settings.home() / "logs").iterdir()
        ]
        time.sleep(0.1)
