"""Puts acr's hooks into the settings of coding agents, and takes them out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

__all__ = ["AGENTS", "Agent", "Kind", "Place", "get"]

Kind = Literal["json", "jsonc", "toml", "js"]
"""How a file is written; jsonc is JSON in which the agent allows comments."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file of an agent's in which hooks may stand."""

    agent: str
    path: Path
    kind: Kind
    root: Path | None = None
    """The repository that it belongs to; None for the user's own."""
    bom: bool = False
    """Whether the agent reads a file that begins with a byte order mark."""

    @property
    def scope(self) -> str:
        """Whose it is, in a word."""
        return "project" if self.root else "user"


class Agent(Protocol):
    """What there is to know of an agent's hooks."""

    name: str
    title: str
    binary: str

    def places(self, root: Path | None) -> tuple[Place, ...]:
        """The user's files, or those of the repository `root`; where to install by default first.

        Raises AcrError when one that decides it cannot be read.
        """
        ...

    def warning(self, root: Path | None) -> str:
        """What is wrong with how its files stand to each other; empty when nothing is."""
        ...

    def disabled(self, data: Mapping[str, Any]) -> str:
        """Which of its settings turns hooks off; empty when none does."""
        ...


AGENTS: Mapping[str, str] = {
    "codex": "acr.installer.codex:Codex",
    "claude": "acr.installer.claude:Claude",
    "opencode": "acr.installer.opencode:Opencode",
    "gemini": "acr.installer.gemini:Gemini",
    "qwen": "acr.installer.qwen:Qwen",
}
"""Name -> where its class is."""


def get(name: str) -> Agent:
    """The agent `name`. Raises KeyError when there is none."""
    module, _, attribute = AGENTS[name].partition(":")
    return cast(Agent, getattr(import_module(module), attribute)())
