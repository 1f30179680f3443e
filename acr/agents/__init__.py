"""Runs the work: one adapter a file. A new agent is one file and one line in ADAPTERS."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from acr.errors import UsageError
from acr.nouns import AttemptStatus, Autonomy, Event, Profile, Usage

__all__ = [
    "ADAPTERS",
    "CAPPED",
    "Agent",
    "Command",
    "Detection",
    "Progress",
    "Reader",
    "Report",
    "Request",
    "Routable",
    "Upstream",
    "capped",
    "get",
    "installed",
]

ADAPTERS = {
    "aider": "acr.agents.aider:Aider",
    "claude": "acr.agents.claude:Claude",
    "codex": "acr.agents.codex:Codex",
    "gemini": "acr.agents.gemini:Gemini",
    "opencode": "acr.agents.opencode:OpenCode",
    "qwen": "acr.agents.qwen:Qwen",
    "scripted": "acr.agents.scripted:Scripted",
}
"""Agent name -> where its adapter lives."""

CAPPED = frozenset({"claude"})
"""Agents that stop by themselves at Request.budget."""

Progress = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What one attempt is asked to do."""

    attempt: str
    task: str
    decision: str
    prompt: str
    profile: Profile
    cwd: Path
    autonomy: Autonomy
    timeout: float
    """Seconds."""
    run_dir: Path
    """Where transcripts go; private to the run."""
    args: tuple[str, ...] = ()
    """The user's arguments after `--`, passed on as they are."""
    resume: str | None = None
    """The agent's session to go on with."""
    budget: float | None = None
    """USD left; passed on where the agent has a cap of its own."""
    redact: Callable[[str], str] = str
    """Takes secrets out of every line before it is written to a transcript."""
    gateway: str = ""
    """Base URL to send model calls to instead of the agent's own; see Routable."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an agent sends its model calls."""

    name: str
    """The provider, as the agent calls it."""
    url: str
    """The provider's base URL."""
    path: str = ""
    """What the agent's own base URL has behind that."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start the agent."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the user's environment for the child only."""
    stdin: str | None = None
    """Text for standard input; None connects it to the null device."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the agent's own output says at its end."""

    status: AttemptStatus
    error: str = ""
    model: str | None = None
    usage: Usage | None = None
    cost: float | None = None
    """USD as the agent reports it for this attempt alone; None when it does not."""
    session: str | None = None
    message: str = ""
    by_model: Mapping[str, Usage] = field(default_factory=dict)
    """Usage split by model, when sub-agents or fallbacks used others; sums to `usage`."""
    requests: tuple[tuple[str, Usage], ...] = ()
    """(model, usage) of each request that is known by itself; long ones may cost more."""


class Reader(Protocol):
    """Turns an agent's output into events and, at the end, a report."""

    def feed(self, line: str) -> list[Event]:
        """Events in one line of standard output; noise gives none and never raises."""
        ...

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The report, once the process has ended; `stderr` holds its last part."""
        ...


@dataclass(frozen=True, slots=True)
class Detection:
    """Whether an agent is installed."""

    found: bool
    path: str = ""
    version: str = ""
    auth: str = ""
    """How it seems to be logged in, from file and variable names only; secrets are not read."""
    hint: str = ""
    """What to do when it is missing or not logged in."""


class Agent(Protocol):
    """An adapter."""

    name: str
    binary: str
    """The program to look for on PATH."""

    def detect(self) -> Detection:
        """Looks for the agent without starting a session."""
        ...

    def command(self, request: Request) -> Command:
        """The non-interactive run."""
        ...

    def interactive(self, request: Request) -> Command:
        """The agent's own screen, with the request's profile and prompt."""
        ...

    def reader(self, request: Request) -> Reader:
        """A fresh reader of the non-interactive run's output."""
        ...


@runtime_checkable
class Routable(Protocol):
    """An agent that can be pointed at a gateway for one run, by flags and environment alone.

    Its commands heed `Request.gateway`.
    """

    def upstream(self, request: Request) -> Upstream | None:
        """Where the request's calls would go; None when that cannot be changed."""
        ...


def get(name: str) -> Agent:
    """The adapter called `name`. Raises UsageError when there is none."""
    try:
        module, _, kind = ADAPTERS[name].partition(":")
    except KeyError:
        known = ", ".join(ADAPTERS)
        raise UsageError(f"no agent called {name!r}; known agents: {known}") from None
    return cast(Agent, getattr(import_module(module), kind)())


def capped(profile: Profile) -> bool:
    """Whether the agent stops by itself at Request.budget, as acr counts: by list prices."""
    return profile.agent in CAPPED and profile.price is None


def installed(name: str) -> bool:
    """Whether the agent's program is on PATH; nothing is started."""
    return shutil.which(get(name).binary) is not None
