"""What the public benchmark knows: scores by model, tier and kind of task; tokens; failures."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from acr.nouns import Tier

__all__ = ["Benchmark", "Known", "family", "load", "same_model", "spelling"]

VERSION = re.compile(r"^[a-z]?\d[\d.]*[a-z]?$")
"""A part of a model name that only numbers a version: 4, 5.4, k2.5, m2.7, 20260101, 4o."""
NEUTRAL = frozenset({"latest", "preview", "exp", "codex", "thinking"})
"""Parts that leave a model in its family."""
OPEN = 0.02
"""No prior says that a profile never or always wins."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the benchmark expects of a profile in a dimension."""

    score: float
    """Mean score, 0..1."""
    source: str
    """The benchmark's model when it or its family was measured; else empty: the tier speaks."""
    exact: bool
    """The very model was measured."""
    measured: bool
    """The dimension was measured; agentic_programming and the user's own were not."""


class Benchmark:
    """The shipped prior, ready to be asked."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._spelled = {spelling(name): name for name in data["models"]}
        self._families = {family(name): name for name in data["models"]}
        self.model = cache(self._model)
        """The benchmark's model that is this one or of its family; None when there is none."""
        self.effort = cache(self._effort)
        """Output tokens of an answer in a dimension, as a multiple of the mean dimension's."""

    @property
    def correlation(self) -> float:
        """How alike two models do on one task of a dimension: correlation of their scores."""
        return float(self._data["correlation"])

    def _model(self, name: str) -> str | None:
        kin = family(name)
        known = self._spelled.get(spelling(name)) or self._families.get(kin)
        if known or not kin:
            return known
        fits = [model for other, model in self._families.items() if kin in other.split("-")]
        return fits[0] if len(fits) == 1 else None

    def tier(self, name: str) -> Tier | None:
        """The tier of the benchmark's model that is `name` or of its family."""
        model = self.model(name)
        tier: Tier | None = self._data["models"][model]["tier"] if model else None
        return tier

    def expect(self, model: str, tier: Tier, dimension: str) -> Known:
        """By the model, else its family, else its tier.

        A tier adds its distance from the overall mean to the dimension's mean: which kinds of
        task a price class is good at is an accident of the models in it.
        """
        name, cell = self.model(model), self._data["dimensions"].get(dimension)
        if name is None:
            base = (cell["score"] if cell else self._data["overall"])[0]
            score = base + self._data["tiers"][tier][0] - self._data["overall"][0]
        else:
            entry = self._data["models"][name]
            score = entry["dimensions"].get(dimension, entry["overall"])[0]
        exact = name is not None and spelling(name) == spelling(model)
        bounded = min(1 - OPEN, max(OPEN, score))
        return Known(bounded, name or "", exact, self.measured(dimension))

    def measured(self, dimension: str) -> bool:
        """Whether the benchmark has tasks of `dimension`; agentic_programming it has not."""
        return dimension in self._data["dimensions"]

    def _effort(self, dimension: str) -> float:
        cells = self._data["dimensions"]
        mean = sum(cell["tokens"][1] for cell in cells.values()) / len(cells)
        return float(cells[dimension]["tokens"][1] / mean) if dimension in cells else 1.0


@cache
def load() -> Benchmark:
    """The prior that ships with acr."""
    path = Path(__file__).parents[1] / "data" / "prior.json"
    return Benchmark(json.loads(path.read_text(encoding="utf-8")))


@cache
def spelling(model: str) -> str:
    """A model name without provider, date and case: `anthropic/Claude-Opus-4.6` as
    `claude-opus-4-6`."""
    name = model.lower().rpartition("/")[2]
    name = re.sub(r"^([a-z]+\.)+(?=[a-z])", "", name)
    name = re.sub(r"[-@:](20\d{2}-?\d{2}-?\d{2}|v\d+(:\d+)?|latest)", "", name)
    return re.sub(r"[._:@ ]", "-", name)


@cache
def family(model: str) -> str:
    """A model name without its version: claude-opus-4-6 is claude-opus, Qwen3-Max is qwen-max."""
    parts = spelling(model).split("-")
    words = [p.rstrip("0123456789") for p in parts if not VERSION.match(p) and p not in NEUTRAL]
    return "-".join(w for w in words if w)


def same_model(one: str, other: str) -> bool:
    """Whether two spellings name one model."""
    return spelling(one) == spelling(other)
