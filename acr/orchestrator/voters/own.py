"""Own outcomes in the task's dimension, in every repository."""

from __future__ import annotations

from collections.abc import Iterable

from acr.nouns import Vote
from acr.orchestrator.evidence import Evidence, Tally

__all__ = ["counts", "vote"]


def vote(evidence: Evidence) -> Vote:
    """A vote on each profile with verified outcomes, weighted by how they were verified."""
    scores = {
        name: (min(1.0, tally.score / tally.weight), tally.weight * evidence.fade(name))
        for name, tally in evidence.dimension.items()
        if tally.weight > 0
    }
    where = " or ".join(name for name, _ in evidence.dimensions)
    return Vote("own", scores, f"in {where}: {counts(evidence.dimension.values())}")


def counts(tallies: Iterable[Tally]) -> str:
    """`12 attempts, 9 wins, 2 losses`."""
    each = list(tallies)
    n = sum(t.n for t in each)
    if n == 0:
        return "no attempts yet"
    wins, losses = sum(t.wins for t in each), sum(t.losses for t in each)
    return f"{n} attempts, {wins} wins, {losses} losses"
