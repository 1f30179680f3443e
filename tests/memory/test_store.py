"""Memory keeps what it acknowledged, adds up what it prunes, and refuses what it cannot read."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from acr.errors import AcrError, MemoryFileError
from acr.memory import driver, transfer
from acr.memory.store import Memory
from acr.nouns import Decision, Outcome, Signal, TestDiff, VerdictStatus
from tests.memory.makers import EMBEDDER, decided, near, outcome, task, vector


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


def test_a_slip_in_an_id_is_answered_with_the_nearest(memory: Memory) -> None:
    memory.add_task(task("3f2a9c01b7"))
    with pytest.raises(AcrError, match="did you mean 3f2a9c01b7"):
        memory.task("3f2a9c10b7")
    with pytest.raises(AcrError, match="no decision"):
        memory.decision("\udcff")


def test_a_task_comes_with_its_stored_vector(memory: Memory) -> None:
    made = task("t1")
    memory.add_task(made)
    stored = memory.task("t1").embedding
    assert stored == pytest.approx(made.embedding, abs=0.005)


def test_a_person_stays_right_when_the_verdict_is_renewed(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1"), status="pass"))
    memory.set_human("t1", "fail")
    memory.add_outcome(outcome(task("t1"), status="pass", cost=0.9))
    (row,) = memory.statistics()
    assert (row.wins, row.losses, row.cost) == (0, 1, 0.9)
    assert memory.outcomes()[0].human == "fail"
    assert memory.check() == []


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
def test_a_score_that_is_no_rate_is_refused(memory: Memory, score: float) -> None:
    made = outcome(task("t1"))
    with pytest.raises(AcrError, match=r"within 0\.\.1"):
        memory.add_outcome(replace(made, verdict=replace(made.verdict, score=score)))
    assert memory.outcomes() == ()


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_a_cost_or_time_that_cannot_be_is_unknown(memory: Memory, wrong: float) -> None:
    made = outcome(task("t1"))
    memory.add_outcome(replace(made, attempt=replace(made.attempt, cost=wrong, duration=wrong)))
    (stored,) = memory.outcomes()
    assert (stored.attempt.cost, stored.attempt.duration) == (None, 0.0)
    assert memory.statistics()[0].cost_n == 0


def test_the_order_is_that_of_storing_not_of_the_clock(memory: Memory) -> None:
    for number, started in enumerate((3000.0, 1000.0, 2000.0)):
        made = outcome(task(f"t{number}", created=started))
        memory.add_outcome(replace(made, attempt=replace(made.attempt, started=started)))
    assert [o.task.id for o in memory.outcomes()] == ["t2", "t1", "t0"]
    assert memory.task().id == "t2"


def test_statistics_are_narrowed_by_kind_repository_and_time(memory: Memory) -> None:
    for number, (kind, repository) in enumerate([("a", "x"), ("a", "y"), ("b", "x")]):
        made = outcome(task(f"t{number}", dimension=kind, repository=repository))
        started = replace(made.attempt, started=1000.0 * number)
        memory.add_outcome(replace(made, attempt=started))

    def count(**given: Any) -> int:
        return sum(s.n for s in memory.statistics(**given))

    assert (count(), count(dimension="a"), count(repository="x")) == (3, 2, 2)
    assert (count(dimension="a", repository="x"), count(dimension="c")) == (1, 0)
    assert (count(since=1000.0), count(since=1000.0, repository="x")) == (2, 1)
    memory.prune(0)
    assert (count(), count(since=1000.0)) == (3, 2)


def test_the_snapshot_changes_with_what_a_decision_could_see(memory: Memory) -> None:
    seen = {memory.snapshot()}
    memory.add_outcome(outcome(task("t1")))
    seen.add(memory.snapshot())
    memory.add_outcome(outcome(task("t2")))
    seen.add(memory.snapshot())
    memory.set_human("t1", "fail")
    seen.add(memory.snapshot())
    memory.forget(["t2"])
    seen.add(memory.snapshot())
    assert len(seen) == 5
    memory.statistics()
    memory.add_decision(decided(task("t1"), "again"))
    assert memory.snapshot() in seen


def test_tasks_without_an_attempt_do_not_pile_up(path: Path) -> None:
    with Memory.open(path, capacity=3) as memory:
        memory.add_outcome(outcome(task("kept")))
        for number in range(10):
            memory.add_task(task(f"t{number}"))
        assert memory.tasks() == ("kept", "t7", "t8", "t9")
        assert memory.check() == []


def test_odd_text_is_kept(memory: Memory) -> None:
    odd = "a\x00b \u202e \ud800 \udcff 🦊"
    made = outcome(task("t1", prompt=odd, root="/tmp/\udcff", repository=odd, dimension=odd))
    memory.add_outcome(made)
    (stored,) = memory.outcomes()
    assert (stored.task.prompt, stored.task.root) == (odd, "/tmp/\udcff")
    assert memory.statistics()[0].n == 1
    assert memory.neighbours(made.task.embedding or (), EMBEDDER, 1, 0.9)[0].prompt == odd
    assert memory.check() == []


def test_the_outcomes_view_is_readable_with_plain_sqlite(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1")))
    with contextlib.closing(sqlite3.connect(memory.path)) as plain:
        found = plain.execute("SELECT attempt, prompt, profile, status, started FROM outcomes")
        assert found.fetchall() == [
            ("a-t1", "prompt of t1", "codex-a", "pass", "1970-01-01 00:16:40")
        ]
        votes = plain.execute("SELECT json_extract(votes, '$[0].voter') FROM decisions")
        assert votes.fetchone() == ("prior",)


def test_enough_neighbours_are_found_behind_many_unjudged_ones(memory: Memory) -> None:
    ask = vector(1)
    for number in range(60):
        close = task(f"close{number}", embedding=near(ask, number, 0.1))
        memory.add_outcome(outcome(close, status="unverified"))
    for number in range(3):
        memory.add_outcome(outcome(task(f"t{number}", embedding=near(ask, number, 0.8))))
    assert len(memory.neighbours(ask, EMBEDDER, 3, 0.5)) == 3
    assert len(memory.search(ask, EMBEDDER, 5, 0.5)) == 5


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
    other = replace(outcome(task("t2")), decision=cites(decided(task("t2")), "t1", "the zebra"))
    memory.add_outcome(other)
    assert memory.forget(["t1", "unknown"]) == 1
    assert memory.check() == []
    assert [s.n for s in memory.statistics()] == [1]
    assert memory.decisions("t2")[0].neighbours[0].prompt == "[forgotten]"
    for file in memory.path.parent.iterdir():
        assert b"zebra" not in file.read_bytes()


def test_what_was_pruned_can_be_forgotten_too(memory: Memory) -> None:
    memory.add_outcome(outcome(task("t1")))
    memory.prune(0)
    assert memory.runs("repo") == ("t1",)
    assert memory.forget([memory.run_id("t")]) == 1
    assert memory.statistics() == ()


def cites(decision: Decision, run: str, prompt: str) -> Decision:
    (near,) = decision.neighbours
    return replace(decision, neighbours=(replace(near, task=run, prompt=prompt),))


def test_secrets_never_reach_the_disk(memory: Memory) -> None:
    key = "sk-ant-api03-" + "aZ9" * 12
    stored = outcome(task("t1", prompt=f"use {key} please"))
    attempt = replace(stored.attempt, error=key, message=key)
    signal = Signal("judge", None, 0.1, f"token={key}", key)
    diff = TestDiff(broken=(f"test[{key}]",))
    verdict = replace(stored.verdict, findings=key, reason=key, signals=(signal,), tests=diff)
    decision = cites(decided(stored.task), "t0", key)
    memory.add_outcome(Outcome(stored.task, decision, attempt, verdict))
    memory.add_decision(replace(decision, id="d2", reason=key, rules=(key,)))
    assert key not in "".join(transfer.dump(memory))
    for file in memory.path.parent.iterdir():
        assert key.encode() not in file.read_bytes()


def test_files_are_private(memory: Memory) -> None:
    assert memory.path.stat().st_mode & 0o077 == 0
    assert memory.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"not a database, but long enough " * 40, os.urandom(8192)])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(MemoryFileError, match="not a database"):
        Memory.open(path)
    assert path.read_bytes() == content


def test_a_locked_database_is_said_after_the_wait(
    path: Path,
) -> None:
    with Memory.open(path) as memory, contextlib.closing(driver.connect(path)) as other:
        driver.begin(other)
        started = time.monotonic()
        with pytest.raises(MemoryFileError, match="another program has held it"):
            memory.add_task(task("t1"))
        assert time.monotonic() - started >= driver.WAIT
        other.execute("ROLLBACK")
        memory.add_task(task("t1"))


@pytest.mark.parametrize("read_only", ["file", "folder"])
def test_what_cannot_be_written_is_said(read_only: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        Memory.open(home / "memory.db").close()
        (home / "memory.db").chmod(0o444)
        home.chmod(0o555 if read_only == "folder" else 0o777)
        child = os.fork()
        if not child:  # a user who may only read
            with contextlib.suppress(PermissionError):
                os.setuid(65534)
            try:
                with Memory.open(home / "memory.db") as memory:
                    memory.add_task(task("t1"))
            except MemoryFileError as e:
                os._exit(0 if "writable" in str(e) and "memory.db" in str(e) else 3)
            os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        home.chmod(0o700)


def test_a_folder_in_its_place_is_said(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(MemoryFileError, match=re.escape(str(path))):
        Memory.open(path)


def read_everything(path: Path) -> None:
    with Memory.open(path) as memory:
        assert memory.check() == []
        memory.outcomes()
        memory.statistics()


def test_a_damaged_page_is_said_and_left(path: Path) -> None:
    with Memory.open(path) as memory:
        for i in range(50):
            memory.add_outcome(outcome(task(f"t{i}")))
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 40 * 4096)
    before = path.read_bytes()
    with pytest.raises(MemoryFileError, match="left as it is"):
        read_everything(path)
    assert path.read_bytes() == before


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


@dataclass
class Kept:
    """What the model knows of one attempt."""

    task: str
    profile: str
    status: str
    cost: float | None
    human: str | None = None

    @property
    def counts_as(self) -> str:
        return self.human or self.status


NAMES = st.sampled_from("abcdefgh")
STATUSES: st.SearchStrategy[VerdictStatus] = st.sampled_from(["pass", "fail", "unverified"])


class Model(RuleBasedStateMachine):
    """Any order of writes leaves what a plain dictionary of attempts would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = Memory.open(Path(self.folder.name) / "m.db", capacity=5)
        self.all: dict[str, Kept] = {}
        self.live: list[str] = []

    @rule(
        name=NAMES,
        number=st.sampled_from("12"),
        status=STATUSES,
        profile=st.sampled_from(["codex-a", "claude-b"]),
        cost=st.none() | st.floats(0, 10),
    )
    def add(
        self, name: str, number: str, status: VerdictStatus, profile: str, cost: float | None
    ) -> None:
        self.memory.add_outcome(outcome(task(name), number, status, profile, cost))
        attempt = f"a-{name}{number}"
        if attempt in self.all and attempt not in self.live:
            return  # pruned
        human = self.all[attempt].human if attempt in self.all else None
        self.all[attempt] = Kept(name, profile, status, cost, human)
        if attempt not in self.live:
            self.live.append(attempt)
        self.live = self.live[-5:]

    @rule(name=NAMES, status=STATUSES)
    def judge(self, name: str, status: VerdictStatus) -> None:
        attempts = [a for a in self.live if self.all[a].task == name]
        if attempts:
            self.memory.set_human(name, status)
            self.all[attempts[-1]].human = status
        else:
            with pytest.raises(AcrError):
                self.memory.set_human(name, status)

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        known = any(kept.task == name for kept in self.all.values())
        assert self.memory.forget([name]) == known
        self.all = {a: kept for a, kept in self.all.items() if kept.task != name}
        self.live = [a for a in self.live if a in self.all]

    @rule(keep=st.integers(0, 5))
    def prune(self, keep: int) -> None:
        self.memory.prune(keep)
        self.live = self.live[len(self.live) - min(keep, len(self.live)) :]

    @rule()
    def move(self) -> None:
        """What is exported and imported is the same memory."""
        moved = io.BytesIO("".join(transfer.dump(self.memory)).encode())
        other = Path(self.folder.name) / "other.db"
        with Memory.open(other, capacity=5) as memory:
            transfer.load(memory, moved, "export")
            for there, here in zip(memory.statistics(), self.memory.statistics(), strict=True):
                assert replace(there, cost=0) == replace(here, cost=0)
                assert there.cost == pytest.approx(here.cost)
            assert memory.outcomes() == self.memory.outcomes()
            assert memory.check() == []
            assert not any(transfer.load(memory, moved, "export").values())
        for file in other.parent.glob("other.db*"):
            file.unlink()

    @invariant()
    def memory_equals_the_model(self) -> None:
        assert self.memory.check() == []
        outcomes = self.memory.outcomes(newest_first=False)
        assert [o.attempt.id for o in outcomes] == self.live
        assert set(self.memory.tasks()) == {self.all[a].task for a in self.live}
        found = self.memory.statistics()
        kept = self.all.values()
        assert sum(s.n for s in found) == len(kept)
        assert sum(s.wins for s in found) == sum(k.counts_as == "pass" for k in kept)
        assert sum(s.losses for s in found) == sum(k.counts_as == "fail" for k in kept)
        known = [k.cost for k in kept if k.cost is not None]
        assert sum(s.cost for s in found) == pytest.approx(sum(known))
        assert sum(s.cost_n for s in found) == len(known)

    def teardown(self) -> None:
        self.memory.close()
        self.folder.cleanup()


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_what_was_expected_is_kept_with_the_outcome(memory: Memory) -> None:
    made = outcome(task("t1"))
    memory.add_outcome(made)
    memory.add_outcome(replace(outcome(task("t2")), decision=None))
    assert made.decision
    latest = memory.recent(2)
    assert [one.expected for one in latest] == [None, pytest.approx(made.decision.usual)]
