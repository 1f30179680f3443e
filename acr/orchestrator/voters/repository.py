"""Own outcomes in this repository: in the task's dimension again, and in the others a little."""

from __future__ import annotations

from acr.nouns import Vote
from acr.orchestrator.evidence import ELSEWHERE, HERE, Evidence
from acr.orchestrator.voters.own import counts

__all__ = ["vote"]


def vote(evidence: Evidence) -> Vote:
    """A vote on each profile with verified outcomes here."""
    scores = {}
    for profile in evidence.profiles:
        here, elsewhere = evidence.here[profile.name], evidence.elsewhere[profile.name]
        strength = HERE * here.weight + ELSEWHERE * elsewhere.weight
        if strength > 0:
            score = (HERE * here.score + ELSEWHERE * elsewhere.score) / strength
            scores[profile.name] = (min(1.0, score), strength * evidence.fade(profile.name))
    seen = counts([*evidence.here.values(), *evidence.elsewhere.values()])
    return Vote("repository", scores, f"in this repository: {seen}")
