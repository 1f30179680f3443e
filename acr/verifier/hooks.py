"""Post-run hooks: acr's own verification, and commands of the user's that look at each attempt."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acr import settings
from acr.errors import AcrError
from acr.nouns import Attempt, Signal, Snapshot, Task, Verdict, to_json
from acr.settings import HookCommand

if TYPE_CHECKING:
    from acr.verifier.verdict import Baseline

__all__ = ["Verify", "default", "post_run"]

Verify = Callable[
    ["Baseline", Task, Attempt | None, Snapshot, Callable[[str], None]],
    Verdict,
]
OUTPUT_CAP = 64 * 1024
"""Bytes of a hook's output that are read."""


def default() -> Verify:
    """`post_run` of the shipped hooks/post_run.py: acr's own verification."""
    path = settings.shipped("hooks") / "post_run.py"
    found = importlib.util.spec_from_file_location("acr_post_run", path)
    if found is None or found.loader is None or not path.is_file():
        raise AcrError(f"{path} is missing; install acr again")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    verify: Verify = module.post_run
    return verify


def post_run(
    hooks: Sequence[HookCommand], attempt: Attempt, verdict: Verdict, cwd: Path
) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
    """Runs each hook; returns (signals, warnings). A hook's failure is only ever a warning.

    A hook gets {"attempt": …, "verdict": …, "cwd": …} on stdin and may print one Signal as
    JSON: {"name", "score" 0..1 or null, "weight", "detail"}.
    """
    told = {"attempt": attempt, "verdict": verdict, "cwd": str(cwd)}
    data = json.dumps(to_json(told)).encode()
    signals, warnings = [], []
    for hook in hooks:
        try:
            said = _run(hook, data, cwd)
            signals += [_signal(said)] if said.strip() else []
        except _HookError as e:
            warnings.append(f"hook {' '.join(hook.command) or '(empty)'}: {e}")
    return tuple(signals), tuple(warnings)


class _HookError(Exception):
    """Why a hook gave no signal."""


def _run(hook: HookCommand, data: bytes, cwd: Path) -> bytes:
    """What the hook printed; its process group is gone afterwards."""
    if not hook.command:
        raise _HookError("names no program; set command in config.toml")
    try:
        child = subprocess.Popen(
            hook.command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        raise _HookError(f"could not be started: {e}") from None
    try:
        said, complained = child.communicate(data, timeout=hook.timeout)
    except subprocess.TimeoutExpired:
        raise _HookError(f"took longer than {hook.timeout:g} s and was stopped") from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.returncode:
        last = complained.decode(errors="replace").strip().splitlines()[-1:]
        raise _HookError(f"ended with exit code {child.returncode}: {''.join(last)[:200]}")
    return said[:OUTPUT_CAP]


def _signal(said: bytes) -> Signal:
    try:
        data: Any = json.loads(said)
        name, detail = str(data["name"]), str(data.get("detail", ""))
        score, weight = data.get("score"), float(data.get("weight", 0.0))
        score = None if score is None else float(score)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _HookError("printed something that is not a Signal as JSON") from None
    if score is not None and not 0 <= score <= 1:
        raise _HookError(f"gave the score {score}, which is not between 0 and 1")
    if not (math.isfinite(weight) and weight >= 0):
        raise _HookError(f"gave the weight {weight}, which is not a number from 0 up")
    return Signal(name[:100], score, weight, detail[:1000])
