"""Routers to compare with: small, standard, each explained in a line with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from acr.bench.baselines.bandits import LinTS, LinUCB, Thompson
from acr.bench.baselines.cascades import ByDimension, Chain, Frugal, ThompsonCascade
from acr.bench.baselines.factorised import MatrixFactorisation, SimilarityWeighted
from acr.bench.baselines.fixed import Always, Oracle, Random
from acr.bench.baselines.learned import Classifier, logistic_regression, perceptron
from acr.bench.baselines.lookup import DimensionBest, Neighbours
from acr.bench.baselines.published import PUBLISHED, covered, played
from acr.bench.matrix import Matrix
from acr.bench.replay import Router

__all__ = ["Baseline", "baselines"]

PAPER, ROUTELLM = "arXiv 2606.22902", "arXiv 2406.18665"
REFERENCE = ("MiniMax-M2.7", "kimi-k2.5", "gpt-5.4", "glm-5")
"""The chain that the paper's repository plays on its agentic tasks."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """One router and what is to be known of it."""

    name: str
    about: str
    """One line."""
    source: str
    build: Callable[[str, Matrix, int], Router]
    cold: bool = False
    """Works when nothing was fitted; the others need probing tasks first."""
    cascade: bool = False
    """Calls more than once a task, where that is allowed."""
    sklearn: bool = False
    """Needs scikit-learn or the SciPy below it (extra: bench)."""

    def make(self, matrix: Matrix, seed: int) -> Router:
        """A fresh router for a stream of `matrix`, of which all but the oracle take the models, the
        names of dimensions and the length of vectors only; the published ones their decisions."""
        return self.build(self.name, matrix, seed)


def baselines(matrix: Matrix) -> dict[str, Baseline]:
    """Name -> baseline, for all that make sense on the models and tasks of `matrix`; in order."""
    return {entry.name: entry for entry in _all(matrix)}


def _all(matrix: Matrix) -> Iterator[Baseline]:
    yield from (
        Baseline(
            "oracle",
            "knows every outcome and takes the highest reward; the zero of regret",
            PAPER,
            lambda name, m, _: Oracle(name, m),
            cold=True,
        ),
        Baseline(
            "random",
            "any available model, all alike",
            PAPER,
            lambda name, m, seed: Random(name, len(m.models), seed),
            cold=True,
        ),
    )
    for column, model in enumerate(matrix.models):
        yield Baseline(
            f"always-{model}",
            f"{model} for every task",
            PAPER,
            partial(_always, column=column),
            cold=True,
        )
    yield from _FITTED
    yield from _BANDITS
    yield from _CASCADES
    if set(REFERENCE) <= set(matrix.models):
        yield Baseline(
            "cascade-reference",
            f"{' -> '.join(REFERENCE)}, to the first score of 0.5; the paper's last resort to Opus "
            "is left out, as scores do not tell which patches applied",
            f"{PAPER}, its repository",
            lambda name, m, _: Chain(name, [m.models.index(model) for model in REFERENCE]),
            cold=True,
            cascade=True,
        )
    for router in covered(matrix):
        yield Baseline(
            f"published-{router}",
            f"{PUBLISHED.get(router, router)}; its decisions as published",
            f"{PAPER}, its released decisions",
            partial(_published, router=router),
            cold=True,
        )


def _always(name: str, matrix: Matrix, _: int, *, column: int) -> Router:
    return Always(name, len(matrix.models), column)


def _published(name: str, matrix: Matrix, _: int, *, router: str) -> Router:
    return played(name, matrix, router)


_FITTED = (
    Baseline(
        "dimension-best",
        "the model of the highest mean reward in the dimension, on probing",
        PAPER,
        lambda name, *_: DimensionBest(name),
    ),
    Baseline(
        "knn",
        "mean reward of the 10 nearest probing tasks with cosine >= 0.5, weighted by similarity; "
        "where there are none, the dimension's",
        PAPER,
        lambda name, *_: Neighbours(name),
    ),
    Baseline(
        "logreg",
        "logistic regression from embedding and dimension to the best model of the task, learned "
        "from tasks on which some model scored",
        f"{PAPER}; scikit-learn",
        lambda name, m, _: Classifier(name, len(m.models), logistic_regression),
        sklearn=True,
    ),
    Baseline(
        "mlp",
        "the same by a perceptron of one hidden layer; the paper's reads TF-IDF, this one "
        "embeddings, since prompts are not shipped",
        f"{PAPER}; scikit-learn",
        lambda name, m, seed: Classifier(name, len(m.models), partial(perceptron, seed)),
        sklearn=True,
    ),
    Baseline(
        "matrix-factorisation",
        "model factors x projected embedding and dimension, fitted to who beats whom; RouteLLM's "
        "for n models: all pairs are matches, weighted by the difference in reward",
        ROUTELLM,
        lambda name, m, seed: MatrixFactorisation(name, len(m.models), seed),
        sklearn=True,
    ),
    Baseline(
        "similarity-weighted",
        "Bradley-Terry strengths fitted anew per task, similar tasks weighing up to 10 times more; "
        "RouteLLM's for n models: all pairs are matches, weighted by the difference in reward",
        ROUTELLM,
        lambda name, *_: SimilarityWeighted(name),
    ),
)

_BANDITS = (
    Baseline(
        "linucb",
        "ridge regression of the reward per model on dimension and a 64-d random projection of "
        "the embedding, with an upper confidence bound (alpha = lambda = 1); goes on learning",
        f"{PAPER}; arXiv 1003.0146",
        lambda name, m, _: LinUCB(name, m),
        cold=True,
    ),
    Baseline(
        "lints",
        "the same regression, chosen from by a draw of the posterior (v = 0.5, lambda = 1)",
        f"{PAPER}; arXiv 1209.3352",
        LinTS,
        cold=True,
    ),
    Baseline(
        "thompson",
        "a draw of each model's Beta posterior in the dimension, less its expected cost; goes on "
        "learning",
        "arXiv 1707.02038",
        lambda name, m, seed: Thompson(name, len(m.models), seed),
        cold=True,
    ),
)

_CASCADES = (
    Baseline(
        "cascade-frugal",
        "one order of up to 3 models for all tasks, the one that earned most on probing; stops at "
        "the first score of 0.5",
        "arXiv 2305.05176",
        lambda name, *_: Frugal(name),
        cascade=True,
    ),
    Baseline(
        "cascade-dimension",
        "models by their mean reward in the dimension, to the first score of 0.5",
        PAPER,
        lambda name, *_: ByDimension(name),
        cascade=True,
    ),
    Baseline(
        "cascade-thompson",
        "thompson, drawn again among the models left until a score of 0.5",
        "arXiv 1707.02038",
        lambda name, m, seed: ThompsonCascade(name, len(m.models), seed),
        cold=True,
        cascade=True,
    ),
)
