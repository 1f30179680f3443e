"""A report's numbers: unknown is not zero, odd clocks are told, savings end where stats say."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acr.memory import summary
from acr.memory.store import Memory
from acr.memory.summary import Try
from acr.report import facts
from tests.filling import fill

NOW = 1_790_000_000.0
DAY = 86_400.0


def one(n: int, status: str = "pass", **changes: Any) -> Try:
    """An attempt of the model m by the profile p, a day after the one before."""
    base = Try(
        task=f"t{n}", profile="p", agent="codex", model="m", dimension="bug_fixing",
        repository="r", language="python", started=NOW - 100 * DAY + n * DAY, duration=10.0,
        paid=0.5, tokens=10, status=status, explored=0, plan=0,
    )  # fmt: skip
    return base._replace(**changes)


@pytest.fixture
def memory(tmp_path: Path) -> Callable[[int], Memory]:
    def make(n: int) -> Memory:
        made = Memory.open(tmp_path / "memory.db")
        fill(made, n, now=NOW, models=6)
        return made

    return make


def test_everything_adds_up_to_what_stats_shows(memory: Callable[[int], Memory]) -> None:
    with memory(500) as made:
        found = facts.gather(made, [], now=NOW)
        tries = made.tries()
    assert found.total == summary.total(tries)
    assert found.total.attempts == 500
    for line, savings in zip(found.saved.lines, found.savings, strict=True):
        assert line.points[-1][1] == pytest.approx(savings.saved)
    assert sum(n for _, n in found.matrix.cells.values()) == found.total.n
    assert sum(usd for _, usd in found.spend.days) == pytest.approx(found.total.cost)
    assert [run.started for run in found.runs] == sorted(
        (run.started for run in found.runs), reverse=True
    )


def test_since_narrows_all_of_it(memory: Callable[[int], Memory]) -> None:
    with memory(400) as made:
        since = NOW - 10 * DAY
        found = facts.gather(made, [], now=NOW, since=since)
    assert 0 < found.total.attempts < 400
    moments = [at for at, _ in (*found.spend.days, *found.saved.lines[0].points)]
    assert min(*moments, *(run.started for run in found.runs)) >= since


@pytest.mark.parametrize("at", [None, 0.0, -5e9, NOW + 9 * DAY, 1e300, float("nan")])
def test_an_impossible_date_is_in_sums_but_in_no_course(at: float | None) -> None:
    tries = [one(1), one(2), one(3, started=at)]
    assert len(facts.dated(tries, NOW)) == 2
    assert summary.total(tries).attempts == 3


def test_unknown_costs_are_left_out_of_money_not_counted_as_zero() -> None:
    tries = [one(n) for n in range(6)] + [one(n, paid=None) for n in range(6, 12)]
    (point,) = facts.frontier(summary.rows(tries, "model")).rows
    assert point.cost_usd == 0.5
    assert len(facts.spend(tries).days) == 6
    (against,) = facts.baselines(tries)
    assert len(facts.saved(tries, against).points) == 6


def test_a_run_of_partly_unknown_cost_saves_nothing_known() -> None:
    tries = [one(1), one(2), one(2, paid=None)]
    (against,) = facts.baselines(tries)
    assert len(facts.saved(tries, against).points) == 1


def test_regret_is_against_the_best_profile_of_the_dimension() -> None:
    good = [one(n, profile="good") for n in range(5)]
    bad = [one(n, "fail", profile="bad", paid=1.0) for n in range(5, 10)]
    (line,) = facts.regret([*good, *bad], cost_weight=-0.1).lines
    assert line.points[4][1] == pytest.approx(0)
    assert line.points[-1][1] == pytest.approx(5 * (0.95 + 0.1))


def test_a_few_attempts_make_no_best_and_no_frontier() -> None:
    tries = [one(n) for n in range(summary.LEAST - 1)]
    assert not facts.regret(tries).lines
    assert not facts.frontier(summary.rows(tries, "model")).rows


def test_of_ten_thousand_models_those_with_most_evidence_are_shown() -> None:
    tries = [one(n, model=f"m{n:05d}") for n in range(10_000)]
    tries += [one(n, model="known") for n in range(9)]
    matrix = facts.heat(tries)
    assert len(matrix.rows) == facts.MODELS
    assert matrix.rows[0] == "known"


def test_no_attempts_are_no_facts(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory.db") as made:
        found = facts.gather(made, [], now=time.time())
    assert found.total.attempts == 0
    assert (found.runs, found.leaders, found.savings, found.saved.lines) == ((), (), (), ())
