"""Baselines that learn nothing: the oracle, chance, one model, decisions made by others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from acr.bench.baselines.common import OneCall, rewards
from acr.bench.matrix import Matrix
from acr.bench.replay import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Always", "Oracle", "Random"]


class Oracle(OneCall):
    """Knows the outcomes; no router can earn more in one call."""

    def __init__(self, name: str, truth: Matrix) -> None:
        super().__init__(name)
        self._truth = dict(zip(truth.tasks, rewards(truth), strict=True))

    def values(self, question: Question) -> Floats:
        """The true rewards."""
        truth: Floats = self._truth[question.task]
        return truth


class Random(OneCall):
    """Any available model, all alike."""

    def __init__(self, name: str, models: int, seed: int) -> None:
        import numpy as np

        super().__init__(name)
        self._models, self._rng = models, np.random.default_rng(seed)

    def values(self, question: Question) -> Floats:
        """Independent uniform numbers."""
        return self._rng.random(self._models)


class Always(OneCall):
    """The column given for the task, else the default; where that is missing, the first there."""

    def __init__(
        self, name: str, models: int, default: int, columns: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(name)
        self._models, self._default, self._columns = models, default, columns or {}

    def values(self, question: Question) -> Floats:
        """1 for the model, 0 for the others."""
        import numpy as np

        values = np.zeros(self._models)
        values[self._columns.get(question.task, self._default)] = 1
        return values
