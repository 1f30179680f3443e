"""Notices that a model has become better or worse: its latest outcomes against all before.

Bayesian change-point detection with one change (Adams & MacKay, arXiv 0710.3742, cut short): a
priori it came before any of the latest outcomes alike, and moved the mean of all dimensions by
one normal amount, or as probably that of each by its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from acr.nouns import Recent, Statistic
from acr.orchestrator.benchmark import spelling

__all__ = ["Change", "changes"]

HAZARD = 0.001
"""Chance that a model changes between two of its outcomes."""
SIZE = 0.25
"""Standard deviation of the difference that a change makes to a mean score."""
LIKELY = 0.3
"""Probability from which a change counts, in proportion to its probability."""
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

    chance: float
    """That it has changed, LIKELY..1."""
    shift: float
    """Expected difference of score if so, -1..1."""
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
        model: _change(model, turn, outcomes[: turn.n], sums)
        for model, outcomes in latest.items()
        if (turn := _turn(model, outcomes, sums, tides[model]))
    }


@dataclass(frozen=True, slots=True)
class _Turn:
    """The most probable change of a model."""

    chance: float
    """That there was one at all."""
    n: int
    """Outcomes since."""
    shifts: Mapping[str, float]
    """Dimension -> expected difference; "" for those without an outcome since."""


def _turn(model: str, outcomes: Sequence[Recent], sums: Sums, tide: float) -> _Turn | None:
    """The change of a model; None when there probably was none.

    `tide` is by how much the others do better or worse of late: harder tasks, not worse models.
    """
    every = [0.0, 0.0]
    seen: dict[str, list[float]] = {}
    own: dict[str, float] = {}  # log evidence that a dimension has moved by itself
    odds = best = apart = 0.0
    found = None
    for n, one in enumerate(outcomes, 1):
        cell = sums[model, one.dimension]
        if cell[0] < 2 * n:  # too little came before to tell a change from chance
            break
        mean = _usual(one, cell)
        sharp = 1 / max(LEAST_VARIANCE, mean * (1 - mean))
        here = seen.setdefault(one.dimension, [0.0, 0.0])
        for total in (every, here):
            total[0] += sharp * (one.score - mean - tide)
            total[1] += sharp
        before, own[one.dimension] = own.get(one.dimension, 0.0), _evidence(*here)
        apart += own[one.dimension] - before
        if n < SHORTEST:
            continue
        alike = _evidence(*every)
        ratio = HAZARD * 0.5 * (math.exp(min(300.0, alike)) + math.exp(min(300.0, apart)))
        odds += ratio
        if ratio > best:
            common = 1 / (1 + math.exp(max(-300.0, min(300.0, apart - alike))))
            best, found = ratio, (n, common, _shifts(seen | {"": every}))
    chance = odds / (1 + odds)
    if found is None or chance < LIKELY:
        return None
    n, common, moved = found
    shared = common * moved.pop("")
    shifts = {name: shared + (1 - common) * shift for name, shift in moved.items()}
    return _Turn(chance, n, shifts | {"": shared})


def _usual(one: Recent, cell: Sequence[float]) -> float:
    """What was expected of it; by the mean alone, tasks that it was chosen for would look like
    better times."""
    return cell[1] / cell[0] if one.expected is None else one.expected


def _evidence(difference: float, precision: float) -> float:
    """Log of how much better a shift of unknown size explains the outcomes than none."""
    known = SIZE**2 * precision
    return 0.5 * (SIZE * difference) ** 2 / (1 + known) - 0.5 * math.log1p(known)


def _shifts(seen: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: SIZE**2 * d / (1 + SIZE**2 * p) for name, (d, p) in seen.items()}


def _tides(latest: Mapping[str, Sequence[Recent]], sums: Sums) -> dict[str, float]:
    """Model -> mean difference of the other models' latest outcomes from their means, shrunk."""
    missed = {
        model: [
            one.score - _usual(one, sums[model, one.dimension])
            for one in outcomes
            if sums[model, one.dimension][0]
        ]
        for model, outcomes in latest.items()
    }
    whole, n = math.fsum(map(math.fsum, missed.values())), sum(map(len, missed.values()))
    return {
        model: (whole - math.fsum(own)) / (n - len(own) + CALM) for model, own in missed.items()
    }


def _change(model: str, turn: _Turn, since: Sequence[Recent], sums: Sums) -> Change:
    """What counts in each dimension: what it would if there was a change, and if not, by how
    probable either is."""
    after: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in since:
        after[one.dimension][0] += one.weight
        after[one.dimension][1] += one.weight * one.score
    cells = {}
    for (name, dimension), (weight, score) in sums.items():
        if name != model or weight <= 0:
            continue
        new = after[dimension]
        before = max(0.0, weight - new[0])
        left = min(LEFT, before)
        shift = turn.shifts.get(dimension, turn.shifts[""])
        old = min(1.0, max(0.0, (score - new[1]) / before + shift)) if before > 0 else 0.0
        now = left + new[0]
        changed = (left * old + new[1]) / now
        mean = turn.chance * changed + (1 - turn.chance) * score / weight
        cells[dimension] = (turn.chance * now / weight + 1 - turn.chance, mean)
    shift = math.fsum(turn.shifts[one.dimension] for one in since) / len(since)
    return Change(turn.chance, shift, turn.n, cells)
