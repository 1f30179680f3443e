"""What an agent's own files tell of one turn in a session that acr did not start."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from acr.nouns import Usage

__all__ = ["READERS", "Ran", "Told", "Turn", "read", "tokens"]

READERS = {
    "claude": "acr.agents.claude:turn",
    "codex": "acr.agents.codex:turn",
    "gemini": "acr.agents.gemini:turn",
    "opencode": "acr.agents.opencode:turn",
    "qwen": "acr.agents.qwen:turn",
}
"""Agent -> the function that reads a turn from what it leaves on disk."""
IN_A_DATABASE = "opencode"
"""The agent whose sessions are no files."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Which turn is meant: one prompt and all that the agent did about it."""

    session: str
    start: float
    """Seconds since the epoch, before the first model request."""
    end: float = math.inf
    """When the next turn began."""
    id: str = ""
    """The agent's own name of it; empty when it has none."""
    transcript: Path | None = None
    """The session's file, as the agent told it."""
    message: str = ""
    """How the agent's last words begin; a file without them is not complete yet."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that the agent ran, or an edit that it made."""

    command: str
    """Empty for an edit."""
    exit_code: int | None = None
    """None when it is not known."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is on disk so far."""

    model: str | None = None
    """The one that answered last, sub-agents' left out."""
    effort: str | None = None
    by_model: Mapping[str, Usage] = field(default_factory=dict)
    """Tokens of this turn alone, each request counted once, sub-agents included."""
    cost: float | None = None
    """USD as the agent has it."""
    ran: tuple[Ran, ...] = ()
    """In order."""
    acted: float = math.inf
    """When the agent first called a tool, seconds since the epoch; inf when it has not."""
    complete: bool = False
    """The end of the turn is there."""
    inner: bool = False
    """It is a sub-agent's, which another session asked for: no person did."""


def read(agent: str, turn: Turn) -> Told:
    """The turn as it is on disk now; nothing of an agent without a reader, or without a file."""
    if agent not in READERS or (turn.transcript is None and agent != IN_A_DATABASE):
        return Told(complete=True)
    module, _, name = READERS[agent].partition(":")
    return cast(Callable[[Turn], Told], getattr(import_module(module), name))(turn)


def tokens(usage: Any) -> Usage:
    """The tokens of one model request in the form that Codex tells hooks of them."""
    from acr.agents.codex import tokens as of_codex

    return of_codex(usage) if isinstance(usage, dict) else Usage()
