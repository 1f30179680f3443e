"""What the shipped model reads in the very prompt: how much harder it is than its kind."""

from __future__ import annotations

from math import fsum

from acr.nouns import Profile, Reading, Vote
from acr.orchestrator import benchmark
from acr.orchestrator.evidence import Evidence

__all__ = ["vote"]

STRENGTH = 2.0
"""Pseudo-observations of a reading."""
APART = 0.0
"""How much of what it expects of a model beyond what it expects of all counts. On probing val it
chooses worse with 0.25 of it (regret +16 ± 7 in 2,919 tasks): the model does not see the dimension,
and one text stands in several."""


def vote(evidence: Evidence) -> Vote:
    """A vote on every profile: its usual level, moved by what is read; none without a reading."""
    reading = evidence.reading
    if reading is None or not reading.models:
        return Vote("classifier", {}, "nothing was read in the prompt")
    moved = fsum(
        score - _expected(evidence, model) for model, score in reading.models.items()
    ) / len(reading.models)
    scores = {}
    for profile in evidence.profiles:
        own = _read(reading, profile)
        apart = own - evidence.mean(evidence.expected, profile.name) - moved
        score = evidence.mean(evidence.level, profile.name) + moved + APART * apart
        scores[profile.name] = (min(1.0, max(0.0, score)), STRENGTH)
    return Vote("classifier", scores, f"{reading.reason} expects {moved:+.2f} from the usual")


def _expected(evidence: Evidence, model: str) -> float:
    """What the benchmark expects of one of its models here."""
    shipped = benchmark.load()
    tier = shipped.tier(model) or "mid"
    return fsum(
        share * shipped.expect(model, tier, dimension).score
        for dimension, share in evidence.dimensions
    )


def _read(reading: Reading, profile: Profile) -> float:
    model = benchmark.load().model(profile.model)
    return reading.models.get(model or "", reading.tiers.get(profile.tier, reading.difficulty))
