"""Baselines decide what their definitions say, from nothing but what they may know."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from acr.bench.baselines import Baseline, baselines
from acr.bench.baselines.bandits import LinTS, LinUCB, Thompson
from acr.bench.baselines.cascades import ByDimension, Chain, Frugal, ThompsonCascade
from acr.bench.baselines.common import Costs, rewards
from acr.bench.baselines.factorised import MatrixFactorisation, SimilarityWeighted
from acr.bench.baselines.fixed import Always, Oracle, Random
from acr.bench.baselines.learned import Classifier, logistic_regression, perceptron
from acr.bench.baselines.lookup import DimensionBest, Neighbours
from acr.bench.matrix import Matrix, shipped
from acr.bench.replay import Call, Question, Router, reward, stream
from acr.errors import UsageError

NAN = math.nan
REFERENCE = ("MiniMax-M2.7", "kimi-k2.5", "gpt-5.4", "glm-5")


def matrix(
    score: Sequence[Sequence[float]],
    cost: Sequence[Sequence[float]] | None = None,
    dimensions: Sequence[str] = (),
    vectors: Sequence[Sequence[float]] | None = None,
    models: Sequence[str] = (),
) -> Matrix:
    """A matrix by hand; calls cost nothing, tasks are of dimension d and have no prompt."""
    table = np.array(score, np.float64)
    n, width = table.shape
    return Matrix(
        name="by hand",
        sha256="",
        models=tuple(models) or tuple("abcdefgh"[:width]),
        tiers=("mid",) * width,
        prices=(None,) * width,
        tasks=tuple(f"t{i}" for i in range(n)),
        dimensions=tuple(dimensions) or ("d",) * n,
        split=np.array(["test"] * n),
        score=table,
        cost=np.zeros_like(table) if cost is None else np.array(cost, np.float64),
        vectors=np.zeros((n, 2), np.float32) if vectors is None else np.array(vectors, np.float32),
        overlap=np.zeros(n, np.bool_),
    )


def drawn(
    n: int, models: Sequence[str] = REFERENCE, *, missing: float = 0.0, seed: int = 0
) -> Matrix:
    """A random matrix of three dimensions, a tenth of the costs unknown."""
    rng = np.random.default_rng(seed)
    shape = n, len(models)
    vectors = rng.normal(size=(n, 6)) * (rng.random((n, 1)) > 0.1)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    score = np.where(rng.random(shape) < missing, NAN, rng.random(shape).round(1))
    score[np.arange(n), rng.integers(len(models), size=n)] = 0.7
    made = matrix(
        score.tolist(),
        np.where(rng.random(shape) < 0.1, NAN, rng.random(shape)).tolist(),
        [str(d) for d in rng.choice(["x", "y", "z"], n)],
        vectors.tolist(),
        models,
    )
    return replace(made, peers={"logreg": np.nan_to_num(made.score, nan=-1).argmax(1)})


def question(
    dimension: str = "d", vector: Sequence[float] = (0, 0), available: Sequence[bool] = (True,) * 3
) -> Question:
    return Question("t0", dimension, np.array(vector, np.float32), tuple(available))


def fitted(router: Router, probing: Matrix) -> Router:
    router.fit(probing)
    return router


Choice = tuple[str, int | None]


class Recorded:
    """A router and what it chose, call by call."""

    def __init__(self, router: Router) -> None:
        self.name, self.fit, self.learn = router.name, router.fit, router.learn
        self._router = router
        self.chosen: list[Choice] = []

    def choose(self, asked: Question, made: Sequence[Call]) -> int | None:
        self.chosen.append((asked.task, self._router.choose(asked, made)))
        return self.chosen[-1][1]


def decisions(entry: Baseline, played: Matrix, probing: Matrix | None) -> list[Choice]:
    """What the router chose over a stream of up to three calls a task."""
    router = Recorded(entry.make(played, 3))
    if probing is not None:
        router.fit(probing)
    stream(played, router, calls=3)
    return router.chosen


EVERY = list(baselines(drawn(8)).values())
every = pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.name)


class TestRegistry:
    def test_it_has_all_in_order(self) -> None:
        assert [entry.name for entry in EVERY] == [
            "oracle",
            "random",
            *(f"always-{model}" for model in REFERENCE),
            "dimension-best",
            "knn",
            "logreg",
            "mlp",
            "matrix-factorisation",
            "similarity-weighted",
            "linucb",
            "lints",
            "thompson",
            "cascade-frugal",
            "cascade-dimension",
            "cascade-thompson",
            "cascade-reference",
            "published-logreg",
        ]

    @every
    def test_each_is_explained_in_a_line_with_its_source(self, entry: Baseline) -> None:
        assert 15 < len(entry.about) < 200
        assert "\n" not in entry.about
        assert "arXiv" in entry.source
        assert entry.make(drawn(8), 0).name == entry.name

    def test_the_reference_chain_needs_its_models(self) -> None:
        assert "cascade-reference" not in baselines(drawn(8, ["a", "glm-5"]))

    def test_published_decisions_are_there_where_all_were_published(self) -> None:
        assert (
            sum(name.startswith("published-") for name in baselines(shipped().splits("test"))) == 10
        )
        assert not any(name.startswith("published-") for name in baselines(shipped().splits("ood")))

    @every
    def test_those_that_say_so_need_scikit_learn(
        self, entry: Baseline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("sklearn.linear_model", "sklearn.neural_network", "scipy.optimize"):
            monkeypatch.setitem(sys.modules, module, None)
        router = entry.make(drawn(8), 0)
        if entry.sklearn:
            with pytest.raises(UsageError, match=r"run ./install.sh again"):
                router.fit(drawn(20))
        else:
            router.fit(drawn(20))


class TestWhatTheyMayKnow:
    @every
    def test_the_same_seed_decides_the_same(self, entry: Baseline) -> None:
        first, second = (decisions(entry, drawn(60, seed=1), drawn(60, seed=2)) for _ in range(2))
        assert first == second

    @pytest.mark.parametrize(
        ("entry", "warm"),
        [
            (e, warm)
            for e in EVERY
            for warm in (True, False)
            if e.name != "oracle" and warm | e.cold
        ],
        ids=lambda value: getattr(value, "name", str(value)),
    )
    def test_the_future_changes_no_decision(self, entry: Baseline, warm: bool) -> None:
        before, turn = drawn(60, seed=1), 30
        score, cost = before.score.copy(), before.cost.copy()
        score[turn:], cost[turn:] = score[turn:, ::-1], cost[turn:, ::-1] * 3
        after = replace(before, score=score, cost=cost)
        probing = drawn(60, seed=2) if warm else None
        first, second = decisions(entry, before, probing), decisions(entry, after, probing)
        known = [task for task, _ in first].index(f"t{turn}") + 1
        assert first[:known] == second[:known]

    @every
    def test_only_what_is_available_is_called(self, entry: Baseline) -> None:
        played = drawn(60, missing=0.5, seed=1)
        assert len(decisions(entry, played, drawn(60, missing=0.5, seed=2))) >= len(played)

    @pytest.mark.parametrize("entry", [e for e in EVERY if e.cold], ids=lambda entry: entry.name)
    def test_those_that_say_so_begin_with_nothing(self, entry: Baseline) -> None:
        assert len(decisions(entry, drawn(40), None)) >= 40

    @every
    @pytest.mark.parametrize("tasks", [0, 1, 2])
    @pytest.mark.filterwarnings("error")
    def test_next_to_nothing_to_fit_on_is_enough(self, entry: Baseline, tasks: int) -> None:
        probing = drawn(4).rows(np.arange(tasks))
        assert len(decisions(entry, drawn(10), probing)) >= 10

    @every
    def test_only_cascades_call_twice(self, entry: Baseline) -> None:
        played = drawn(60, seed=1)
        router = fitted(entry.make(played, 0), drawn(60, seed=2))
        assert (stream(played, router, calls=3).calls.max() > 1) == entry.cascade


class TestRewards:
    def test_unknown_costs_are_those_expected(self) -> None:
        played = matrix(
            [[1, 1, 1], [0, 1, 1], [1, NAN, 0]],
            [[1.0, NAN, NAN], [3.0, NAN, NAN], [NAN, 4.0, NAN]],
            ["d", "d", "e"],
        )
        costs = Costs(3)
        costs.add_all(played)
        overall = (1 + 3 + 4) / 3
        assert costs.expected("d").tolist() == [2, 4, overall]
        assert costs.expected("e").tolist() == [2, 4, overall]
        expected = [
            [0.9, 0.6, 1 - 0.1 * overall],
            [-0.3, 0.6, 1 - 0.1 * overall],
            [0.8, NAN, -0.1 * overall],
        ]
        np.testing.assert_allclose(rewards(played), expected)

    def test_without_any_cost_nothing_is_subtracted(self) -> None:
        assert Costs(2).expected("d").tolist() == [0, 0]


class TestFixed:
    def test_the_oracle_takes_the_highest_reward(self) -> None:
        played = matrix([[1, 1, 0], [0, 0, 0.2]], [[1, 0.5, 0], [0.1, 0.3, 3]])
        assert stream(played, Oracle("o", played)).used.argmax(1).tolist() == [1, 0]

    def test_chance_is_even(self) -> None:
        played = matrix([[1, 1, 1]] * 3000)
        share = stream(played, Random("r", 3, 0)).used.mean(0)
        np.testing.assert_allclose(share, 1 / 3, atol=0.03)

    def test_one_model_is_played_where_it_is(self) -> None:
        played = matrix([[0, 0, 0], [0, NAN, 0]])
        assert stream(played, Always("a", 3, 1)).used.argmax(1).tolist() == [1, 0]

    def test_published_decisions_are_played_as_they_are(self) -> None:
        played = replace(matrix([[0, 0, 0]] * 3), peers={"p": np.array([2, 0, 1])})
        router = baselines(played)["published-p"].make(played, 0)
        assert stream(played, router).used.argmax(1).tolist() == [2, 0, 1]


class TestLookup:
    def test_the_best_of_a_dimension_counts_costs(self) -> None:
        probing = matrix(
            [[1, 0.9, 0], [1, 0.9, 0], [0, 0, 0.1]],
            [[NAN, 0.1, 0], [3, NAN, 0], [0, 0, 0]],
            ["d", "d", "e"],
        )
        router = DimensionBest("best")
        router.fit(probing)
        np.testing.assert_allclose(router.values(question("d")), [0.7, 0.89, 0])
        np.testing.assert_allclose(router.values(question("new")), [1.4 / 3, 1.78 / 3, 0.1 / 3])
        assert router.choose(question("d"), []) == 1
        assert router.choose(question("d", available=(True, False, True)), []) == 0
        assert router.choose(question("d"), [Call(1, 0.0, 0.1)]) is None

    def test_neighbours_weigh_by_similarity(self) -> None:
        probing = matrix([[1, 0, NAN], [0, 1, 0], [0, 0, 1]], vectors=[[1, 0], [0.6, 0.8], [-1, 0]])
        router = Neighbours("knn")
        router.fit(probing)
        np.testing.assert_allclose(
            router.values(question(vector=(1, 0))), [1 / 1.6, 0.6 / 1.6, 0], rtol=1e-6
        )
        alone = router.values(question(vector=(0, -1)))
        np.testing.assert_allclose(alone, [1 / 3, 1 / 3, 1 / 2], err_msg="the dimension's means")

    def test_no_more_than_ten_neighbours_count(self) -> None:
        near, far = [[1.0, 0.0]] * 10, [[0.8, 0.6]] * 90
        probing = matrix([[1, 0, 0]] * 10 + [[0, 1, 0]] * 90, vectors=near + far)
        assert fitted(Neighbours("knn"), probing).choose(question(vector=(1, 0)), []) == 0


SEPARATE = matrix(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]] * 15,
    dimensions=["d", "d", "e", "d"] * 15,
    vectors=[[1, 0], [0, 1], [0.6, 0.8], [0.6, 0.8]] * 15,
)
"""In d the first model wins on one kind of prompt, the second on the other; in e the third."""
LEARNED: list[Router] = [
    Classifier("logreg", 3, logistic_regression),
    Classifier("mlp", 3, lambda: perceptron(0).set_params(max_iter=200)),
    MatrixFactorisation("mf", 3, 0),
    SimilarityWeighted("sw"),
]


class TestLearned:
    @pytest.mark.parametrize("router", LEARNED, ids=lambda router: router.name)
    def test_prompts_and_dimensions_tell_apart(self, router: Router) -> None:
        router.fit(SEPARATE)
        asked = question("d", (1, 0)), question("d", (0, 1)), question("e", (0.6, 0.8))
        assert [router.choose(q, []) for q in asked] == [0, 1, 2]

    def test_tasks_that_nobody_solved_have_no_label(self) -> None:
        probing = matrix([[0, 0, 0]] * 9 + [[0, 0, 1]], [[0, 1, 1]] * 10)
        router = fitted(Classifier("logreg", 3, logistic_regression), probing)
        assert router.choose(question(), []) == 2

    def test_strengths_without_likeness_are_bradley_terry(self) -> None:
        router = SimilarityWeighted("sw")
        router.fit(matrix([[1, 0]] * 3 + [[0, 1]]))
        strength = router.values(question())
        assert strength[0] / strength[1] == pytest.approx(3)


class TestBandits:
    def test_linucb_by_hand(self) -> None:
        """One dimension, no prompt: the context is 1, so the mean is sum r / (1 + n)."""
        router = LinUCB("linucb", matrix([[0, 0]]))
        asked = question(available=(True, True))
        assert router.values(asked).tolist() == [1, 1]
        router.learn(asked, [Call(0, 0.8, 2.0)])
        np.testing.assert_allclose(router.values(asked), [0.6 / 2 + math.sqrt(1 / 2), 1])
        router.learn(asked, [Call(0, 0.3, None)])
        earned = 0.6 + (0.3 - 0.1 * 2.0)
        np.testing.assert_allclose(router.values(asked), [earned / 3 + math.sqrt(1 / 3), 1])

    def test_linucb_learns_one_by_one_what_it_fits_at_once(self) -> None:
        probing = replace(drawn(80, missing=0.2), cost=np.full((80, 4), 0.5))
        at_once, one_by_one = LinUCB("a", probing), LinUCB("b", probing)
        at_once.fit(probing)
        for row in range(80):
            asked = Question("", probing.dimensions[row], probing.vectors[row], (True,) * 4)
            scores = enumerate(probing.score[row].tolist())
            one_by_one.learn(asked, [Call(n, s, 0.5) for n, s in scores if not math.isnan(s)])
        for row in range(80):
            asked = Question("", probing.dimensions[row], probing.vectors[row], (True,) * 4)
            np.testing.assert_allclose(at_once.values(asked), one_by_one.values(asked))

    def test_lints_draws_around_the_mean(self) -> None:
        router = LinTS("lints", matrix([[0, 0]]), 0)
        asked = question(available=(True, True))
        router.learn(asked, [Call(0, 0.8, 0.0)] * 3)
        draws = np.array([router.values(asked) for _ in range(4000)])
        np.testing.assert_allclose(draws.mean(0), [2.4 / 4, 0], atol=0.03)
        np.testing.assert_allclose(draws.std(0), [0.5 / 2, 0.5], atol=0.03)

    def test_thompson_draws_from_its_counts(self) -> None:
        router = Thompson("thompson", 2, 0)
        router.fit(matrix([[1, 0.5]] * 8, [[1, NAN]] * 8))
        asked = question(available=(True, True))
        router.learn(asked, [Call(1, 0.5, 3.0)])
        draws = np.array([router.values(asked) for _ in range(4000)])
        means = [9 / 10 - 0.1 * 1, 5.5 / 11 - 0.1 * 3]
        np.testing.assert_allclose(draws.mean(0), means, atol=0.01)
        new = np.array([router.values(question("new")) for _ in range(4000)])
        np.testing.assert_allclose(new.mean(0), [0.5 - 0.1, 0.5 - 0.3], atol=0.02)


class TestCascades:
    def test_a_chain_stops_at_the_first_pass(self) -> None:
        chain = Chain("chain", [2, 0])
        failed, passed = Call(2, 0.4, 1.0), Call(2, 0.5, 1.0)
        assert chain.choose(question(), []) == 2
        assert chain.choose(question(), [failed]) == 0
        assert chain.choose(question(), [passed]) is None
        assert chain.choose(question(), [failed, Call(0, 0.0, 1.0)]) is None
        assert chain.choose(question(available=(True, True, False)), []) == 0
        assert chain.choose(question(available=(False, True, False)), []) == 1

    def test_the_frugal_order_is_the_one_that_earned_most(self) -> None:
        """Cheap c solves half; b the rest at 1 USD; a all at 3 USD: c -> b earns 1 - 0.1 / 2."""
        probing = matrix([[1, 0, 1], [1, 1, 0]], [[3, 1, 0.0]] * 2)
        router = fitted(Frugal("frugal"), probing)
        first = router.choose(question(), [])
        assert first == 2
        assert router.choose(question(), [Call(2, 0, 0.0)]) == 1
        assert router.choose(question(), [Call(2, 0, 0.0), Call(1, 0, 1.0)]) is None

    def test_the_frugal_order_pays_for_no_call_in_vain(self) -> None:
        probing = matrix([[0.4, 0, 0]] * 2, [[0.0, 1, 1]] * 2)
        router = fitted(Frugal("frugal"), probing)
        assert router.choose(question(), []) == 0
        assert router.choose(question(), [Call(0, 0.4, 0.0)]) is None

    def test_a_dimension_has_its_own_order(self) -> None:
        probing = matrix([[0.1, 0.3, 0.2], [0.3, 0.2, NAN]], dimensions=["d", "e"])
        router = ByDimension("by dimension")
        router.fit(probing)
        assert router.order(question("d")) == [1, 2, 0]
        assert router.order(question("e")) == [0, 1, 2]

    def test_thompson_goes_on_among_the_models_left(self) -> None:
        router = ThompsonCascade("cascade", 3, 0)
        played = matrix([[0, 0, 0]] * 5)
        assert stream(played, router, calls=3).used.tolist() == [[1, 1, 1]] * 5


class TestOnCodeRouterBench:
    """Figures that the released matrix is known to give."""

    @pytest.mark.parametrize(
        ("name", "score", "regret", "cost"),
        [
            ("oracle", 60.02, 0, 5.62),
            ("always-claude-opus-4-6", 43.83, 475.5, 34.02),
            ("dimension-best", 51.68, 244.3, 13.08),
            ("published-ACRouter_repo", 50.14, 290.1, 22.31),
            ("published-dimension_best", 49.86, 297.2, 11.42),
            ("published-logreg", 47.26, 372.6, 6.09),
        ],
    )
    def test_id_test(self, name: str, score: float, regret: float, cost: float) -> None:
        test = shipped().splits("test")
        router = fitted(baselines(test)[name].make(test, 0), shipped().splits("train", "val"))
        played = stream(test, router)
        top = reward(test.score, test.cost).max(1)
        assert round(100 * played.score.mean(), 2) == score
        assert round((top - reward(played.score, played.cost)).sum(), 1) == regret
        assert round(played.cost.sum(), 2) == cost
