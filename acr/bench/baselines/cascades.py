"""Cascades: models one after the other until the verifier passes one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from acr.bench.baselines.bandits import Thompson
from acr.bench.baselines.common import by_dimension, latest, rewards
from acr.bench.baselines.lookup import DimensionBest
from acr.bench.matrix import Matrix
from acr.bench.replay import PASS, Call, Question

__all__ = ["ByDimension", "Chain", "Frugal", "ThompsonCascade"]

LENGTH, POOL = 3, 10
"""Longest chain that Frugal tries, and from how many models, those of the best mean."""


class Chain:
    """A fixed order; models that are not available are passed over."""

    def __init__(self, name: str, order: Sequence[int]) -> None:
        self.name = name
        self._order = tuple(order)

    def fit(self, probing: Matrix) -> None:
        """Learns nothing."""

    def order(self, question: Question) -> Sequence[int]:
        """Columns as they are to be called on this task."""
        return self._order

    def choose(self, question: Question, made: Sequence[Call]) -> int | None:
        """The next in the order; None when a call passed or all were made."""
        if any(call.score >= PASS for call in made):
            return None
        there = [model for model in self.order(question) if question.available[model]]
        tried = [call.model for call in made]
        left = [m for m in there or [question.available.index(True)] if m not in tried]
        return left[0] if left else None

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        """Learns nothing."""


class Frugal(Chain):
    """The order that earned most on the probing tasks (FrugalGPT, arXiv 2305.05176)."""

    def __init__(self, name: str) -> None:
        super().__init__(name, ())

    def fit(self, probing: Matrix) -> None:
        """Plays all orders of up to LENGTH of the POOL best models, with an ideal verifier."""
        import numpy as np

        probing = latest(probing)
        score = probing.score
        paid = np.nan_to_num(score - rewards(probing))
        pool = np.argsort(-by_dimension(probing, score - paid)[""], kind="stable")[:POOL].tolist()

        def earned(order: Sequence[int]) -> float:
            top, spent = np.zeros(len(score)), np.zeros(len(score))
            for model in order:
                called = (top < PASS) & ~np.isnan(score[:, model])
                spent += np.where(called, paid[:, model], 0)
                top = np.where(called, np.fmax(top, score[:, model]), top)
            return float((top - spent).sum())

        lengths = range(1, min(LENGTH, len(pool)) + 1)
        orders = itertools.chain(*(itertools.permutations(pool, n) for n in lengths))
        self._order = max(orders, key=earned)


class ByDimension(Chain):
    """The order of the dimension's mean rewards."""

    def __init__(self, name: str) -> None:
        super().__init__(name, ())
        self._lookup = DimensionBest(name)

    def fit(self, probing: Matrix) -> None:
        """Averages rewards."""
        self._lookup.fit(probing)

    def order(self, question: Question) -> Sequence[int]:
        """All models, the best mean first."""
        import numpy as np

        values = np.nan_to_num(self._lookup.values(question), nan=-np.inf)
        return [int(n) for n in np.argsort(-values, kind="stable")]


class ThompsonCascade(Chain):
    """A fresh draw of the posteriors before each call."""

    def __init__(self, name: str, models: int, seed: int) -> None:
        super().__init__(name, ())
        self._bandit = Thompson(name, models, seed)

    def fit(self, probing: Matrix) -> None:
        """Counts successes and failures."""
        self._bandit.fit(probing)

    def order(self, question: Question) -> Sequence[int]:
        """All models, the best draw first."""
        return [int(n) for n in (-self._bandit.values(question)).argsort(kind="stable")]

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        """Counts the calls made."""
        self._bandit.learn(question, made)
