"""What a gateway has done so far: sums in memory, and one line a step in a file or a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from acr.nouns import Step, Usage, to_json

__all__ = ["Ledger", "Sum"]

MOST = 256
"""Models that are told apart; the names come from outside, and memory stays bounded."""


@dataclass(slots=True)
class Sum:
    """Steps that one model answered."""

    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    """USD of the steps whose cost is known."""
    unknown: int = 0
    """Steps whose cost is not known."""

    def add(self, step: Step) -> None:
        """One more."""
        self.steps += 1
        self.usage += step.usage or Usage()
        self.cost += step.cost or 0.0
        self.unknown += step.cost is None


class Ledger:
    """Sums by model that answered; writing ends at the first fault, counting does not."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream: IO[str] | None = stream
        self._models: dict[str, Sum] = {}
        self.total = Sum()
        self.fault = ""
        """Why steps are no longer written; empty while they are."""

    def add(self, step: Step) -> None:
        """Counts a step, and writes it."""
        room = step.answered in self._models or len(self._models) < MOST
        self._models.setdefault(step.answered if room else "other models", Sum()).add(step)
        self.total.add(step)
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(to_json(step)) + "\n")
            self._stream.flush()
        except OSError as e:
            self._stream, self.fault = None, e.strerror or type(e).__name__
            sys.stderr.write(f"acr gateway: steps are no longer recorded: {self.fault}\n")

    def told(self) -> Mapping[str, Any]:
        """The sums as JSON data."""
        models = {name: to_json(found) for name, found in self._models.items()}
        return {"total": to_json(self.total), "models": models, "fault": self.fault}
