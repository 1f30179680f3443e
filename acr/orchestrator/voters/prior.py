"""The public benchmark's voice: by model, by its family, else by tier. Weak on purpose."""

from __future__ import annotations

from acr.nouns import Profile, Vote
from acr.orchestrator import benchmark
from acr.orchestrator.evidence import Evidence

__all__ = ["vote"]

EXACT, FAMILY, TIER = 4.0, 3.0, 2.0
"""Pseudo-observations: a few outcomes of one's own outweigh single answers to benchmark items."""
UNMEASURED = 0.5
"""What is left of them in a dimension that the benchmark did not measure."""


def vote(evidence: Evidence) -> Vote:
    """A vote on every profile; it fades as own outcomes come in."""
    scores = {}
    for profile in evidence.profiles:
        score, strength = _prior(profile, evidence)
        scores[profile.name] = (score, strength * evidence.fade(profile.name))
    return Vote("prior", scores, _reason(evidence))


def _prior(profile: Profile, evidence: Evidence) -> tuple[float, float]:
    shipped = benchmark.load()
    score = strength = 0.0
    for dimension, share in evidence.dimensions:
        known = shipped.expect(profile.model, profile.tier, dimension)
        base = EXACT if known.exact else FAMILY if known.source else TIER
        score += share * known.score
        strength += share * base * (1.0 if known.measured else UNMEASURED)
    return score, strength


def _reason(evidence: Evidence) -> str:
    shipped = benchmark.load()
    by_model = sum(shipped.model(p.model) is not None for p in evidence.profiles)
    dimension = evidence.dimensions[0][0]
    note = "" if shipped.measured(dimension) else f"; {dimension} by overall means"
    return (
        f"CodeRouterBench: {by_model} of {len(evidence.profiles)} profiles by model or family, "
        f"the others by tier{note}"
    )
