"""What one attempt is expected to cost: price x the tokens that tasks like it have needed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from acr.nouns import Decision, Price, Profile, Tier
from acr.orchestrator import benchmark
from acr.orchestrator.evidence import Evidence

__all__ = ["assumed", "expected", "guess"]

INPUT, CACHED_INPUT, OUTPUT = 35_000, 200_000, 2_500
"""Assumed tokens of an agent's run, until own outcomes tell: some fifteen requests, each of which
sends the conversation so far, most of it from the cache. Scaled by the dimension's output."""
MILLION = 1_000_000
LEAST = 1e-6
"""Least multiple of the assumed run: even what cost nothing has a logarithm."""
STRENGTH = 2.0
"""Attempts that each assumption weighs as much as: the next more general figure."""


def expected(evidence: Evidence, prices: Mapping[str, Price]) -> dict[str, float | None]:
    """USD of one attempt per profile; None where neither price nor own cost is known.

    The assumed run is scaled by what own attempts have cost as a multiple of it: those of all
    profiles, then of the profile, then of the profile in the task's dimension, each shrunk to
    the one before.
    """
    shipped = benchmark.load()
    size = sum(share * shipped.effort(d) for d, share in evidence.dimensions)
    kinds = {dimension for dimension, _ in evidence.dimensions}
    runs = {name: _run(price) for name, price in prices.items()}
    inside: dict[str, list[float]] = {p.name: [0.0, 0.0] for p in evidence.profiles}
    whole: dict[str, list[float]] = {p.name: [0.0, 0.0] for p in evidence.profiles}
    for (name, dimension), tally in evidence.cells.items():
        if tally.cost_n:
            unit = runs.get(name, 1.0) * shipped.effort(dimension)
            for sums in (whole[name], *([inside[name]] if dimension in kinds else [])):
                sums[0] += tally.cost / unit if unit else 0.0
                sums[1] += tally.cost_n
    common = _shrunk([sums for name, sums in whole.items() if runs.get(name)], 1.0)
    found: dict[str, float | None] = {}
    for name, sums in whole.items():
        if name in runs:
            factor = _shrunk([inside[name]], _shrunk([sums], common))
            found[name] = size * runs[name] * factor
        else:
            spent, n = inside[name] if inside[name][1] else sums
            found[name] = size * spent / n if n else None
    return found


def _shrunk(sums: list[list[float]], to: float) -> float:
    """Mean multiple of the assumed run, given [multiples added up, attempts] of each source.

    Shrunk by the geometric mean: multiples are ratios, and one that is off by a factor of a
    hundred should be left behind soon.
    """
    spent, n = (sum(column) for column in zip(*sums, strict=True)) if sums else (0.0, 0.0)
    if not n:
        return to
    mean = max(LEAST, spent / n)
    return math.exp((STRENGTH * math.log(to) + n * math.log(mean)) / (STRENGTH + n))


def _run(price: Price) -> float:
    cached = price.input if price.cached_input is None else price.cached_input
    return (INPUT * price.input + CACHED_INPUT * cached + OUTPUT * price.output) / MILLION


GUESSES: dict[Tier, float] = {"minimal": 0.05, "efficient": 0.15, "mid": 0.4, "frontier": 1.0}
"""USD of one attempt by price class, where nothing else is known: only to be set aside."""


def guess(decision: Decision, profile: Profile) -> float:
    """USD to set aside for one attempt of unknown cost.

    The dearest known cost among the candidates, or what the price class usually needs if that is
    more: what is set aside should rather be too much.
    """
    known = [c.cost for c in decision.candidates if c.cost is not None]
    return max(GUESSES[profile.tier], max(known, default=0.0))


def assumed(profiles: tuple[Profile, ...], costs: Mapping[str, float | None]) -> dict[str, float]:
    """`costs` with a figure for unknown ones, for the reward alone: unknown is not free.

    The dearest known cost of the profile's tier, else of all profiles, else 0 for all.
    """
    known = [(p.tier, c) for p in profiles if (c := costs[p.name]) is not None]
    most = max((c for _, c in known), default=0.0)

    def figure(profile: Profile) -> float:
        cost = costs[profile.name]
        alike = max((c for tier, c in known if tier == profile.tier), default=most)
        return alike if cost is None else cost

    return {p.name: figure(p) for p in profiles}
