"""The replay: streams tasks to a router, which sees only what it would, and keeps the books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from acr.bench.matrix import Matrix
from acr.nouns import Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PASS", "Call", "Played", "Question", "Router", "Verifier", "reward", "stream"]

EPSILON_COST = 0.1
"""Reward is score - EPSILON_COST x USD (arXiv 2606.22902)."""
PASS = 0.5
"""Score from which the verifier says pass."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a router sees of a task before its first call."""

    task: str
    dimension: str
    vector: NDArray[np.float32]
    """Unit vector of the prompt; zeros where there is no prompt."""
    available: tuple[bool, ...]
    """Per model, whether it can be called."""
    reading: Reading | None = None
    """What the shipped model reads in the prompt."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made and paid for."""

    model: int
    score: float
    """0..1, as the verifier reported it."""
    cost: float | None
    """USD; None when unknown."""


class Router(Protocol):
    """Chooses models for tasks that come one after the other."""

    name: str

    def fit(self, probing: Matrix) -> None:
        """Learns from tasks with the outcomes of all models. Called once, before the stream."""

    def choose(self, question: Question, made: Sequence[Call]) -> int | None:
        """The column of the next model to call, given the calls made on this task; None stops."""

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        """Hears of a finished task: the calls that it chose itself, no others."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a router is told of a call's score."""

    wrong: float = 0.0
    """Chance that pass and fail are swapped: 1 - score is reported. 0 is the ideal verifier."""

    @property
    def name(self) -> str:
        """For tables."""
        return f"noisy verifier ({self.wrong:.0%} wrong)" if self.wrong else "ideal verifier"


@dataclass(frozen=True, slots=True)
class Played:
    """What a router did on a stream; rows are tasks in the matrix's order."""

    score: NDArray[np.float64]
    """True score of the call that counts: the one reported best, of equals the last."""
    cost: NDArray[np.float64]
    """USD of all calls on the task; NaN where one is unknown."""
    calls: NDArray[np.int64]
    used: NDArray[np.int64]
    """Tasks x models: calls of each."""


def reward(score: Any, cost: Any) -> Any:
    """r = s - 0.1 x USD; an unknown cost makes it NaN."""
    return score - EPSILON_COST * cost


def stream(
    matrix: Matrix,
    router: Router,
    *,
    calls: int = 1,
    verifier: Verifier | None = None,
    order: NDArray[np.int64] | None = None,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Played:
    """Plays all tasks of `matrix` in `order` (row numbers; default: as they stand).

    At most `calls` calls a task. What the noisy verifier gets wrong depends on `seed`, the task
    and the model only, so that all routers meet the same lies. Raises ValueError when a router
    calls a model that is not available, or twice on a task.
    """
    import numpy as np

    verifier = verifier or Verifier()
    n, width = matrix.score.shape
    lies = np.random.default_rng([seed, 77]).random((n, width)) < verifier.wrong
    reported = np.where(lies, 1 - matrix.score, matrix.score)
    available = ~np.isnan(matrix.score)
    score, cost = np.zeros(n), np.zeros(n)
    used = np.zeros((n, width), np.int64)
    for row in range(n) if order is None else order.tolist():
        question = Question(
            matrix.tasks[row],
            matrix.dimensions[row],
            matrix.vectors[row],
            tuple(available[row].tolist()),
            matrix.reading(row),
        )
        made: list[Call] = []
        while len(made) < calls:
            model = router.choose(question, made)
            if model is None and made:
                break
            if model is None or not available[row, model] or used[row, model]:
                raise ValueError(f"{router.name} called column {model} on {question.task}")
            used[row, model] = 1
            paid = float(matrix.cost[row, model])
            made.append(Call(model, float(reported[row, model]), None if np.isnan(paid) else paid))
            cost[row] += paid
        router.learn(question, made)
        best = max(range(len(made)), key=lambda i: (made[i].score, i))
        score[row] = matrix.score[row, made[best].model]
        progress()
    return Played(score, cost, used.sum(1), used)
