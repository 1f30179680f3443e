"""Similar tasks of the past: how a profile did there against what is usual."""

from __future__ import annotations

from acr.nouns import Neighbour, Vote
from acr.orchestrator.benchmark import spelling
from acr.orchestrator.evidence import SIBLING, Evidence

__all__ = ["vote"]

WEIGHT = 1.5
"""What an attempt on the very same task counts, in pseudo-observations."""
OTHER_DIMENSION = 0.1
"""What is left of it when it was another kind of request."""


def vote(evidence: Evidence) -> Vote:
    """A vote on each profile that tried a similar task, or whose model did.

    A neighbour's score counts by its distance from the level of its own dimension, so that one
    of another, easier kind does not flatter.
    """
    kinds = {dimension for dimension, _ in evidence.dimensions}
    level = {p.name: evidence.mean(evidence.level, p.name) for p in evidence.profiles}
    model = {p.name: spelling(p.model) for p in evidence.profiles}
    sums = {name: [0.0, 0.0] for name in level}
    for (name, dimension), (weight, score) in evidence.nearby.items():
        kind = WEIGHT * (1.0 if dimension in kinds else OTHER_DIMENSION)
        for other, total in sums.items():
            share = kind * _share(evidence, name, other, dimension, model)
            if share:
                distance = score / weight - evidence.level(other, dimension)
                total[0] += share * weight * distance
                total[1] += share * weight
    return Vote(
        "neighbours",
        {
            name: (min(1.0, max(0.0, level[name] + distance / weight)), weight)
            for name, (distance, weight) in sums.items()
            if weight
        },
        _reason(evidence.neighbours),
    )


def _share(
    evidence: Evidence, name: str, other: str, dimension: str, model: dict[str, str]
) -> float:
    """What an attempt of profile `name` says about profile `other`, 0..1."""
    if name != other and (name not in model or model[name] != model[other]):
        return 0.0
    kin = 1.0 if name == other else SIBLING
    change = evidence.changes.get(other)
    return kin * change.cells[dimension][0] if change and dimension in change.cells else kin


def _reason(neighbours: tuple[Neighbour, ...]) -> str:
    if not neighbours:
        return "no similar task yet"
    tasks = len({n.task for n in neighbours})
    closest = max(n.similarity for n in neighbours)
    return f"{tasks} similar tasks, the closest at {closest:.2f}"
