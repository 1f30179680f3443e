"""Memory keeps what it acknowledged, adds up what it prunes, and refuses what it cannot read."""

from __future__ import annotations

import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from acr.errors import AcrError, MemoryFileError
from acr.memory import migrations
from acr.memory.store import Memory
from tests.memory.makers import EMBEDDER, near, outcome, task, vector


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "memory.db"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    with Memory.open(path) as opened:
        yield opened


def test_what_is_stored_comes_back(memory: Memory) -> None:
    stored = outcome(task("t1"))
    memory.add_outcome(stored)
    (again,) = memory.outcomes("t1")
    assert again == replace(stored, task=replace(stored.task, embedding=None))
    assert memory.task("t1").prompt == "prompt of t1"
    assert memory.decisions("t1") == (stored.decision,)


def test_storing_twice_counts_once(memory: Memory) -> None:
    for _ in range(3):
        memory.add_outcome(outcome(task("t1")))
    assert len(memory.outcomes()) == 1
    assert memory.statistics()[0].n == 1


def test_a_run_is_found_by_prefix_or_as_the_latest(memory: Memory) -> None:
    with pytest.raises(AcrError, match="nothing has been run yet"):
        memory.task()
    memory.add_task(task("abc1", created=2000.0))
    memory.add_task(task("abd2", created=1000.0))
    assert memory.task().id == "abd2"
    assert memory.task("abc").id == "abc1"
    with pytest.raises(AcrError, match="begins several runs"):
        memory.task("ab")
    with pytest.raises(AcrError, match="no run 'x%'"):
        memory.task("x%")


def test_neighbours_are_judged_attempts_on_similar_tasks(memory: Memory) -> None:
    base = vector(1)
    similar = task("similar", embedding=near(base, 2, 0.2))
    memory.add_outcome(outcome(similar, "1", "fail", "codex-a"))
    memory.add_outcome(outcome(similar, "2", "pass", "claude-b"))
    memory.add_outcome(outcome(task("unjudged", embedding=base), status="unverified"))
    memory.add_outcome(outcome(task("far", embedding=vector(9))))
    memory.add_outcome(outcome(task("self", embedding=base)))
    found = memory.neighbours(base, EMBEDDER, 10, 0.5, exclude="self", repository="repo")
    assert [(n.task, n.profile, n.status) for n in found] == [
        ("similar", "codex-a", "fail"),
        ("similar", "claude-b", "pass"),
    ]
    exact = sum(a * b for a, b in zip(base, similar.embedding or (), strict=True))
    assert found[0].similarity == pytest.approx(exact, abs=0.02)
    assert found[0].same_repository
    assert memory.neighbours(base, "other/space", 10, 0.0) == ()


