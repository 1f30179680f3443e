"""Exports carry everything; imports add each thing once, or name the line that is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acr.errors import MemoryFileError
from acr.memory.store import Memory
from acr.memory.transfer import dump, load
from tests.memory.makers import EMBEDDER, decided, outcome, task, vector


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """Two outcomes, one pruned attempt, a decision without attempt, a person's verdict."""
    with Memory.open(tmp_path / "memory.db") as opened:
        opened.add_outcome(outcome(task("old")))
        opened.prune(0)
        opened.add_outcome(outcome(task("t1"), status="fail"))
        opened.add_outcome(outcome(task("t2", root="/a/\udcff", prompt="Größe 🦊")))
        opened.set_human("t1", "pass")
        opened.add_task(task("t3", embedding=None, embedder=None))
        opened.add_decision(decided(task("t3")))
        yield opened


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Memory]:
    with Memory.open(tmp_path / "other.db") as opened:
        yield opened


def lines(memory: Memory) -> list[str]:
    return list(dump(memory))


def load_lines(memory: Memory, given: list[str]) -> dict[str, int]:
    return dict(load(memory, io.BytesIO("".join(given).encode()), "file.jsonl"))


def test_an_import_makes_the_same_memory(memory: Memory, empty: Memory) -> None:
    added = load_lines(empty, lines(memory))
    assert added == {"task": 3, "decision": 3, "outcome": 2, "figures": 1}
    assert empty.outcomes() == memory.outcomes()
    assert empty.statistics() == memory.statistics()
    assert empty.decisions("t3") == memory.decisions("t3")
    ask = vector(0)
    assert empty.search(ask, EMBEDDER, 9, -1.0) == memory.search(ask, EMBEDDER, 9, -1.0)
    assert lines(empty)[1:] == lines(memory)[1:]
    assert empty.check() == []


def test_an_import_twice_adds_nothing_more(memory: Memory, empty: Memory) -> None:
    for target in (memory, empty, empty):
        load_lines(target, lines(memory))
    assert not any(load_lines(memory, lines(memory)).values())
    assert sum(s.n for s in empty.statistics()) == sum(s.n for s in memory.statistics()) == 3


def test_an_old_export_does_not_bring_back_what_was_pruned_since(memory: Memory) -> None:
    exported = lines(memory)
    memory.prune(0)
    load_lines(memory, exported)
    assert memory.outcomes() == ()
    assert set(memory.tasks()) <= {"t3"}
    assert sum(s.n for s in memory.statistics()) == 3
    assert memory.check() == []


def test_what_is_there_stays_as_it_is(memory: Memory) -> None:
    exported = lines(memory)
    memory.set_human("t1", "fail")
    load_lines(memory, exported)
    assert memory.outcomes("t1")[0].human == "fail"


def test_an_import_respects_the_capacity(memory: Memory, tmp_path: Path) -> None:
    with Memory.open(tmp_path / "small.db", capacity=1) as small:
        load_lines(small, lines(memory))
        assert len(small.outcomes()) == 1
        assert sum(s.n for s in small.statistics()) == 3


def test_secrets_in_an_edited_export_do_not_come_in(memory: Memory, empty: Memory) -> None:
    key = "ghp_" + "a1B2" * 9
    load_lines(empty, [line.replace("Größe", key) for line in lines(memory)])
    assert key not in "".join(dump(empty))


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edit(line: str) -> str:
        data = json.loads(line)
        change(data)
        return json.dumps(data) + "\n"

    return edit


@pytest.mark.parametrize(
    ("number", "edit", "what"),
    [
        (2, lambda line: line[:40] + "\n", "not a JSON object"),
        (3, lambda line: "[]\n", "not a JSON object"),
        (4, lambda line: "[" * 100_000 + "\n", "not a JSON object"),
        (4, lambda line: line.replace("0.9", "NaN", 1), "not a JSON object"),
        (3, lambda line: '{"what": 1}\n', "neither task, decision, outcome, figures nor step"),
        (2, edited(lambda d: d["task"].pop("prompt")), "task must be an object with 'prompt'"),
        (2, edited(lambda d: d["task"].update(id=7)), "task.id must be text"),
        (2, edited(lambda d: d["task"].update(created="now")), "task.created must be a number"),
        (2, edited(lambda d: d.update(vector="?")), "vector"),
        (2, edited(lambda d: d.update(vector="AAAA")), "dimensions"),
        (5, edited(lambda d: d["decision"].update(epsilon=[1])), "epsilon must be 2 items"),
        (5, edited(lambda d: d["decision"].update(task="no")), "task no is not known"),
        (5, edited(lambda d: d["decision"].update(votes=[7])), r"votes\[0\] must be an object"),
        (8, edited(lambda d: d["outcome"]["attempt"].update(task="no")), "task no is not known"),
        (8, edited(lambda d: d["outcome"]["verdict"].update(score=3)), r"within 0\.\.1"),
        (8, edited(lambda d: d["outcome"].update(human="yes")), "one of pass, fail"),
        (10, edited(lambda d: d["figures"].update(weight=True)), "figures.weight must be a number"),
    ],
)
def test_a_line_that_is_wrong_is_named(
    memory: Memory, empty: Memory, number: int, edit: Callable[[str], str], what: str
) -> None:
    given = lines(memory)
    given[number - 1] = edit(given[number - 1])
    if what == "dimensions":
        load_lines(empty, lines(memory)[:1] + lines(memory)[2:3])
    before = empty.snapshot()
    with pytest.raises(MemoryFileError, match=rf"^file.jsonl:{number}: .*{what}"):
        load_lines(empty, given)
    assert empty.snapshot() == before
    assert empty.check() == []


@pytest.mark.parametrize(
    ("first", "what"),
    [
        ("{}\n", "not what acr memory export writes"),
        ('{"format": "acr memory", "version": 99}\n', "version 99"),
        ("\x00\x01\n", "not a JSON object"),
    ],
)
def test_a_foreign_file_is_refused(memory: Memory, empty: Memory, first: str, what: str) -> None:
    with pytest.raises(MemoryFileError, match=what):
        load_lines(empty, [first, *lines(memory)[1:]])
    assert empty.tasks() == ()


def test_an_empty_file_is_refused(empty: Memory) -> None:
    with pytest.raises(MemoryFileError, match="not what acr memory export writes"):
        load_lines(empty, [])


def test_keys_of_a_later_version_and_blank_lines_are_passed_over(
    memory: Memory, empty: Memory
) -> None:
    given = [edited(lambda d: d.update(later=1))(line) for line in lines(memory)]
    assert load_lines(empty, [*given, "\n", "  \n"])["task"] == 3
