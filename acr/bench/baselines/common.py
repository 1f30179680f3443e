"""What baselines share: the one-call router, rewards with unknown costs filled, features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from acr.bench.matrix import Matrix
from acr.bench.replay import Call, Question, reward
from acr.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "MOST",
    "Costs",
    "OneCall",
    "Places",
    "best",
    "by_dimension",
    "by_name",
    "extra",
    "latest",
    "rewards",
]

MOST = 20_000
"""Newest probing tasks that are learned from where all are compared: the paper's memory."""


class OneCall(ABC):
    """Calls the available model of the highest value, once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fit(self, probing: Matrix) -> None:  # noqa: B027  # a default: some do not learn
        """Learns nothing."""

    @abstractmethod
    def values(self, question: Question) -> Floats:
        """Worth of each model on this task; NaN where there is no way to know."""

    def choose(self, question: Question, made: Sequence[Call]) -> int | None:
        """The model of the highest value; None after a call."""
        return None if made else best(self.values(question), question.available)

    def learn(self, question: Question, made: Sequence[Call]) -> None:  # noqa: B027  # likewise
        """Learns nothing."""


def best(values: Floats, available: Sequence[bool]) -> int:
    """The available model of the highest value, of equals the first; NaN is below all."""
    import numpy as np

    known = np.where(np.isnan(values), np.finfo(np.float64).min, values)
    return int(np.where(available, known, -np.inf).argmax())


class Costs:
    """Running means of the known costs, by dimension and model."""

    def __init__(self, width: int) -> None:
        """`width`: the number of models."""
        self._width = width
        self._sums: dict[str, Floats] = {}

    def add(self, dimension: str, model: int, cost: float | None) -> None:
        """One call's USD; None teaches nothing."""
        if cost is not None:
            self._cell(dimension)[:, model] += (1, cost)

    def add_all(self, matrix: Matrix) -> None:
        """All known costs of `matrix`."""
        import numpy as np

        known = ~np.isnan(matrix.cost)
        for dimension, rows in by_name(matrix.dimensions).items():
            sums = (known[rows].sum(0), np.where(known[rows], matrix.cost[rows], 0).sum(0))
            self._cell(dimension)[:] += np.array(sums)

    def expected(self, dimension: str) -> Floats:
        """USD per model: its mean in the dimension, else anywhere, else of all calls, else 0."""
        import numpy as np

        everywhere = sum(self._sums.values(), np.zeros((2, self._width)))
        overall = everywhere.sum(1, keepdims=True) + np.zeros((2, self._width))
        mean = np.zeros(self._width)
        for n, total in (overall, everywhere, self._sums.get(dimension, np.zeros_like(overall))):
            mean = np.where(n > 0, total / np.maximum(n, 1), mean)
        return mean

    def _cell(self, dimension: str) -> Floats:
        import numpy as np

        return self._sums.setdefault(dimension, np.zeros((2, self._width)))


class Places:
    """Turns a task into numbers: its vector, then a one-hot of its dimension."""

    def __init__(self, dimensions: Sequence[str]) -> None:
        self._place = {name: n for n, name in enumerate(sorted(set(dimensions)))}

    def one_hot(self, dimensions: Sequence[str]) -> Floats:
        """Tasks x dimensions; a zero row for a dimension that is not among them."""
        import numpy as np

        place = np.array([self._place.get(name, -1) for name in dimensions], np.int64)
        return np.equal.outer(place, np.arange(len(self._place))).astype(np.float64)

    def features(self, vectors: Any, dimensions: Sequence[str]) -> Floats:
        """Tasks x (length of a vector + dimensions)."""
        import numpy as np

        return np.hstack([vectors, self.one_hot(dimensions)])


def by_name(dimensions: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Dimension -> mask of its rows."""
    import numpy as np

    names = np.array(dimensions)
    return {str(name): names == name for name in np.unique(names)}


def rewards(matrix: Matrix) -> Floats:
    """Tasks x models; an unknown cost is the expected one, an unknown score makes NaN."""
    import numpy as np

    costs = Costs(len(matrix.models))
    costs.add_all(matrix)
    cost = matrix.cost.copy()
    for dimension, rows in by_name(matrix.dimensions).items():
        cost[rows] = np.where(np.isnan(cost[rows]), costs.expected(dimension), cost[rows])
    return np.asarray(reward(matrix.score, cost))


def by_dimension(matrix: Matrix, earned: Floats) -> Mapping[str, Floats]:
    """Dimension -> mean of `earned` per model, under "" of all tasks; NaN where unknown."""
    masks = by_name(matrix.dimensions)
    return {name: _mean(earned[rows]) for name, rows in masks.items()} | {"": _mean(earned)}


def latest(matrix: Matrix) -> Matrix:
    """The last MOST tasks."""
    import numpy as np

    return matrix.rows(np.arange(max(0, len(matrix) - MOST), len(matrix)))


def extra(module: str) -> Any:
    """An optional module, such as sklearn.neural_network. Raises UsageError when missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"this router needs {module}; to add it run ./install.sh again") from error


def _mean(earned: Floats) -> Floats:
    import numpy as np

    known = ~np.isnan(earned)
    n = known.sum(0)
    return np.where(n > 0, np.where(known, earned, 0).sum(0) / np.maximum(n, 1), np.nan)
