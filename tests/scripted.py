"""Whole runs with the scripted agent: a repository with a bug, two models that try to fix it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from acr import settings
from acr.agents.profiles import save
from acr.cli.demo import BROKEN, PROFILES, SCRIPT, TESTS
from acr.loop import open_memory
from acr.nouns import Outcome

FILES = {"basket.py": BROKEN, "test_basket.py": TESTS}
"""demo-small gets it wrong, demo-large right."""


def install(folder: Path, script: Mapping[str, Any] = SCRIPT, config: str = "") -> None:
    """Profiles of the scripted agent in acr's home, cheap first; `config` is added."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    for profile in PROFILES:
        save(replace(profile, args=("--script", str(path))))
    (settings.folder() / "config.toml").write_text(
        '[pool]\nprofiles = ["demo-*"]\n[orchestrator]\nepsilon_cost = -0.2\nexploration = 0.0\n'
        + config
    )


def both(*steps: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """A script in which both models do the same."""
    return {"models": {p.model: {"steps": list(steps), **rest} for p in PROFILES}}


def acr(*args: str, cwd: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Runs acr to its end."""
    return subprocess.run(
        [sys.executable, "-m", "acr", *args],
        cwd=cwd,
        env={**os.environ, **env},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def outcomes() -> list[Outcome]:
    """Everything in memory, the oldest first; memory is sound."""
    with open_memory(settings.load()) as memory:
        assert memory.check() == []
        return list(reversed(memory.outcomes()))


def run_folder(task: str) -> Path:
    """Where a run keeps its transcripts."""
    return settings.home() / "runs" / task
