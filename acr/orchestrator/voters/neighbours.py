"""Similar tasks of the past, weighted by similarity and by how they were verified."""

from __future__ import annotations

from acr.nouns import Neighbour, Vote
from acr.orchestrator.benchmark import same_model
from acr.orchestrator.evidence import RECENT, SIBLING, STALE, Evidence

__all__ = ["vote"]

WEIGHT = 1.5
"""What an attempt on the very same task counts, in pseudo-observations."""
OTHER_REPOSITORY = 0.7
"""What is left of it in another repository."""
OTHER_DIMENSION = 0.25
"""What is left of it when it was another kind of request."""


def vote(evidence: Evidence) -> Vote:
    """A vote on each profile that tried a similar task, or whose model did."""
    models = {p.name: p.model for p in evidence.profiles}
    kinds = {dimension for dimension, _ in evidence.dimensions}
    sums = {name: [0.0, 0.0] for name in models}
    for near in evidence.neighbours:
        weight = _weight(near) * (1.0 if near.dimension in kinds else OTHER_DIMENSION)
        model = models.get(near.profile)
        for name, total in sums.items():
            share = 1.0 if name == near.profile else SIBLING * _kin(model, models[name])
            total[0] += share * weight * near.score
            total[1] += share * weight
    scores = {name: (score / weight, weight) for name, (score, weight) in sums.items() if weight}
    return Vote("neighbours", scores, _reason(evidence.neighbours))


def _weight(near: Neighbour) -> float:
    place = 1.0 if near.same_repository else OTHER_REPOSITORY
    age = 1.0 if near.age <= RECENT else STALE
    return WEIGHT * near.strength * max(0.0, near.similarity) ** 2 * place * age


def _kin(model: str | None, other: str) -> bool:
    return model is not None and same_model(model, other)


def _reason(neighbours: tuple[Neighbour, ...]) -> str:
    if not neighbours:
        return "no similar task yet"
    tasks = len({n.task for n in neighbours})
    closest = max(n.similarity for n in neighbours)
    return f"{tasks} similar tasks, the closest at {closest:.2f}"
