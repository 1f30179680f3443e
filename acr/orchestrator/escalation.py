"""What failed tries say about the others: a hard task is hard for all, for kin above all.

A profile solves a task when its ability there exceeds a threshold; on one task the abilities of
all profiles are jointly normal around what is expected of each (a multivariate probit). A try
that was seen moves the others, one after the other, by moment matching.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from acr.nouns import Pair, Tried
from acr.orchestrator import benchmark
from acr.orchestrator.benchmark import same_model
from acr.orchestrator.evidence import Evidence

__all__ = ["Outlook", "after", "gain"]

TRUST = 30.0
"""Tasks that the benchmark's correlation and a pass or fail's variance weigh as much as."""
KIN = 0.85
"""Correlation of scores of two profiles of one model."""
USUAL = 0.1
"""By how much a pair's mean scores may differ from the usual ones of the dimension."""
LEAST_VARIANCE = 0.005
MOST = 0.98
"""Bound of correlations, and of how sure an expected score may be."""
NORMAL = NormalDist()

Outlook = Mapping[str, tuple[float, float]]
"""Profile -> (expected score, variance of it on this very task)."""


@dataclass(slots=True)
class _Ability:
    """One profile on this task, in latent units."""

    threshold: float
    """The usual ability less what solving takes: the quantile of the expected score."""
    scale: float
    """Standard deviation of scores as a share of that of passes and fails."""
    mean: float = 0.0
    """By how much its ability here differs from the usual one."""


def after(
    tried: Sequence[Tried], expected: Mapping[str, float], evidence: Evidence, pairs: Sequence[Pair]
) -> Outlook:
    """The outlook of every profile once the scores of those that were tried are known."""
    usual = {name: min(MOST, max(1 - MOST, score)) for name, score in expected.items()}
    seen = _seen(evidence, pairs)
    variance = {name: _variance(score, seen.get((name, name))) for name, score in usual.items()}
    abilities = {
        name: _Ability(NORMAL.inv_cdf(m), math.sqrt(variance[name] / (m * (1 - m))))
        for name, m in usual.items()
    }
    alike = _correlations(list(usual), evidence, seen, variance)
    for one in tried:
        if one.score is not None and one.profile in abilities:
            _learn(abilities, alike, one.profile, usual[one.profile], one.score)
    return {
        name: _outlook(usual[name], variance[name], ability, alike[name, name])
        for name, ability in abilities.items()
    }


def _learn(
    abilities: Mapping[str, _Ability],
    alike: dict[tuple[str, str], float],
    name: str,
    usual: float,
    score: float,
) -> None:
    """Moves all abilities by the score of `name`: passes are E[ability | above the threshold],
    fails E[ability | below], what is between in proportion."""
    one, own = abilities[name], alike[name, name]
    point = (one.threshold + one.mean) / math.sqrt(own)
    solves = min(MOST, max(1 - MOST, NORMAL.cdf(point)))
    told = NORMAL.pdf(point) / (solves * (1 - solves) * one.scale)
    now = usual + (solves - usual) * min(1.0, one.scale)
    missed = math.sqrt(own) * max(-3.0, min(3.0, (score - now) * told))
    sure = min(1.0, NORMAL.pdf(point) * told / one.scale)
    pull = {other: alike[other, name] / own for other in abilities}
    for other, ability in abilities.items():
        ability.mean += pull[other] * missed
        for third in abilities:
            alike[other, third] -= sure * pull[other] * pull[third] * own
        alike[other, other] = max(1 - MOST, alike[other, other])


def _outlook(
    usual: float, variance: float, ability: _Ability, spread: float
) -> tuple[float, float]:
    solves = NORMAL.cdf((ability.threshold + ability.mean) / math.sqrt(spread))
    score = usual + (solves - usual) * min(1.0, ability.scale)
    return min(1.0, max(0.0, score)), max(LEAST_VARIANCE, variance * spread)


def gain(expected: float, variance: float, best: float) -> float:
    """E[(score - best)+]: what one more try adds to the best one so far; scores are 0..1.

    Normal around `expected`, but never more than `expected` itself, which is what a try adds
    that passes or fails when nothing was reached before.
    """
    width = math.sqrt(variance)
    z = (expected - best) / width
    normal = width * NORMAL.pdf(z) + (expected - best) * NORMAL.cdf(z)
    return max(0.0, min(expected, 1.0 - best, normal))


def _seen(evidence: Evidence, pairs: Sequence[Pair]) -> dict[tuple[str, str], tuple[float, int]]:
    """(one, other) -> (sum of products of scores around the usual ones, tasks), from tasks where
    the other was not only tried because the one had failed: there nothing varies."""
    level = {p.name: evidence.mean(evidence.level, p.name) for p in evidence.profiles}
    found = {}
    for pair in pairs:
        a, b = level.get(pair.one), level.get(pair.other)
        if a is None or b is None or pair.n == 0:
            continue
        means = pair.score_one / pair.n - a, pair.score_other / pair.n - b
        if max(map(abs, means)) < USUAL:
            product = pair.product - b * pair.score_one - a * pair.score_other + pair.n * a * b
            found[pair.one, pair.other] = product, pair.n
    return found


def _variance(usual: float, seen: tuple[float, int] | None) -> float:
    product, n = seen or (0.0, 0)
    return max(LEAST_VARIANCE, (TRUST * usual * (1 - usual) + product) / (TRUST + n))


def _correlations(
    names: Sequence[str],
    evidence: Evidence,
    seen: Mapping[tuple[str, str], tuple[float, int]],
    variance: Mapping[str, float],
) -> dict[tuple[str, str], float]:
    """Profile x profile, of abilities; the benchmark's, corrected by one's own."""
    models = {p.name: p.model for p in evidence.profiles}
    shipped = benchmark.load().correlation
    made = {}
    for one in names:
        for other in names:
            product, n = seen.get((one, other), (0.0, 0))
            size = math.sqrt(variance[one] * variance[other])
            prior = KIN if same_model(models[one], models[other]) else shipped
            score = (TRUST * prior + product / size) / (TRUST + n)
            latent = math.sin(0.5 * math.pi * max(-MOST, min(MOST, score)))
            made[one, other] = 1.0 if one == other else latent
    return made
