"""Asks Codex itself which hooks it sees, which are on and which are trusted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acr.installer.command import is_ours

__all__ = ["Seen", "Trust", "ask"]

PATIENCE = 15.0
"""Seconds that the answer may take."""
_CLIENT = {"clientInfo": {"name": "acr", "version": "1"}, "capabilities": {"experimentalApi": True}}


@dataclass(frozen=True, slots=True)
class Trust:
    """One of acr's hooks, as Codex sees it."""

    key: str
    command: str
    hash: str
    enabled: bool
    status: str
    """untrusted, trusted, modified or managed."""

    @property
    def runs(self) -> bool:
        """Whether Codex trusts it."""
        return self.status in ("trusted", "managed")


@dataclass(frozen=True, slots=True)
class Seen:
    """What Codex answers."""

    hooks: tuple[Trust, ...]
    """acr's hooks alone."""
    warnings: tuple[str, ...]


def ask(cwd: Path) -> Seen | None:
    """What Codex sees in `cwd`; None when it is not installed or does not answer as expected."""
    asked: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": _CLIENT},
        {"method": "initialized"},
        {"id": 1, "method": "hooks/list", "params": {"cwds": [str(cwd)]}},
    ]
    try:
        (found,) = _answer(asked)["result"]["data"]
        hooks = tuple(
            Trust(h["key"], h["command"], h["currentHash"], h["enabled"], h["trustStatus"])
            for h in found["hooks"]
            if h["handlerType"] == "command" and is_ours(h["command"])
        )
        return Seen(hooks, tuple(map(str, [*found["warnings"], *found["errors"]])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _answer(asked: list[dict[str, Any]]) -> Any:
    """The reply to the last of the requests. Raises OSError or ValueError when there is none."""
    child = subprocess.Popen(
        ["codex", "app-server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert child.stdin
    assert child.stdout
    timer = threading.Timer(PATIENCE, _end, [child])
    timer.start()
    try:
        for message in asked:
            child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
        for line in child.stdout:
            reply = json.loads(line)
            if reply.get("id") == asked[-1]["id"]:
                return reply
        raise ValueError("Codex did not answer")
    finally:
        timer.cancel()
        with contextlib.suppress(OSError):
            child.stdin.close()  # at which it ends by itself
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(3)
        _end(child)
        child.stdout.close()
        child.wait()


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
