"""Classifiers of scikit-learn that name the best model of a task."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from acr.bench.baselines.common import OneCall, Places, best, extra, latest, rewards
from acr.bench.matrix import Matrix
from acr.bench.replay import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Classifier", "logistic_regression", "perceptron"]


class Classifier(OneCall):
    """The most probable label: the model of the highest reward on the task.

    Tasks on which no model scored have none.
    """

    def __init__(self, name: str, models: int, make: Callable[[], Any]) -> None:
        """`make`: gives an untrained scikit-learn classifier."""
        super().__init__(name)
        self._models, self._make = models, make

    def fit(self, probing: Matrix) -> None:
        """Trains on the vectors and dimensions of the probing tasks."""
        import numpy as np

        probing = latest(probing)
        probing = probing.rows(np.flatnonzero((probing.score > 0).any(1)))
        everything = [True] * self._models
        labels = np.array([best(row, everything) for row in rewards(probing)], np.int64)
        self._places = Places(probing.dimensions)
        self._labels = np.unique(labels)
        self._fitted = None
        if len(self._labels) > 1:
            features = self._places.features(probing.vectors, probing.dimensions)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the steps set are few is meant
                self._fitted = self._make().fit(features, labels)

    def values(self, question: Question) -> Floats:
        """Probability that the model is the best."""
        import numpy as np

        values = np.zeros(self._models)
        features = self._places.features(question.vector[None], [question.dimension])
        values[self._labels] = self._fitted.predict_proba(features)[0] if self._fitted else 1
        return values


def logistic_regression() -> Any:
    """Untrained."""
    return extra("sklearn.linear_model").LogisticRegression(C=10, max_iter=500)


def perceptron(seed: int) -> Any:
    """Untrained; one hidden layer, 20 epochs."""
    return extra("sklearn.neural_network").MLPClassifier(
        (128,), alpha=1e-3, batch_size=64, max_iter=20, random_state=seed
    )
