"""Baselines that look up what was earned before: by dimension, by nearest tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from acr.bench.baselines.common import OneCall, by_dimension, latest, rewards
from acr.bench.matrix import Matrix
from acr.bench.replay import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["DimensionBest", "Neighbours"]

K, COSINE = 10, 0.5
"""Neighbours, and how similar at least (arXiv 2606.22902)."""


class DimensionBest(OneCall):
    """The best mean reward among the probing tasks of the dimension."""

    _means: Mapping[str, Floats]

    def fit(self, probing: Matrix) -> None:
        """Averages rewards; the mean of all tasks stands in where a dimension lacks a model."""
        import numpy as np

        means = by_dimension(probing, rewards(probing))
        self._means = {d: np.where(np.isnan(m), means[""], m) for d, m in means.items()}

    def values(self, question: Question) -> Floats:
        """Mean reward in the dimension; of all tasks when it is new."""
        return self._means.get(question.dimension, self._means[""])


class Neighbours(DimensionBest):
    """Mean reward of the nearest probing tasks, weighted by similarity."""

    def fit(self, probing: Matrix) -> None:
        """Keeps the tasks and what was earned on them."""
        super().fit(probing)
        probing = latest(probing)
        self._vectors, self._earned = probing.vectors, rewards(probing)

    def values(self, question: Question) -> Floats:
        """The dimension's mean for models that no neighbour within COSINE tells of."""
        import numpy as np

        cosine = self._vectors @ question.vector
        k = min(K, len(cosine))
        near = np.argpartition(-cosine, k - 1)[:k] if k else np.arange(0)
        near = near[cosine[near] >= COSINE]
        weight = cosine[near, None] * ~np.isnan(self._earned[near])
        total = weight.sum(0)
        local = (weight * np.nan_to_num(self._earned[near])).sum(0) / np.where(total > 0, total, 1)
        return np.where(total > 0, local, super().values(question))
