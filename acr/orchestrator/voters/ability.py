"""Own outcomes in other dimensions: a profile that does better there than expected may here."""

from __future__ import annotations

from acr.nouns import Vote
from acr.orchestrator.evidence import Evidence

__all__ = ["vote"]


def vote(evidence: Evidence) -> Vote:
    """A vote on each profile that was verified in other dimensions."""
    scores = {}
    for name, (distance, strength) in evidence.ability.items():
        expected = evidence.mean(evidence.expected, name)
        moved = min(1.0, max(0.0, expected + distance))
        scores[name] = (moved, strength * evidence.fade(name))
    return Vote("ability", scores, _reason(evidence))


def _reason(evidence: Evidence) -> str:
    if not evidence.ability:
        return "no outcomes in other dimensions yet"
    name, (distance, _) = max(evidence.ability.items(), key=lambda item: item[1][0])
    return f"in other dimensions, {name} is {distance:+.2f} from what the benchmark expects"
