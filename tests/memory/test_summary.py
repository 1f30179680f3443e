"""What attempts add up to: rows, trends, leaders and savings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.memory import summary
from acr.memory.store import Memory
from acr.memory.summary import Filters, Try
from tests.memory.makers import outcome, task


def tried(run: str = "r1", status: str = "pass", **fields: object) -> Try:
    base = Try(
        run, "a", "codex", "m", "bug_fixing", "repo", "python", 1000.0, 4.0, 0.5, 10,
        status, 0, 0,
    )  # fmt: skip
    return base._replace(**fields)  # type: ignore[arg-type]


def many(wins: int, losses: int, **fields: object) -> list[Try]:
    status = ["pass"] * wins + ["fail"] * losses
    name = fields.get("model", "m")
    return [tried(f"{name}{i}", s, **fields) for i, s in enumerate(status)]


def test_a_row_counts_failed_tries_and_the_judge_into_what_a_win_costs() -> None:
    (row,) = summary.rows(
        [tried(status="fail", paid=0.75), tried(), tried("r2", "unverified")], "model"
    )
    assert (row.attempts, row.runs, row.n, row.wins, row.unverified) == (3, 2, 2, 1, 1)
    assert row.cost_per_win == pytest.approx(1.75)
    assert row.tries_per_win == 3
    assert row.median_time == 4.0


def test_what_is_unknown_stays_unknown() -> None:
    (row,) = summary.rows(
        [tried(paid=None, explored=None, duration=0.0), tried(paid=None, duration=math.nan)],
        "model",
    )
    assert (row.cost_known, row.cost_per_win, row.exploration) == (0, None, 0.0)
    assert row.median_time is None
    assert summary.total([]).rate is None


def test_clocks_that_jumped_do_no_harm() -> None:
    odd = [tried(started=v) for v in (None, 0.0, 1e300, -1e18, 1000.0)]
    assert {row.key for row in summary.rows(odd, "day")} >= {("",), ("1970-01-01",)}
    assert summary.total(odd).attempts == 5


def test_days_come_in_order_and_others_by_n() -> None:
    tries = [tried(started=2e5), tried(started=1e6), tried(started=1e6)]
    assert [r.attempts for r in summary.rows(tries, "day")] == [1, 2]
    assert [r.key[0] for r in summary.rows(many(1, 1) + many(3, 1, model="b"), "model")] == [
        "b",
        "m",
    ]


@pytest.mark.parametrize("sort", summary.ORDERS)
def test_what_is_unknown_is_sorted_last(sort: summary.Sort) -> None:
    known = tried(profile="known", status="pass", started=9.0)
    unknown = tried(profile="z", status="unverified", paid=None, duration=None, started=None)
    assert [r.key[0] for r in summary.rows([unknown, known], "profile", sort)] == ["known", "z"]


def test_a_trend_is_the_win_rate_over_equal_spans() -> None:
    tries = [tried(started=100.0 + i, status="pass" if i > 3 else "fail") for i in range(8)]
    assert summary.total(tries).trend == (0.0,) * 4 + (1.0,) * 4
    assert summary.total([tried()]).trend == (None,) * 7 + (1.0,)


def test_fisher_is_the_textbook_value() -> None:
    assert summary.fisher(3, 4, 1, 4) == pytest.approx(0.4857, abs=1e-4)  # the lady tasting tea
    assert summary.fisher(8, 10, 1, 10) == pytest.approx(0.005477, abs=1e-5)


@given(*[st.integers(0, 40)] * 4)
def test_fisher_is_a_probability_and_symmetric(a: int, b: int, c: int, d: int) -> None:
    p = summary.fisher(a, a + b, c, c + d)
    assert 0 < p <= 1
    assert p == pytest.approx(summary.fisher(c, c + d, a, a + b))


def test_a_leader_must_beat_every_other_by_more_than_chance() -> None:
    (even,) = summary.leaders(many(6, 4, model="a") + many(5, 5, model="b"))
    assert (even.model, even.significant) == ("a", False)
    (clear,) = summary.leaders(many(40, 2, model="a") + many(5, 40, model="b"))
    assert (clear.model, clear.significant, clear.compared) == ("a", True, 1)
    (alone,) = summary.leaders(many(40, 2, model="a") + many(1, 0, model="b"))
    assert (alone.significant, alone.p) == (False, None)


def test_models_that_are_unknown_lead_nothing() -> None:
    assert summary.leaders(many(9, 0, model="")) == ()


def test_savings_are_signed() -> None:
    dear = [tried(f"d{i}", profile="dear", paid=2.0 + i % 2) for i in range(10)]
    cheap = [tried(f"c{i}", profile="cheap", paid=1.0) for i in range(10)]
    for name, expected in (("dear", 15.0), ("cheap", -15.0)):
        against = summary.baseline(name, dear + cheap)
        assert against is not None
        found = summary.savings(dear + cheap, against)
        assert found.saved == pytest.approx(expected)
        assert found.interval is not None
        assert found.interval[0] < expected < found.interval[1]
        assert found.wins == 0


def test_savings_leave_out_runs_of_unknown_cost_and_say_how_many() -> None:
    tries = [tried("r1"), tried("r2", paid=None), tried("r2")]
    against = summary.baseline("a", tries)
    assert against is not None
    found = summary.savings(tries, against)
    assert (found.runs, found.left_out) == (1, 1)
    assert found.verified == 2


def test_baselines_are_found_by_what_they_mean() -> None:
    tries = many(9, 1, profile="best") + many(1, 9, profile="dear", paid=9.0, model="x")
    best = summary.baseline("always-best", tries)
    dear = summary.baseline("always-most-expensive", tries)
    month = summary.baseline("last-month", tries, tries[:3])
    assert best
    assert dear
    assert month
    assert "always best" in best.label
    assert "always dear" in dear.label
    assert len(month.costs) == 3
    assert summary.baseline("nobody", tries) is None
    assert summary.baseline("last-month", tries) is None


def test_the_interval_of_savings_covers_what_a_bootstrap_covers() -> None:
    import random

    rng = random.Random(1)
    costs = [rng.lognormvariate(0, 1) for _ in range(200)]
    tries = [
        tried(f"r{i}", profile="p" if i % 3 else "q", paid=c, dimension=f"d{i % 2}")
        for i, c in enumerate(costs)
    ]

    def saved(sample: list[Try]) -> summary.Savings:
        against = summary.baseline("p", sample)
        assert against is not None
        return summary.savings(sample, against)

    found = saved(tries)
    again = []
    for _ in range(400):
        drawn = [
            t._replace(task=f"{t.task}.{i}") for i, t in enumerate(rng.choices(tries, k=len(tries)))
        ]
        again.append(saved(drawn).saved or 0.0)
    again.sort()
    assert found.interval is not None
    width, resampled = found.interval[1] - found.interval[0], again[389] - again[10]
    assert width == pytest.approx(resampled, rel=0.25)


def test_memory_reads_what_filters_leave(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory.db", "test/space") as memory:
        memory.add_outcome(outcome(task("one", language="go"), profile="codex-a"))
        memory.add_outcome(outcome(task("two"), profile="claude-b", cost=None))
        memory.prune(0)
        assert [t.task for t in memory.tries()] == ["one", "two"]
        for filters, left in (
            (Filters(language="go"), ["one"]),
            (Filters(agent="claude"), ["two"]),
            (Filters(profile="codex-a", since=0.0), ["one"]),
            (Filters(since=2000.0), []),
            (Filters(repository="repo", dimension="bug_fixing"), ["one", "two"]),
        ):
            assert [t.task for t in memory.tries(filters)] == left
        assert memory.values("language") == ["go", "python"]
        first = memory.tries()[0]
        assert (first.explored, first.paid, first.plan) == (1, 0.5, 0)


def test_what_judging_costs_is_kept_with_the_figures(tmp_path: Path) -> None:
    one = outcome(task("one"))
    paid = tuple(replace(s, cost=0.125) for s in one.verdict.signals)
    with Memory.open(tmp_path / "memory.db", "test/space") as memory:
        memory.add_outcome(replace(one, verdict=replace(one.verdict, signals=paid)))
        assert memory.tries()[0].paid == 0.625
