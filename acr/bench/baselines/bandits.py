"""Bandits: they go on learning from the outcomes of the models that they chose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from acr.bench.baselines.common import Costs, OneCall, Places, by_name, latest, rewards
from acr.bench.matrix import Matrix
from acr.bench.replay import EPSILON_COST, Call, Question, reward

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LinTS", "LinUCB", "Thompson"]

ALPHA, LAMBDA, V = 1.0, 1.0, 0.5
"""Width of the bound, ridge penalty, width of the posterior (arXiv 2606.22902)."""
PROJECTED, PROJECTION_SEED = 64, 42
"""Length and seed of the random projection of vectors (arXiv 2606.22902)."""


class LinUCB(OneCall):
    """Ridge regression of the reward per model, with an upper confidence bound (Li et al. 2010)."""

    def __init__(self, name: str, matrix: Matrix) -> None:
        """Of `matrix` it takes the models, the names of dimensions and the length of vectors."""
        import numpy as np

        super().__init__(name)
        self._models, size = len(matrix.models), matrix.vectors.shape[1]
        rng = np.random.default_rng(PROJECTION_SEED)
        self._projection = rng.normal(0, PROJECTED**-0.5, (size, PROJECTED))
        self._costs = Costs(self._models)
        self._begin(matrix.dimensions)

    def _begin(self, dimensions: Sequence[str]) -> None:
        import numpy as np

        self._dimensions = tuple(sorted(set(dimensions)))
        self._places = Places(self._dimensions)
        length = len(self._dimensions) + PROJECTED
        self._inverse: Floats = np.tile(np.eye(length) / LAMBDA, (self._models, 1, 1))
        self._moment = np.zeros((self._models, length))

    def _context(self, vectors: NDArray[np.float32], dimensions: Sequence[str]) -> Floats:
        return self._places.features(vectors @ self._projection, dimensions)

    def fit(self, probing: Matrix) -> None:
        """The regressions as if each model had been tried on each probing task."""
        import numpy as np

        probing = latest(probing)
        self._begin((*self._dimensions, *probing.dimensions))
        self._costs.add_all(probing)
        context, earned = self._context(probing.vectors, probing.dimensions), rewards(probing)
        for model in range(self._models):
            there = ~np.isnan(earned[:, model])
            x = context[there]
            self._inverse[model] = np.linalg.inv(x.T @ x + LAMBDA * np.eye(x.shape[1]))
            self._moment[model] = earned[there, model] @ x

    def values(self, question: Question) -> Floats:
        """Expected reward plus the exploration that the model's uncertainty is worth."""
        import numpy as np

        x = self._context(question.vector[None], [question.dimension])[0]
        half = self._inverse @ x
        expected: Floats = (half * self._moment).sum(1)
        bonus: Floats = self._width() * np.sqrt(np.maximum(half @ x, 0))
        return expected + bonus

    def _width(self) -> Floats | float:
        return ALPHA

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        """One observation per call, by Sherman-Morrison; an unknown cost is the expected one."""
        x = self._context(question.vector[None], [question.dimension])[0]
        for call in made:
            self._costs.add(question.dimension, call.model, call.cost)
            half = self._inverse[call.model] @ x
            self._inverse[call.model] -= half[:, None] * half / (1 + half @ x)
            cost = call.cost
            if cost is None:
                cost = self._costs.expected(question.dimension)[call.model]
            self._moment[call.model] += reward(call.score, cost) * x


class LinTS(LinUCB):
    """The same regressions, chosen from by a draw of the posterior (Agrawal and Goyal 2013).

    Models do not share weights, so a draw of the value itself, normal around the expected reward,
    is distributed as one of the weights would make it.
    """

    def __init__(self, name: str, matrix: Matrix, seed: int) -> None:
        import numpy as np

        super().__init__(name, matrix)
        self._rng = np.random.default_rng(seed)

    def _width(self) -> Floats:
        return V * self._rng.standard_normal(self._models)


class Thompson(OneCall):
    """A draw of each model's Beta posterior in the dimension, less its expected cost."""

    def __init__(self, name: str, models: int, seed: int) -> None:
        import numpy as np

        super().__init__(name)
        self._rng = np.random.default_rng(seed)
        self._counts: dict[str, Floats] = defaultdict(lambda: np.ones((2, models)))
        self._costs = Costs(models)

    def fit(self, probing: Matrix) -> None:
        """Counts each score s as s of a success and 1 - s of a failure."""
        import numpy as np

        self._costs.add_all(probing)
        for dimension, rows in by_name(probing.dimensions).items():
            score = probing.score[rows]
            self._counts[dimension] += (np.nansum(score, 0), np.nansum(1 - score, 0))

    def values(self, question: Question) -> Floats:
        """Sampled reward per model."""
        successes, failures = self._counts[question.dimension]
        cost = self._costs.expected(question.dimension)
        draw: Floats = self._rng.beta(successes, failures)
        return draw - EPSILON_COST * cost

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        """The same count for the calls made."""
        for call in made:
            self._costs.add(question.dimension, call.model, call.cost)
            self._counts[question.dimension][:, call.model] += (call.score, 1 - call.score)
