"""What runs after an attempt: acr's own verification, then commands of the user's."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from acr import settings
from acr.nouns import Attempt, Signal, Verdict, to_json
from acr.settings import HookCommand

__all__ = ["default", "post_run"]


def default() -> Callable[..., Verdict]:
    """acr's own post-run hook, `post_run(baseline, task, attempt, after, progress)`."""
    path = settings.shipped("hooks") / "post_run.py"
    spec = importlib.util.spec_from_file_location("acr_post_run", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Callable[..., Verdict], module.post_run)


def post_run(
    hooks: Sequence[HookCommand], attempt: Attempt, verdict: Verdict, cwd: Path
) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
    """Runs the user's commands in order; (their signals, warnings about those that failed).

    A command gets {"attempt": …, "verdict": …} as JSON on stdin and may print one Signal as
    JSON. Its failure is a warning and never a verdict.
    """
    given = json.dumps({"attempt": to_json(attempt), "verdict": to_json(verdict)})
    signals: list[Signal] = []
    warnings: list[str] = []
    for hook in hooks:
        said, problem = _run(hook, given, cwd)
        found = _signal(said) if not problem and said.strip() else None
        if found:
            signals.append(found)
        elif problem or said.strip():
            what = problem or "it printed something that is no signal"
            warnings.append(f"post_run hook {hook.command[0]}: {what}")
    return tuple(signals), tuple(warnings)


def _run(hook: HookCommand, given: str, cwd: Path) -> tuple[str, str]:
    """(stdout, problem)."""
    try:
        child = subprocess.Popen(
            hook.command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as e:
        return "", f"cannot be started: {getattr(e, 'strerror', None) or e}"
    try:
        said, complaint = child.communicate(given, timeout=hook.timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return "", f"stopped after {hook.timeout:g} s"
    if child.returncode:
        last = complaint.strip().splitlines()[-1:] or [""]
        return "", f"exit code {child.returncode} {last[0]}".strip()
    return said, ""


def _signal(said: str) -> Signal | None:
    try:
        data: Any = json.loads(said)
        score = None if data.get("score") is None else float(data["score"])
        weight = float(data.get("weight", 0.0))
        if (score is not None and not 0 <= score <= 1) or not 0 <= weight <= 1:
            return None
        return Signal(str(data["name"]), score, weight, str(data.get("detail", "")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
