"""The replay's arithmetic, by hand: regret, what a cascade pays, whose score counts, lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from acr.bench.acr_router import AcrRouter
from acr.bench.figures import dominated
from acr.bench.matrix import Matrix, shipped
from acr.bench.replay import Call, Question, Verifier, reward, stream
from acr.bench.suite import ACR, WITHOUT, Plan, Row, available, play
from acr.errors import UsageError
from acr.nouns import TIERS, Price
from acr.settings import OrchestratorSettings

NAN = float("nan")


def matrix(
    score: Sequence[Sequence[float]], cost: Sequence[Sequence[float]], split: str = "test"
) -> Matrix:
    n, width = len(score), len(score[0])
    return Matrix(
        name="by hand",
        sha256="0",
        models=tuple(f"m{i}" for i in range(width)),
        tiers=tuple(TIERS[2] for _ in range(width)),
        prices=(Price(1.0, 2.0),) * width,
        tasks=tuple(f"{split}{i}" for i in range(n)),
        dimensions=tuple("algorithm" if i % 2 else "bug_fixing" for i in range(n)),
        split=np.array([split] * n),
        score=np.array(score, float),
        cost=np.array(cost, float),
        vectors=np.zeros((n, 4), np.float32),
        overlap=np.array([i == 0 for i in range(n)]),
        embedder="e",
    )


class Script:
    """Calls the columns of a script; remembers what it is told."""

    name = "script"

    def __init__(self, *columns: int | None) -> None:
        self.columns, self.heard = columns, list[Sequence[Call]]()
        self.asked: list[Question] = []

    def fit(self, probing: Matrix) -> None:
        """Nothing to learn."""

    def choose(self, question: Question, made: Sequence[Call]) -> int | None:
        self.asked.append(question)
        return self.columns[len(made)] if len(made) < len(self.columns) else None

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        self.heard.append(tuple(made))


TWO = matrix([[0.0, 1.0, 0.5], [0.2, 0.6, NAN]], [[0.1, 1.0, 0.2], [0.1, 2.0, NAN]])


def test_the_reward_charges_a_tenth_of_a_dollar_per_dollar() -> None:
    assert reward(0.5, 2.0) == pytest.approx(0.3)


def test_one_call_earns_its_score_and_pays_its_cost() -> None:
    played = stream(TWO, Script(0))
    assert played.score.tolist() == [0.0, 0.2]
    assert played.cost.tolist() == [0.1, 0.1]
    best = np.nanmax(reward(TWO.score, TWO.cost), axis=1)
    regret = best - reward(played.score, played.cost)
    assert regret.tolist() == pytest.approx([0.9 - (0.0 - 0.01), (0.6 - 0.2) - (0.2 - 0.01)])


def test_a_cascade_pays_for_every_call_and_keeps_the_best_reported() -> None:
    router = Script(1, 0)
    played = stream(TWO, router, calls=2)
    assert played.score.tolist() == [1.0, 0.6]
    assert played.cost.tolist() == pytest.approx([1.1, 2.1])
    assert played.calls.tolist() == [2, 2]
    assert played.used.tolist() == [[1, 1, 0], [1, 1, 0]]
    assert router.heard[0] == (Call(1, 1.0, 1.0), Call(0, 0.0, 0.1))


def test_calls_are_capped_and_a_router_may_stop_earlier() -> None:
    assert stream(TWO, Script(0, 1), calls=1).calls.tolist() == [1, 1]
    assert stream(TWO, Script(0, None, 1), calls=3).calls.tolist() == [1, 1]


def test_a_wrong_verifier_swaps_pass_and_fail_for_all_routers_alike() -> None:
    one, other = Script(0, 1), Script(1, 0)
    stream(TWO, one, calls=2, verifier=Verifier(1.0))
    stream(TWO, other, calls=2, verifier=Verifier(1.0))
    assert [c.score for c in one.heard[0]] == [1.0, 0.0]
    assert [c.score for c in other.heard[0]] == [0.0, 1.0]


def test_what_counts_is_the_true_score_of_the_call_reported_best() -> None:
    assert stream(TWO, Script(0, 1), calls=2, verifier=Verifier(1.0)).score[0] == 0.0


@pytest.mark.parametrize("columns", [(2,), (0, 0)])
def test_a_call_that_cannot_be_is_an_error(columns: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="script called"):
        stream(TWO, Script(*columns), calls=2)


def test_tasks_come_in_the_order_given_and_unavailable_models_are_told() -> None:
    router = Script(0)
    stream(TWO, router, order=np.array([1, 0]))
    assert [q.task for q in router.asked] == ["test1", "test0"]
    assert router.asked[0].available == (True, True, False)


def rows(tasks: Matrix, plan: Plan, *names: str) -> dict[str, Row]:
    return {row.router: row for row in play(tasks, plan, names)[1]}


def test_a_row_adds_up_what_was_played() -> None:
    row = rows(TWO, Plan(warm=False), "always-m1")["always-m1"]
    assert row.avg_perf == pytest.approx(80.0)
    assert row.cost_usd == pytest.approx(3.0)
    assert row.perf_per_usd == pytest.approx(80 / 3)
    assert row.cum_regret == pytest.approx(0.0)
    assert row.share == {"m0": 0.0, "m1": 1.0, "m2": 0.0}
    low, high = row.ci["avg_perf"] or (0, 0)
    assert 60 <= low <= 80 <= high <= 100


def test_an_unknown_cost_is_not_free() -> None:
    tasks = matrix([[1.0, 0.0]] * 2, [[NAN, 0.1]] * 2)
    row = rows(tasks, Plan(warm=False), "always-m0")["always-m0"]
    assert row.avg_perf == 100
    assert (row.cost_usd, row.cum_regret, row.perf_per_usd) == (None, None, None)


def test_one_task_has_no_interval_and_one_model_no_regret() -> None:
    row = rows(matrix([[0.4]], [[0.1]]), Plan(warm=False), "acr")["acr"]
    assert row.ci["avg_perf"] is None
    assert row.cum_regret == 0


def test_acr_without_one_of_its_parts_is_played_when_asked_for() -> None:
    tasks = matrix([[0.0, 1.0]] * 12, [[0.1, 0.1]] * 12)
    found = rows(tasks, Plan(warm=False), "acr", "without-*")
    assert {"without-prior", "without-changes", "without-exploration"} < set(found)
    assert not set(found) & set(WITHOUT) & set(rows(tasks, Plan(warm=False)))


def test_a_router_is_told_what_was_read_in_the_prompt() -> None:
    plain = matrix([[0.0, 1.0]] * 2, [[0.1, 0.1]] * 2)
    names = ("gpt-5.4", *TIERS)
    read = np.array([[0.9, 0.1, 0.2, 0.3, 0.4], [NAN] * 5])
    router = Script(0)
    stream(replace(plain, readings=read, read=names), router)
    reading, nothing = (question.reading for question in router.asked)
    assert nothing is None
    assert reading is not None
    assert (reading.models, reading.tiers[TIERS[3]]) == ({"gpt-5.4": 0.9}, 0.4)
    shown = shipped().splits("val")
    assert set(shown.read) == {*shown.models, *TIERS}


def test_overlapping_tasks_can_be_left_out() -> None:
    played, _ = play(TWO, Plan(warm=False, overlap=False), ["random"])
    assert played.tasks == ("test1",)


def test_orders_are_averaged_and_their_spread_is_told() -> None:
    tasks = matrix([[0.0, 1.0]] * 12, [[0.1, 0.1]] * 12)
    row = rows(tasks, Plan(warm=False, orders=5), "thompson")["thompson"]
    assert row.sd["cum_regret"] is not None
    assert row.curve[-1] == pytest.approx(row.cum_regret)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("logrek", "did you mean logreg"),
        ("logreg", "needs probing"),
        ("cascade-thompson", "one call"),
    ],
)
def test_a_router_that_cannot_be_is_told(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        play(TWO, Plan(warm=False), [name])


def test_no_tasks_in_a_split_is_told() -> None:
    with pytest.raises(UsageError, match="no tasks in the split 'ood'"):
        play(TWO, Plan("ood", warm=False))


def acr(tasks: Matrix, seed: int = 0, **settings: Any) -> AcrRouter:
    return AcrRouter("acr", tasks, OrchestratorSettings(**settings), seed=seed, known=False)


def test_the_same_seed_plays_the_same_stream() -> None:
    rng = np.random.default_rng(1)
    tasks = matrix(rng.random((60, 3)).round(1).tolist(), np.full((60, 3), 0.1).tolist())
    one, two = (stream(tasks, acr(tasks, 3), calls=2, seed=3) for _ in range(2))
    assert one.used.tolist() == two.used.tolist()
    other = stream(tasks, acr(tasks, 4), calls=2, seed=3)
    assert one.used.tolist() != other.used.tolist()


def test_propensities_of_first_calls_are_kept_and_are_chances() -> None:
    tasks = matrix([[0.0, 1.0, 0.5]] * 40, [[0.1, 0.1, 0.1]] * 40)
    router = acr(tasks)
    stream(tasks, router)
    assert len(router.propensities) == 40
    assert all(0 < p <= 1 for p in router.propensities)
    assert router.propensities[-1] > 0.9


def test_acr_learns_whom_to_call_and_stops_when_all_is_won() -> None:
    tasks = matrix([[0.0, 1.0]] * 40, [[0.01, 0.01]] * 40)
    played = stream(tasks, acr(tasks), calls=2)
    assert played.used[-20:, 1].sum() == 20
    assert played.calls[-20:].sum() <= 22  # seldom, the other is explored first


def test_acr_sees_no_outcome_that_it_did_not_cause() -> None:
    """The other model's scores may be anything: the choices up to its first call are the same."""
    base = [[1.0, 0.0]] * 30
    tasks = matrix(base, [[0.01, 5.0]] * 30)
    changed = matrix([[1.0, 1.0]] * 30, [[0.01, 5.0]] * 30)
    one, two = (
        stream(tasks, acr(tasks, exploration=0.0)),
        stream(changed, acr(changed, exploration=0.0)),
    )
    first = int(np.argmax(one.used[:, 1])) if one.used[:, 1].any() else 30
    assert one.used[: first + 1].tolist() == two.used[: first + 1].tolist()


def test_every_router_is_explained() -> None:
    known = available(shipped().splits("test"))
    assert set(ACR) < set(known)
    assert all(about and "\n" not in about for about in known.values())


def test_the_shipped_matrix_is_the_released_one() -> None:
    tasks = shipped().splits("test")
    best = reward(tasks.score, tasks.cost).argmax(axis=1)
    each = np.arange(len(tasks))
    assert len(tasks) == 2919
    assert 100 * tasks.score[each, best].mean() == pytest.approx(60.02, abs=0.01)
    assert tasks.cost[each, best].sum() == pytest.approx(5.62, abs=0.01)
    published = tasks.peers["ACRouter_repo"]
    assert 100 * tasks.score[each, published].mean() == pytest.approx(50.14, abs=0.01)


def test_a_published_router_is_beaten_by_what_is_better_and_cheaper() -> None:
    def row(name: str, perf: float, cost: float) -> Row:
        return Row(name, perf, 0.0, cost, None, 1.0, {}, {}, {}, np.zeros(0))

    found = dominated([row("acr", 50, 10), row("acr-cheap", 48, 5),
                       row("published-a", 47, 6), row("published-b", 47, 5)])  # fmt: skip
    assert found == {"published-a": "acr-cheap", "published-b": None}
