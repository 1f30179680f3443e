"""Nouns survive the way through SQLite, whatever is in them."""

from __future__ import annotations

import sqlite3
import types
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.memory import rows
from acr.nouns import Attempt, Decision, Task, Verdict

PLAIN = st.text(max_size=4) | st.text(st.characters(codec=None), max_size=4)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: PLAIN,
    float: FINITE,
    int: st.integers(),
    bool: st.booleans(),
    Any: FINITE | PLAIN,
}


def made(hint: Any) -> st.SearchStrategy[Any]:
    """Anything of the type `hint`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if origin is typing.Literal:
        return st.sampled_from(args)
    if origin is types.UnionType:
        return st.none() | made(args[0])
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(made(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(made, args))
    if origin is Mapping:
        return st.dictionaries(PLAIN, made(args[1]), max_size=2)
    fields = {name: made(each) for name, each in typing.get_type_hints(hint).items()}
    return st.builds(hint, **fields)


@pytest.mark.parametrize("kind", [Task, Decision, Attempt, Verdict])
def test_a_noun_comes_back_as_it_was(kind: Any) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made(kind))
    def check(noun: Any) -> None:
        if kind is Task:
            noun = replace(noun, embedding=None)
        row = rows.to_row(noun)
        row.pop("embedding", None)
        db = sqlite3.connect(":memory:")
        db.row_factory = sqlite3.Row
        db.execute(f"CREATE TABLE t ({', '.join(row)})")
        db.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
        (stored,) = db.execute("SELECT * FROM t")
        assert rows.from_row(kind, stored) == noun
        db.close()

    check()


def test_numbers_that_json_lacks_are_unknown() -> None:
    assert rows.redacted({"a": [float("nan"), float("inf"), 1.5]}) == {"a": [None, None, 1.5]}


def test_odd_paths_are_kept_exactly() -> None:
    path = b"/a/\xff\xfe".decode(errors="surrogateescape")
    assert rows.text(rows.bind(path)) == path
    assert rows.plain(path) == "/a/??"
