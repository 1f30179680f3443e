"""Changed files that parse, and the simple rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git
from acr.nouns import Snapshot
from acr.verifier.signals import rules, syntax
from acr.verifier.tampering import is_fixture

Repo = Callable[..., Path]
Snapshots = tuple[Snapshot, Snapshot]
MARKED = "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"


@pytest.fixture
def change(git_repo: Repo, tmp_path: Path) -> Callable[..., Snapshots]:
    def make(before: dict[str, str], after: dict[str, str]) -> Snapshots:
        root = git_repo({"keep": "x", **before})
        first = git.snapshot(root, tmp_path / "git")
        for path, text in after.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return first, git.snapshot(root, tmp_path / "git")

    return make


def broken(pair: Snapshots) -> tuple[dict[str, str], int]:
    return syntax.broken_files(git.changed(*pair), *pair, is_fixture)


def test_files_that_stopped_parsing_are_named(change: Callable[..., Snapshots]) -> None:
    files = {"a.py": "def (", "b.json": "{", "c.toml": "x =", "d.txt": "(", "ok.py": "x = 1"}
    found, count = broken(change({}, files))
    assert (sorted(found), count) == (["a.py", "b.json", "c.toml"], 4)
    assert "line 1" in found["a.py"]
    signal = syntax.signal(found, count)
    assert signal.score == 0.25
    assert "a.py" in signal.detail


def test_what_was_broken_before_and_fixtures_and_commented_json_are_let_be(
    change: Callable[..., Snapshots],
) -> None:
    before = {"a.py": "def ("}
    after = {
        "a.py": "def ((",
        "tests/data/bad.py": "def (",
        "tsconfig.json": "{} // comment",
        "nul.py": "x = '\0'",
    }
    found, _ = broken(change(before, after))
    assert sorted(found) == ["nul.py"]


def test_no_parser_is_no_opinion() -> None:
    assert syntax.signal({}, 0).score is None


def test_conflict_markers_count_when_they_are_new(change: Callable[..., Snapshots]) -> None:
    pair = change(
        {"old.md": MARKED}, {"old.md": MARKED + "x", "new.md": MARKED, "half": "<<<<<<< a"}
    )
    assert rules.conflicts(*pair, is_fixture) == ("new.md",)
    assert rules.signal(True, True, ("new.md",)).score == 0.0


def test_an_answer_leaves_the_tree_and_work_changes_it() -> None:
    assert rules.signal(False, False, ()).score == 1.0
    assert rules.signal(True, False, ()).score == 0.0
    assert rules.signal(False, True, ()).score == 0.0
    assert rules.signal(True, True, ()).score == 1.0
