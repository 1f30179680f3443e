"""The verifier compares a turn with the tree that it began with, or does not look at all."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from acr import lock, settings
from acr.cli.demo import BROKEN, RIGHT
from acr.nouns import Verdict
from acr.sessions import judge
from acr.sessions.ingest import ingest
from acr.settings import RepositorySettings, Settings
from tests import scripted
from tests.conftest import git
from tests.sessions.makers import note, spool, turn


@pytest.fixture
def root(git_repo: Callable[..., Path]) -> Path:
    """A repository with a failing test, where sessions are verified."""
    made = git_repo(scripted.FILES)
    text = f'[repositories."{made}"]\nverify = true\n'
    (settings.folder() / "config.toml").write_text(text)
    return made


def learn(*notes: Any) -> list[Verdict]:
    """The verdicts in memory after these notes, oldest first."""
    spool(*notes)
    assert ingest(settings.load())
    found = sorted(scripted.outcomes(), key=lambda outcome: outcome.attempt.started)
    return [outcome.verdict for outcome in found]


def asked(root: Path, name: str, **fields: Any) -> list[Any]:
    head = git(root, "rev-parse", "HEAD").strip()
    return turn("fix the failing test", name, **{"cwd": str(root), "commit": head, **fields})


def test_the_next_turn_begins_with_what_the_last_one_left(root: Path) -> None:
    first = asked(root, "t1")
    (root / "basket.py").write_text(RIGHT)
    assert [v.status for v in learn(*first)] == ["pass"]
    second = asked(root, "t2")
    (root / "README").write_text("words\n")
    _, verdict = learn(*second)
    assert verdict.changed == ("README",)
    assert not (verdict.tests and verdict.tests.fixed)  # the first turn's work counts once


def test_a_commit_by_the_agent_hides_nothing(root: Path) -> None:
    notes = asked(root, "t1")
    (root / "basket.py").write_text(RIGHT)
    git(root, "commit", "-qam", "fixed")
    (verdict,) = learn(*notes)
    assert (verdict.status, verdict.changed) == ("pass", ("basket.py",))


def test_a_commit_between_turns_is_where_the_next_one_begins(root: Path) -> None:
    first = asked(root, "t1")
    (root / "basket.py").write_text(RIGHT)
    learn(*first)
    (root / "basket.py").write_text(BROKEN)
    git(root, "commit", "-q", "--allow-empty", "-m", "by hand")
    second = asked(root, "t2")
    (root / "basket.py").write_text(RIGHT)
    _, verdict = learn(*second)
    assert verdict.tests
    assert verdict.tests.fixed


def test_an_ingest_that_broke_off_compares_with_the_same_tree_again(root: Path, home: Path) -> None:
    notes = asked(root, "t1")
    (root / "basket.py").write_text(RIGHT)
    before = learn(*notes)
    (home / "memory.db").unlink()  # as if it had not come to storing it
    assert [v.status for v in learn(*notes)] == [v.status for v in before] == ["pass"]


@pytest.mark.parametrize("other", ["at work", "later", "meanwhile"])
def test_a_tree_that_others_have_changed_is_not_looked_at(root: Path, other: str) -> None:
    (root / "basket.py").write_text(RIGHT)
    here = {"session": "another", "cwd": str(root), "prompt": "more"}
    if other == "meanwhile":
        early = note("prompt", **here)
        notes = asked(root, "t1")
        notes += [early, note("stop", session="another", t=notes[0].time + 0.5)]
    else:
        notes = asked(root, "t1")
        notes.append(note("prompt", **here, t=time.time()))
        if other == "later":
            notes.append(note("stop", session="another", t=time.time()))
    verdicts = learn(*notes)
    assert {v.status for v in verdicts} == {"unverified"}
    assert any("other work went on" in v.reason for v in verdicts)
    if other == "later":
        assert "the tree that it began with is not known" in verdicts[-1].reason


@pytest.mark.parametrize("acted", [math.inf, 0.5, None])
def test_a_prompt_finds_a_tree_that_is_not_the_commits(
    root: Path, acted: float | None, tmp_path: Path
) -> None:
    (root / "basket.py").write_text(RIGHT)  # by hand, before the agent was asked
    transcript = tmp_path / "s.jsonl"
    began = time.time() - 1
    fields = {"t": began, "transcript_path": str(transcript)}
    first, last = asked(root, "t1", **fields)[0], note("stop", prompt_id="t1", message="Done.")
    assert learn(first) == []
    (root / "README").write_text("words\n")
    said = [{"type": "text", "text": "Done."}]
    call = [{"type": "tool_use", "id": "c1", "name": "Edit", "input": {}}]
    with transcript.open("w") as file:
        for moment, content in ((began + (acted or 0.0), call), (began + 0.9, said)):
            if acted is not None and moment < math.inf:
                stamp = datetime.fromtimestamp(moment, UTC).isoformat()
                message: dict[str, Any] = {
                    "id": "m",
                    "model": "m1",
                    "content": content,
                    "usage": {},
                }
                line = {"type": "assistant", "timestamp": stamp, "message": message}
                file.write(json.dumps(line) + "\n")
    (verdict,) = learn(replace(last, data={**last.data, "t": time.time()}))
    seen = acted == math.inf  # the tree was looked at before the agent did anything
    assert verdict.changed == (("README",) if seen else ("README", "basket.py"))


def test_a_run_of_acr_at_the_same_time_is_a_problem_that_is_named(root: Path) -> None:
    spool(*asked(root, "t1"))
    with lock.hold(root, "something else"):
        made = ingest(settings.load())
    assert made
    assert made.stored == 1
    assert "is at work in" in made.problems[0]


def test_the_tree_and_the_index_are_left_alone(root: Path) -> None:
    notes = asked(root, "t1")
    (root / "basket.py").write_text(RIGHT)
    before = (git(root, "status", "--porcelain"), (root / ".git" / "index").read_bytes())
    learn(*notes)
    assert (git(root, "status", "--porcelain"), (root / ".git" / "index").read_bytes()) == before


def test_old_trees_are_forgotten(root: Path, home: Path) -> None:
    old = home / "cache" / "sessions" / "old"
    old.mkdir(parents=True)
    (old / "last.json").write_text(json.dumps({}))
    os.utime(old, (0, 0))
    learn(*asked(root, "t1"))
    assert not old.exists()


@pytest.mark.parametrize(
    ("about", "on"),
    [
        (None, False),
        (RepositorySettings(), False),
        (RepositorySettings(test="make check"), True),
        (RepositorySettings(test="make check", verify=False), False),
        (RepositorySettings(verify=True), True),
    ],
)
def test_it_is_off_until_the_user_names_the_tests_or_says_so(
    about: RepositorySettings | None, on: bool
) -> None:
    config = Settings(repositories={"/repo": about} if about else {})
    assert judge.allowed(Path("/repo"), config)[0] == on
