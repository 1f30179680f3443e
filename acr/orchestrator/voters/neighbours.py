"""Similar tasks of the past: how a profile did there against what is usual.

Kriging (a Gaussian process around the level of each dimension): what a profile missed or gained on
a task is like what it did on similar ones, and two tasks that are much alike count little more
than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from acr.nouns import Neighbour, Vote
from acr.orchestrator.benchmark import spelling
from acr.orchestrator.evidence import HALF_LIFE, OTHER_REPOSITORY, SIBLING, TASK_LIMIT, Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["vote"]

NEAR = 1.0
"""Inverse square of the distance of unit vectors at which tasks are alike to exp(-1)."""
NOISE = 5.0
"""Variance of a verified score on one task, as a multiple of that of what tasks have in common."""
OTHER_DIMENSION = 0.1
"""How alike two tasks are that differ in their kind only."""
LEAST, MOST = 1e-3, 0.95
"""Bounds of the sum of weights."""


def vote(evidence: Evidence) -> Vote:
    """A vote on each profile that tried a similar task, or whose model did.

    A neighbour's score counts by its distance from the level of its own dimension, so that one
    of another, easier kind does not flatter. The strength is such that, next to the averages of
    the dimension at their TASK_LIMIT, the posterior is that of the process.
    """
    near = evidence.neighbours
    tried = {p.name: _tried(evidence, p.name) for p in evidence.profiles} if near else {}
    if not any(tried.values()):
        return Vote("neighbours", {}, _reason(near))
    places = {task: n for n, task in enumerate(dict.fromkeys(one.task for one in near))}
    alike, towards = _covariance(evidence, list({one.task: one for one in near}.values()))
    scores = {}
    for name, attempts in tried.items():
        if attempts:
            at = [places[one.task] for one, _ in attempts]
            noise = [NOISE / weight for _, weight in attempts]
            missed = [one.score - evidence.level(name, one.dimension) for one, _ in attempts]
            moved, share = _krige(alike, towards, at, noise, missed)
            score = evidence.mean(evidence.level, name) + moved
            scores[name] = (min(1.0, max(0.0, score)), TASK_LIMIT * share / (1 - share))
    return Vote("neighbours", scores, _reason(near))


def _tried(evidence: Evidence, name: str) -> list[tuple[Neighbour, float]]:
    """Attempts that say something about profile `name`, and how much each one counts, 0..1."""
    model = {p.name: spelling(p.model) for p in evidence.profiles}
    kin = {other for other in model if model[other] == model[name]}
    change = evidence.changes.get(name)
    found = []
    for one in evidence.neighbours:
        if one.profile in kin and one.strength > 0:
            weight = one.strength * 0.5 ** (one.age / HALF_LIFE)
            weight *= 1.0 if one.profile == name else SIBLING
            weight *= 1.0 if one.same_repository else OTHER_REPOSITORY
            if change and one.dimension in change.cells:
                weight *= change.cells[one.dimension][0]
            if weight > 0:
                found.append((one, weight))
    return found


def _covariance(evidence: Evidence, tasks: Sequence[Neighbour]) -> tuple[Floats, Floats]:
    """Of what tasks have in common: task x task, and of each with the one that is asked about."""
    import numpy as np

    unit = np.array([np.frombuffer(one.vector or b"", np.int8) for one in tasks], np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    kinds = {dimension for dimension, _ in evidence.dimensions}
    kind = np.array([one.dimension if one.dimension not in kinds else "" for one in tasks])
    cosine = np.array([one.similarity for one in tasks], np.float32)
    same = np.where(kind[:, None] == kind, 1.0, OTHER_DIMENSION)
    alike = np.exp(2 * NEAR * (unit @ unit.T - 1)) * same
    return alike, np.exp(2 * NEAR * (cosine - 1)) * np.where(kind == "", 1.0, OTHER_DIMENSION)


def _krige(
    alike: Floats, towards: Floats, at: Any, noise: Sequence[float], missed: Sequence[float]
) -> tuple[float, float]:
    """(mean of what was missed by the weights of kriging, their sum, which is below 1)."""
    import numpy as np

    weights = np.linalg.solve(alike[np.ix_(at, at)] + np.diag(noise), towards[at])
    share = max(LEAST, float(weights.sum()))
    return float(weights @ missed) / share, min(MOST, share)


def _reason(neighbours: tuple[Neighbour, ...]) -> str:
    if not neighbours:
        return "no similar task yet"
    tasks = len({n.task for n in neighbours})
    closest = max(n.similarity for n in neighbours)
    return f"{tasks} similar tasks, the closest at {closest:.2f}"
