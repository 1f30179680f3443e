"""Changed files that parse, and the simple rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git
from acr.memory.redaction import redact
from acr.nouns import Snapshot
from acr.verifier.signals import grammars, rules, syntax
from acr.verifier.tampering import is_fixture, is_test

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


def checked(pair: Snapshots) -> syntax.Checked:
    return syntax.check(git.changed(*pair), *pair, is_fixture)


def test_files_that_stopped_parsing_are_named(change: Callable[..., Snapshots]) -> None:
    files = {"a.py": "def (", "b.json": "{", "c.toml": "x =", "d.txt": "(", "ok.py": "x = 1"}
    found = checked(change({}, files))
    assert (sorted(found.broken), found.files) == (["a.py", "b.json", "c.toml"], 4)
    assert "line 1" in found.broken["a.py"]
    signal = syntax.signal(found)
    assert signal.score == 0.25
    assert "a.py" in signal.detail


def test_what_was_broken_before_and_fixtures_and_commented_json_are_let_be(
    change: Callable[..., Snapshots],
) -> None:
    before = {"a.py": "def (", "b.js": "f(("}
    after = {
        "a.py": "def ((",
        "b.js": "f(((",
        "tests/data/bad.py": "def (",
        "tsconfig.json": "{} // comment",
        "nul.py": "x = '\0'",
    }
    found = checked(change(before, after))
    assert sorted(found.broken) == ["nul.py"]
    assert not found.doubtful


WHOLE = {
    "a.js": "export const f = async (x) => x?.y ?? `${x}`;\n",
    "a.mjs": "import { a } from './b.js';\nfor await (const x of a) { f(x); }\n",
    "a.jsx": "const a = <b c={d}>text</b>;\n",
    "a.ts": "type A<T> = T extends string ? 1 : 2;\nlet a: A<string> = 1;\n",
    "a.tsx": "const a = (p: { b: string }) => <i>{p.b}</i>;\n",
    "a.go": "package a\n\nfunc f[T any](x T) T { return x }\n",
    "a.rs": "fn f<'a>(x: &'a str) -> Option<&'a str> { Some(x) }\n",
    "A.java": "class A { record B(int c) {} int f() { return switch (1) { default -> 2; }; } }\n",
    "a.c": "#include <a.h>\nint f(int x) { return x ? 1 : 2; }\n",
    "a.h": "#pragma once\ntemplate <class T> T f(T x);\n",
    "a.cpp": "auto f = [](auto x) { return x; };\n",
    "a.rb": "def f(x) = x.map { |y| y&.z }\n",
    "a.php": "<?php fn($x) => $x?->y ?? 1;\n",
    "a.yaml": "a: &b\n  - 1\nc: *b\n---\nd: !custom 2\n",
}


def test_whole_files_of_every_language_are_whole(change: Callable[..., Snapshots]) -> None:
    found = checked(change({}, WHOLE))
    assert found == syntax.Checked(len(WHOLE))


@pytest.mark.parametrize("path", WHOLE)
def test_a_file_that_breaks_off_is_doubtful_and_names_its_line(
    change: Callable[..., Snapshots], path: str
) -> None:
    opened = "x: [1,\n" if path.endswith(".yaml") else "x = (1 + \n"
    found = checked(change({path: WHOLE[path]}, {path: WHOLE[path] + opened}))
    assert not found.broken
    assert found.doubtful[path].startswith("line ")
    signal = syntax.signal(found)
    assert signal.score == 0.0
    assert "may not parse" in signal.detail


def test_hostile_text_holds_nothing_up_and_hides_nothing() -> None:
    pieces = ["'", "(", "[a,", "if (a<b) {", "\\", "\0", "{a: ", "<?php if("]
    files = [
        (suffix, (piece * (syntax.FILE_CAP // len(piece))).encode())
        for suffix in (".js", ".yaml")
        for piece in pieces
    ]
    began = time.monotonic()
    said = grammars.faults([(".c", b"int f( {"), *files])
    assert time.monotonic() - began < 2 * grammars.SECONDS
    assert said[0] == "line 1: unexpected text"
    assert len(said) == len(files) + 1


def test_no_parser_is_no_opinion() -> None:
    assert syntax.signal(syntax.Checked()).score is None


def added(pair: Snapshots) -> rules.Added:
    return rules.added(git.changed(*pair), *pair, redact, is_test)


def test_conflict_markers_count_when_they_are_new(change: Callable[..., Snapshots]) -> None:
    pair = change(
        {"old.md": MARKED}, {"old.md": MARKED + "x", "new.md": MARKED, "half": "<<<<<<< a"}
    )
    assert added(pair).conflicts == ("new.md",)
    assert rules.signal(True, True, added(pair)).score == 0.0


def test_secrets_leftovers_and_masses_are_held_against_it(
    change: Callable[..., Snapshots],
) -> None:
    files = {
        "conf.py": "KEY = 'ghp_" + "a1B2" * 9 + "'\n",
        "tests/test_conf.py": "KEY = 'ghp_" + "a1B2" * 9 + "'\n",
        "a.py.orig": "x",
        "web/bower_components/a.js": "x",
        "docs/venv.md": "x",
    }
    found = added(change({"old.rej": "x"}, {"old.rej": "y", **files}))
    assert found.secrets == ("conf.py",)
    assert found.junk == ("a.py.orig", "web/bower_components/a.js")
    assert not found.oversize
    signal = rules.signal(True, True, found)
    assert signal.score == 0.25
    assert "conf.py" in signal.detail
    assert "ghp_" not in signal.detail


def test_a_change_out_of_all_proportion_is_held_against_it(
    change: Callable[..., Snapshots],
) -> None:
    found = added(change({}, {"big.txt": "0123456789abcde\n" * (rules.BYTES // 16 + 1)}))
    assert "2.0 MiB" in found.oversize
    assert rules.signal(True, True, found).score == 0.5


def test_an_answer_leaves_the_tree_and_work_changes_it() -> None:
    nothing = rules.Added()
    assert rules.signal(False, False, nothing).score == 1.0
    assert rules.signal(True, False, nothing).score == 0.0
    assert rules.signal(False, True, nothing).score == 0.0
    assert rules.signal(True, True, nothing).score == 1.0
