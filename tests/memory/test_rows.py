"""Nouns survive the way through SQLite, whatever is in them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acr.memory import rows
from acr.nouns import Attempt, Decision, Task, Verdict

PLAIN = st.text(max_size=4) | st.text(st.characters(codec=None), max_size=4)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("kind", [Task, Decision, Attempt, Verdict])
def test_a_noun_comes_back_as_it_was(kind: type[Any]) -> None:
    @settings(max_examples=50, deadline=None)
    @given(st.from_type(kind))
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

    with_plain = {str: PLAIN, float: FINITE, Any: FINITE}
    for simple, strategy in with_plain.items():
        st.register_type_strategy(simple, strategy)
    check()


def test_numbers_that_json_lacks_are_unknown() -> None:
    assert rows.redacted({"a": [float("nan"), float("inf"), 1.5]}) == {"a": [None, None, 1.5]}


def test_odd_paths_are_kept_exactly() -> None:
    path = b"/a/\xff\xfe".decode(errors="surrogateescape")
    assert rows.text(rows.bind(path)) == path
    assert rows.plain(path) == "/a/??"
