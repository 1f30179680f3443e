"""What verdicts say of routed runs, beside runs of the same kind that were not routed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from acr.nouns import RoutedRun

__all__ = ["ENOUGH", "Arms", "compare", "credit"]

ENOUGH = 5
"""Runs with a verdict that each arm needs before anything is said of savings."""
PRIOR = 2.0
"""Wins and losses, each, that every arm starts with."""
BOUNDS = (0.5, 4.0)
"""Of the factor on the odds that a cheaper model spoils a step."""
STEEP = 6.0
"""Factor per unit of pass rate that routing costs."""
Z = 1.96


@dataclass(frozen=True, slots=True)
class Arms:
    """Runs of one dimension: routed, and left on the model that was asked for."""

    dimension: str
    routed: tuple[RoutedRun, ...]
    plain: tuple[RoutedRun, ...]

    @property
    def comparable(self) -> bool:
        """Whether both arms have enough runs to say anything of savings."""
        return min(len(self.routed), len(self.plain)) >= ENOUGH

    @property
    def saving(self) -> tuple[float, float, float] | None:
        """(share saved, least, most) of a run's cost, 95 %; negative when routing costs more.

        None without ENOUGH runs of known cost in both arms.
        """
        routed, plain = _costs(self.routed), _costs(self.plain)
        if min(len(routed), len(plain)) < ENOUGH or not sum(plain):
            return None
        (a, da), (b, db) = _mean(routed), _mean(plain)
        ratio = a / b
        half = Z * math.sqrt((da / b) ** 2 + (ratio * db / b) ** 2)  # of a ratio, by its slopes
        return 1 - ratio, 1 - ratio - half, 1 - ratio + half

    @property
    def factor(self) -> float:
        """What the odds of a spoiled step are multiplied by; 1 without both arms."""
        if not self.comparable:
            return 1.0
        lost = _rate(self.plain) - _rate(self.routed)
        return min(BOUNDS[1], max(BOUNDS[0], 1 + STEEP * lost))


def compare(runs: Iterable[RoutedRun]) -> tuple[Arms, ...]:
    """The two arms of every dimension, in the order of their names."""
    found = sorted(runs, key=lambda run: run.dimension)
    names = dict.fromkeys(run.dimension for run in found)
    return tuple(Arms(name, _arm(found, name, True), _arm(found, name, False)) for name in names)


def credit(runs: Iterable[RoutedRun]) -> dict[str, float]:
    """Dimension -> factor on the odds, where both arms have something to say."""
    return {arms.dimension: arms.factor for arms in compare(runs) if arms.comparable}


def _arm(runs: Sequence[RoutedRun], dimension: str, routed: bool) -> tuple[RoutedRun, ...]:
    return tuple(run for run in runs if run.dimension == dimension and run.routed == routed)


def _rate(runs: Sequence[RoutedRun]) -> float:
    return (PRIOR + sum(run.passed for run in runs)) / (2 * PRIOR + len(runs))


def _costs(runs: Sequence[RoutedRun]) -> list[float]:
    return [run.cost for run in runs if run.cost is not None]


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """(mean, standard error)."""
    n = len(values)
    mean = sum(values) / n
    spread = sum((value - mean) ** 2 for value in values) / max(1, n - 1)
    return mean, math.sqrt(spread / n)
