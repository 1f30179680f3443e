"""Counts tokens once, by model, however often an agent repeats its figures."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

from acr.agents.records import number
from acr.nouns import Usage

__all__ = ["Ledger", "anthropic", "moment", "since"]


def anthropic(usage: dict[str, Any]) -> Usage:
    """What the `usage` of Anthropic's Messages API says; cached tokens stand beside the input."""
    long = number(usage, "cache_creation", "ephemeral_1h_input_tokens")
    return Usage(
        input=number(usage, "input_tokens"),
        cached_input=number(usage, "cache_read_input_tokens"),
        cache_write_5m=max(0, number(usage, "cache_creation_input_tokens") - long),
        cache_write_1h=long,
        output=number(usage, "output_tokens"),
        reasoning=number(usage, "output_tokens_details", "thinking_tokens"),
    )


class Ledger:
    """Model requests by id; the last figures of an id count."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, Usage]] = {}

    def add(self, key: str, model: str, usage: Usage, *, subagent: bool = False) -> None:
        """One request, or newer figures of it; `subagent` marks all its tokens as a sub-agent's."""
        counted = replace(usage, requests=1, subagent=usage.total if subagent else 0)
        self._rows[key] = (model, counted)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def by_model(self) -> dict[str, Usage]:
        """Usage of each model, in the order of first use."""
        sums: dict[str, Usage] = {}
        for model, usage in self._rows.values():
            sums[model] = sums.get(model, Usage()) + usage
        return sums

    def requests(self) -> tuple[tuple[str, Usage], ...]:
        """(model, usage) of each request."""
        return tuple(self._rows.values())

    def total(self) -> Usage | None:
        """Usage of all models together; None when no request is known."""
        return sum(self.by_model().values(), Usage()) if self._rows else None


def since(timestamp: str, start: float) -> bool:
    """Whether an ISO 8601 `timestamp` is not before `start`, in seconds since the epoch."""
    return moment(timestamp) >= start


def moment(timestamp: str) -> float:
    """Seconds since the epoch of an ISO 8601 `timestamp`; -inf for anything else."""
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return -math.inf