def test_a_persons_verdict_overrides(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1"), status="pass"))
    assert memory.set_human("", "fail").human == "fail"
    (row,) = memory.statistics()
    assert (row.wins, row.losses, row.weight, row.score) == (0, 1, 1.0, 0.0)
    assert memory.check() == []


def test_unknown_cost_is_not_zero(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1"), cost=None))
    memory.add_outcome(outcome(task("t2"), cost=0.25))
    (row,) = memory.statistics()
    assert (row.n, row.cost, row.cost_n) == (2, 0.25, 1)


def test_pruned_outcomes_live_on_in_statistics(path: Path) -> None:
    with Memory.open(path, capacity=3) as memory:
        for i in range(10):
            memory.add_outcome(outcome(task(f"t{i}")))
        assert len(memory.outcomes()) == 3
        assert memory.statistics()[0].n == 10
        assert memory.counts()["tasks"] == 3
        assert memory.check() == []


def test_forgetting_takes_the_sums_along(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1", prompt="remember the zebra")))
    assert memory.forget(["t1"]) == 1
    assert memory.statistics() == ()
    assert memory.check() == []
    assert b"zebra" not in memory.path.read_bytes()


def test_secrets_never_reach_the_disk(memory: Memory) -> None:
    key = "sk-ant-api03-" + "aZ9" * 12
    stored = outcome(task("t1", prompt=f"use {key} please"))
    attempt = replace(stored.attempt, error=key, message=key)
    verdict = replace(stored.verdict, findings=key, reason=key)
    memory.add_outcome(replace(stored, attempt=attempt, verdict=verdict))
    for file in memory.path.parent.iterdir():
        assert key.encode() not in file.read_bytes()


def test_files_are_private(memory: Memory) -> None:
    assert memory.path.stat().st_mode & 0o077 == 0
    assert memory.path.parent.stat().st_mode & 0o077 == 0


def test_a_newer_schema_is_refused_untouched(path: Path) -> None:
    Memory.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(MemoryFileError, match="update acr"):
        Memory.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database, but long enough " * 40, os.urandom(8192)])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(MemoryFileError, match="not a database"):
        Memory.open(path)
    assert path.read_bytes() == content


def test_a_locked_database_is_said(path: Path) -> None:
    with Memory.open(path) as memory:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        memory.db.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(MemoryFileError, match="has held it"):
            memory.add_task(task("t1"))
        other.close()


def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path) -> None:
    with Memory.open(path) as memory:
        memory.add_outcome(outcome(task("t1")))
        pages = memory.db.execute("PRAGMA page_count").fetchone()[0]
        memory.db.execute(f"PRAGMA max_page_count = {pages}")
        huge = outcome(task("huge", prompt="x " * 10**6))
        with pytest.raises(MemoryFileError, match="free some disk space"):
            memory.add_outcome(huge)
        assert memory.check() == []
        assert memory.outcomes("t1")


def _add_many(path: str, worker: int) -> None:
    with Memory.open(Path(path)) as memory:
        for i in range(50):
            memory.add_outcome(outcome(task(f"w{worker}-{i}")))


def test_eight_processes_lose_nothing(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_add_many, args=(str(path), n)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Memory.open(path) as memory:
        assert len(memory.outcomes()) == 400
        assert memory.statistics()[0].n == 400
        assert memory.check() == []


WRITER = """
import sys
from pathlib import Path
from acr.memory.store import Memory
from tests.memory.makers import outcome, task
with Memory.open(Path(sys.argv[1])) as memory:
    for i in range(10**6):
        name = f"{sys.argv[2]}-{i}"
        memory.add_outcome(outcome(task(name)))
        print(name, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    rng = random.Random(7)
    seen: list[str] = []
    for n in range(10):
        argv = [sys.executable, "-c", WRITER, str(path), f"r{n}"]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert child.stdout
        wanted = rng.randrange(1, 40)
        seen += [child.stdout.readline().strip() for _ in range(wanted)]
        child.kill()
        seen += child.stdout.read().split()
        child.wait()
        child.stdout.close()
    with Memory.open(path) as memory:
        assert memory.check() == []
        stored = {o.task.id for o in memory.outcomes()}
    assert set(seen) <= stored


class Model(RuleBasedStateMachine):
    """Any order of writes leaves the sums equal to what the rows add up to."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.memory = Memory.open(Path(self.folder.name) / "m.db", capacity=5)

    @rule(
        name=st.sampled_from("abcdefgh"),
        status=st.sampled_from(["pass", "fail", "unverified"]),
        profile=st.sampled_from(["codex-a", "claude-b"]),
        cost=st.none() | st.floats(0, 10),
    )
    def add(self, name: str, status: str, profile: str, cost: float | None) -> None:
        self.memory.add_outcome(outcome(task(name), "", status, profile, cost))  # type: ignore[arg-type]

    @rule(status=st.sampled_from(["pass", "fail"]))
    def judge(self, status: str) -> None:
        if self.memory.counts()["tasks"]:
            self.memory.set_human("", status)  # type: ignore[arg-type]

    @rule(name=st.sampled_from("abcdefgh"))
    def forget(self, name: str) -> None:
        self.memory.forget([name])

    @invariant()
    def sums_match(self) -> None:
        assert self.memory.check() == []

    def teardown(self) -> None:
        self.memory.close()
        self.folder.cleanup()


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
