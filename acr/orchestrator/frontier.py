"""Choices along the price of a dollar: which profile is best as cost counts more and more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from acr.nouns import Decision

__all__ = ["Point", "along"]


@dataclass(frozen=True, slots=True)
class Point:
    """A profile that is the best one for a range of weights of cost."""

    profile: str
    expected: float
    """Score 0..1."""
    cost: float
    """USD of one attempt."""
    epsilon_from: float
    """Least weight of one USD, as a share of a full score, for which it is the best."""
    epsilon_to: float | None
    """The weight from which a cheaper one is; None for the cheapest."""


def along(decision: Decision) -> tuple[Point, ...]:
    """The upper convex hull of (cost, expected score) of the allowed candidates, dearest first.

    Candidates of unknown cost have no place on it.
    """
    priced = [(c.cost, c.expected, c.profile) for c in decision.candidates
              if not c.excluded and c.cost is not None]  # fmt: skip
    hull: list[tuple[float, float, str]] = []
    for cost, expected, name in sorted(priced, key=lambda p: (p[0], -p[1], p[2])):
        if hull and expected <= hull[-1][1]:
            continue
        while len(hull) > 1 and _slope(hull[-1], (cost, expected)) >= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append((cost, expected, name))
    hull.reverse()
    turns = [_slope(cheaper, dearer) for dearer, cheaper in itertools.pairwise(hull)]
    return tuple(
        Point(name, expected, cost, start, end)
        for (cost, expected, name), start, end in zip(
            hull, [0.0, *turns], [*turns, None], strict=True
        )
    )


def _slope(cheaper: Sequence[Any], dearer: Sequence[Any]) -> float:
    """Score per USD between two points (cost, score, …)."""
    gap = dearer[0] - cheaper[0]
    return float((dearer[1] - cheaper[1]) / gap) if gap > 0 else math.inf
