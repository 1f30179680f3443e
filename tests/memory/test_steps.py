"""Model calls are kept with their attempt and go with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from acr.memory.steps import StepSum
from acr.memory.store import Memory
from acr.memory.transfer import dump, load
from tests.memory.makers import outcome, step, task


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """Two runs with calls."""
    with Memory.open(tmp_path / "memory.db") as opened:
        for name in ("t1", "t2"):
            opened.add_outcome(outcome(task(name)))
        opened.add_steps([step("a-t1", 2, cost=None, usage=None, tier=None), step("a-t1", 1)])
        opened.add_steps([step("a-t2", 1, kind="plan", tier="frontier", answered="big")])
        yield opened


def test_steps_come_back_in_order(memory: Memory) -> None:
    assert memory.steps("t1") == (
        step("a-t1", 1),
        step("a-t1", 2, cost=None, usage=None, tier=None),
    )
    memory.add_steps([step("a-t1", 1, cost=9.0)])
    assert memory.steps("t1")[0].cost == 0.25


def test_steps_of_an_unknown_attempt_are_not_kept(memory: Memory) -> None:
    memory.add_steps([step("nobody")])
    assert memory.db.execute("SELECT count(*) FROM steps").fetchone()[0] == 3


def test_steps_add_up_by_kind_tier_and_model(memory: Memory) -> None:
    assert set(memory.step_sums()) == {
        StepSum("edit", "minimal", "tiny", 1, 15, 0.25, 1, 1.5),
        StepSum("edit", None, "tiny", 1, 0, 0.0, 0, 1.5),
        StepSum("plan", "frontier", "big", 1, 15, 0.25, 1, 1.5),
    }
    assert memory.step_sums(since=2000.0) == ()
    assert memory.step_sums(repository="other") == ()
    assert len(memory.step_sums(dimension="bug_fixing", repository="repo", since=1000.0)) == 3


def test_secrets_are_not_stored(memory: Memory) -> None:
    secret = "sk-ant-api03-" + "Ab1" * 12
    memory.add_steps([step("a-t1", 9, answered=secret, reason=f"token={secret}")])
    assert secret not in repr(memory.steps("t1"))


def test_what_is_forgotten_or_pruned_takes_its_steps_along(memory: Memory) -> None:
    memory.forget(["t1"])
    assert memory.steps("t1") == ()
    memory.prune(0)
    assert memory.db.execute("SELECT count(*) FROM steps").fetchone()[0] == 0
    assert memory.check() == []


def test_a_better_verdict_later_leaves_them(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1"), status="fail"))
    memory.set_human("t1", "pass")
    assert len(memory.steps("t1")) == 2


def test_they_travel_with_an_export(memory: Memory, tmp_path: Path) -> None:
    lines = "".join(dump(memory)).encode()
    with Memory.open(tmp_path / "other.db") as other:
        assert load(other, io.BytesIO(lines), "file")["step"] == 3
        assert load(other, io.BytesIO(lines), "file")["step"] == 0
        assert other.steps("t1") == memory.steps("t1")


def test_routed_and_plain_runs_of_a_routed_profile_are_told_apart(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t3"), status="fail", cost=None))
    memory.add_outcome(outcome(task("t4"), status="unverified"))
    memory.add_outcome(outcome(task("t5"), cost=None))
    memory.add_outcome(outcome(task("t6"), profile="never-routed"))
    memory.add_steps([step("a-t5", 1, answered="big-20260101", tier="frontier")])
    found = memory.routed_runs()
    assert [(run.routed, run.passed, run.cost) for run in found] == [
        (True, True, 0.5),
        (False, True, 0.5),
        (False, False, None),
        (False, True, None),
    ]
    assert {(run.dimension, run.profile) for run in found} == {("bug_fixing", "codex-a")}
