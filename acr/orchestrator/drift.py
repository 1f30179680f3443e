"""Notices that a model has become better or worse: its latest outcomes against all before.

Bayesian change-point detection with one change (Adams & MacKay, arXiv 0710.3742, cut short): a
priori it came before any of the latest outcomes alike, and moved the mean by a normal amount.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from acr.nouns import Recent, Statistic
from acr.orchestrator.benchmark import spelling

__all__ = ["Change", "changes"]

HAZARD = 0.004
"""Chance that a model changes between two of its outcomes."""
SIZE = 0.25
"""Standard deviation of the difference that a change makes to the mean score."""
LIKELY = 0.5
"""Probability from which a change is taken for one."""
SHORTEST, LONGEST = 12, 200
"""Outcomes of one model that are compared with those before."""
LEFT = 10.0
"""Outcomes that all before a change count as in each dimension, moved by the change."""
LEAST_VARIANCE = 0.05
CALM = 20.0
"""Outcomes without a difference that are added to those of the other models."""

Sums = Mapping[tuple[str, str], Sequence[float]]
"""(model, dimension) -> [weight, weight x score]."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a model's latest outcomes differ from those before."""

    shift: float
    """Expected difference of score, -1..1."""
    n: int
    """Outcomes since."""
    cells: Mapping[str, tuple[float, float]]
    """Dimension -> (share of its weight that is left, mean score that counts now)."""


def changes(
    totals: Iterable[Statistic], recent: Sequence[Recent], models: Mapping[str, str]
) -> dict[str, Change]:
    """Model -> its change; models without one are left out. `recent` is newest first.

    `models` is profile -> model: agents do not always tell which one answered.
    """
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in totals:
        cell = sums[models.get(row.profile) or spelling(row.model), row.dimension]
        cell[0] += row.weight
        cell[1] += row.score
    latest: dict[str, list[Recent]] = defaultdict(list)
    for one in recent:
        outcomes = latest[models.get(one.profile) or spelling(one.model)]
        if one.weight > 0 and len(outcomes) < LONGEST:
            outcomes.append(one)
    tides = _tides(latest, sums)
    return {
        model: _change(model, outcomes[: turn[0]], turn[1], sums)
        for model, outcomes in latest.items()
        if (turn := _turn(model, outcomes, sums, tides[model]))
    }


def _turn(
    model: str, outcomes: Sequence[Recent], sums: Sums, tide: float
) -> tuple[int, float] | None:
    """(outcomes since the change, its expected size); None when there probably was none.

    `tide` is by how much the others do better or worse of late: harder tasks, not worse models.
    """
    difference = precision = odds = moved = best = 0.0
    since = 0
    for n, one in enumerate(outcomes, 1):
        weight, score = sums[model, one.dimension]
        if weight < 2 * n:  # too little came before to tell a change from chance
            break
        mean = score / weight
        sharp = 1 / max(LEAST_VARIANCE, mean * (1 - mean))
        difference += sharp * (one.score - mean - tide)
        precision += sharp
        if n < SHORTEST:
            continue
        known = SIZE**2 * precision
        gain = known / (1 + known)
        exponent = 0.5 * difference**2 / precision * gain
        ratio = HAZARD * math.exp(min(300.0, exponent)) / math.sqrt(1 + known)
        odds += ratio
        moved += ratio * gain * difference / precision
        if ratio > best:
            best, since = ratio, n
    chance = odds / (1 + odds)
    return (since, moved / (1 + odds)) if chance >= LIKELY else None


def _tides(latest: Mapping[str, Sequence[Recent]], sums: Sums) -> dict[str, float]:
    """Model -> mean difference of the other models' latest outcomes from their means, shrunk."""
    missed = {
        model: [
            one.score - cell[1] / cell[0]
            for one in outcomes
            if (cell := sums[model, one.dimension])[0]
        ]
        for model, outcomes in latest.items()
    }
    whole, n = math.fsum(map(math.fsum, missed.values())), sum(map(len, missed.values()))
    return {
        model: (whole - math.fsum(own)) / (n - len(own) + CALM) for model, own in missed.items()
    }


def _change(model: str, since: Sequence[Recent], shift: float, sums: Sums) -> Change:
    after: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in since:
        after[one.dimension][0] += one.weight
        after[one.dimension][1] += one.weight * one.score
    before = {
        dimension: (max(0.0, weight - after[dimension][0]), score - after[dimension][1])
        for (name, dimension), (weight, score) in sums.items()
        if name == model and weight > 0
    }
    cells = {}
    for dimension, (weight, score) in before.items():
        left = min(LEFT, weight)
        moved = min(1.0, max(0.0, score / weight + shift)) if weight > 0 else 0.0
        now = left + after[dimension][0]
        cells[dimension] = (
            now / (weight + after[dimension][0]),
            (left * moved + after[dimension][1]) / now,
        )
    return Change(shift, len(since), cells)
