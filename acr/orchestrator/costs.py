"""What one attempt is expected to cost: own outcomes, shrunk to price x expected tokens."""

from __future__ import annotations

from collections.abc import Mapping

from acr.nouns import Price, Profile
from acr.orchestrator import benchmark
from acr.orchestrator.evidence import Evidence

__all__ = ["assumed", "expected"]

INPUT, CACHED_INPUT, OUTPUT = 35_000, 200_000, 2_500
"""Assumed tokens of an agent's run, until own outcomes tell: some fifteen requests, each of which
sends the conversation so far, most of it from the cache. Scaled by the dimension's output."""
MILLION = 1_000_000
STRENGTH = 2.0
"""Attempts that this assumption weighs as much as."""
ELSEWHERE = 0.5
"""What an attempt in another dimension counts."""


def expected(evidence: Evidence, prices: Mapping[str, Price]) -> dict[str, float | None]:
    """USD of one attempt per profile; None where neither price nor own cost is known."""
    size = sum(share * benchmark.load().effort(d) for d, share in evidence.dimensions)
    return {
        p.name: _expected(p.name, evidence, prices.get(p.name), size) for p in evidence.profiles
    }


def _expected(name: str, evidence: Evidence, price: Price | None, size: float) -> float | None:
    inside, outside = evidence.dimension[name], evidence.elsewhere[name]
    spent = inside.cost + ELSEWHERE * outside.cost
    n = inside.cost_n + ELSEWHERE * outside.cost_n
    if price is None:
        return spent / n if n else None
    return (STRENGTH * size * _run(price) + spent) / (STRENGTH + n)


def _run(price: Price) -> float:
    cached = price.input if price.cached_input is None else price.cached_input
    return (INPUT * price.input + CACHED_INPUT * cached + OUTPUT * price.output) / MILLION


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
