"""RouteLLM's two routers (arXiv 2406.18665) for any number of models.

Theirs choose between a strong and a weak model from which of the two won. Here every pair of
models is such a match on each probing task, which counts by the difference in reward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acr.bench.baselines.common import OneCall, Places, extra, latest, rewards
from acr.bench.matrix import Matrix
from acr.bench.replay import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["MatrixFactorisation", "SimilarityWeighted"]

RANK, DECAY, STEPS = 16, 1e-2, 100
"""Of the factorisation: factors per model, L2 penalty, steps of L-BFGS."""
GAMMA = 10.0
"""A task counts GAMMA ** (1 + similarity) times (RouteLLM's setting)."""
ROUNDS = 20
"""Of the Bradley-Terry fit, begun at the fit for all tasks alike."""


def matches(matrix: Matrix) -> Floats:
    """Tasks x models x models: by how much reward the first beats the second; else 0."""
    import numpy as np

    earned = rewards(matrix)
    return np.nan_to_num(np.maximum(earned[:, :, None] - earned[:, None, :], 0))


class MatrixFactorisation(OneCall):
    """P(a beats b) = sigmoid(value a - value b), value = model factors . projected features."""

    def __init__(self, name: str, models: int, seed: int) -> None:
        super().__init__(name)
        self._models, self._seed = models, seed

    def fit(self, probing: Matrix) -> None:
        """Minimises the weighted log loss over all matches."""
        import numpy as np

        probing = latest(probing)
        self._places = Places(probing.dimensions)
        x = self._places.features(probing.vectors, probing.dimensions)
        won = matches(probing)
        shapes = (self._models, RANK), (RANK, x.shape[1])
        cut, tasks = self._models * RANK, max(len(x), 1)

        def loss(flat: Floats) -> tuple[float, Floats]:
            model, task = flat[:cut].reshape(shapes[0]), flat[cut:].reshape(shapes[1])
            projected = x @ task.T
            value = projected @ model.T
            gap = value[:, :, None] - value[:, None, :]
            pull = won / (1 + np.exp(gap)) / tasks
            down = pull.sum(1) - pull.sum(2)
            slope = np.concatenate([(down.T @ projected).ravel(), ((down @ model).T @ x).ravel()])
            missed = (won * np.logaddexp(0, -gap)).sum() / tasks
            return missed + DECAY / 2 * flat @ flat, slope + DECAY * flat

        start = np.random.default_rng(self._seed).normal(0, 0.1, cut + RANK * x.shape[1])
        found = extra("scipy.optimize").minimize(
            loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
        )
        self._weights = found.x[:cut].reshape(shapes[0]) @ found.x[cut:].reshape(shapes[1])

    def values(self, question: Question) -> Floats:
        """Log odds against a model of value 0."""
        features = self._places.features(question.vector[None], [question.dimension])
        values: Floats = self._weights @ features[0]
        return values


class SimilarityWeighted(OneCall):
    """Bradley-Terry strengths from all matches, those of similar tasks weighing more."""

    def fit(self, probing: Matrix) -> None:
        """Keeps the matches; the strengths are found per question."""
        import numpy as np

        probing = latest(probing)
        self._places = Places(probing.dimensions)
        self._tasks = _unit(self._places.features(probing.vectors, probing.dimensions))
        self._models = len(probing.models)
        won = matches(probing).astype(np.float32)
        self._won = won.reshape(len(probing), self._models**2)
        self._start = _strengths(self._sums(np.ones(len(probing))), np.ones(self._models), 200)

    def values(self, question: Question) -> Floats:
        """The models' strengths near this task."""
        import numpy as np

        features = self._places.features(question.vector[None], [question.dimension])
        similar = self._tasks @ _unit(features)[0]
        top = similar.max(initial=0)
        weights = GAMMA ** (1 + (similar / top if top > 0 else similar))
        return _strengths(self._sums(np.asarray(weights)), self._start, ROUNDS)

    def _sums(self, weights: Floats) -> Floats:
        import numpy as np

        summed = weights.astype(np.float32) @ self._won
        return summed.reshape(self._models, self._models).astype(np.float64)


def _strengths(won: Floats, start: Floats, rounds: int) -> Floats:
    """Bradley-Terry by minorisation-maximisation (Hunter 2004), mean 1; `won`[a, b]: a over b."""
    import numpy as np

    played, total = won + won.T, won.sum(1)
    strength = start
    for _ in range(rounds):
        met = (played / (strength[:, None] + strength)).sum(1)
        strength = np.where(met > 0, total / np.where(met > 0, met, 1), strength)
        strength = strength / max(strength.mean(), 1e-300) + 1e-12
    return strength


def _unit(rows: Floats) -> Any:
    import numpy as np

    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)
