"""The nouns of a step: what a router is asked, what it says, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from acr.nouns import Price, Tier, Usage

__all__ = ["Dialect", "Router", "StepChoice", "StepRequest"]

Dialect = Literal["responses", "chat", "messages"]
"""OpenAI Responses, OpenAI Chat Completions, Anthropic Messages."""


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One model call of an agent, before it is sent."""

    dialect: Dialect
    model: str
    """The model that the agent asks for."""
    body: Mapping[str, Any]
    """The decoded request; only read."""
    session: str
    """The agent's conversation; a sub-agent has one of its own."""
    position: int
    """How many calls of the session came before, 0 for the first."""
    seconds: float
    """Since the session's first call, by a monotonic clock."""
    asked: Tier | None = None
    """The tier of `model`; None when the tier map does not know it."""
    offered: tuple[Tier, ...] = ()
    """Tiers that a model can be had of, cheapest first."""
    subagent: bool = False
    """The agent says that a sub-agent calls."""
    prices: Mapping[Tier, Price] = field(default_factory=dict)
    """USD per million tokens of the offered tiers, where known."""
    left: float | None = None
    """USD left of the budget; None without one."""


@dataclass(frozen=True, slots=True)
class StepChoice:
    """What a router says."""

    tier: Tier | None
    """None leaves the model that was asked for."""
    kind: str
    """plan, search_read, edit, run_test, repair, summarise, bookkeeping; empty when not told."""
    reason: str
    """One line for people."""


class Router(Protocol):
    """Chooses a tier for each step. Called from one thread; quick, and never the network."""

    def route(self, request: StepRequest) -> StepChoice:
        """The tier of this step."""
        ...

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """What became of the session's last choice; `status` is 0 when no whole answer came."""
        ...
