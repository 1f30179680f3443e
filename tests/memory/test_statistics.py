"""Rates have honest intervals, and sums are what the attempts add up to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.memory import statistics
from acr.memory.statistics import wilson
from acr.memory.store import Memory
from tests.memory.makers import outcome, task


@pytest.mark.parametrize(
    ("wins", "n", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)],
)
def test_wilson_gives_the_known_values(wins: int, n: int, low: float, high: float) -> None:
    assert wilson(wins, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate_and_narrows(counts: tuple[int, int]) -> None:
    wins, n = counts
    low, high = wilson(wins, n)
    assert 0.0 <= low <= wins / n + 1e-12
    assert wins / n - 1e-12 <= high <= 1.0
    more = wilson(10 * wins, 10 * n)
    assert more[1] - more[0] < high - low


def test_sums_that_were_tampered_with_are_found_and_mended(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory.db") as memory:
        memory.add_outcome(outcome(task("t1")))
        memory.db.execute("UPDATE statistics SET wins = 7")
        memory.db.execute("UPDATE totals SET n = 7")
        assert statistics.wrong(memory.db) == [
            f"{sums} differ from the attempts; acr memory check --repair"
            for sums in (
                "statistics of codex-a/codex/m/bug_fixing/repo",
                "totals of codex-a/codex/m/bug_fixing",
            )
        ]
        memory.repair()
        assert statistics.wrong(memory.db) == []
        assert memory.statistics()[0].wins == 1
        assert memory.totals()[0].n == 1


def test_totals_add_up_the_repositories(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory.db") as memory:
        for number, repository in enumerate(("here", "there", "here")):
            memory.add_outcome(outcome(task(f"t{number}", repository=repository)))
        memory.set_human("t2", "fail")
        (total,) = memory.totals()
        assert (total.n, total.wins, total.losses, total.repository) == (3, 2, 1, "")
        memory.forget(["t0"])
        assert memory.totals()[0].n == 2
        assert memory.check() == []
