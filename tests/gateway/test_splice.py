"""One member changes, every other byte stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.gateway import splice

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=4) | st.sampled_from("abcd"), VALUES, max_size=5)


def read(raw: bytes) -> splice.Document:
    found = splice.read(raw)
    assert found is not None
    return found


@given(before=OBJECTS, after=OBJECTS, indent=st.sampled_from([None, 1, 4]), plain=st.booleans())
def test_only_the_models_bytes_change(
    before: dict[str, Any], after: dict[str, Any], indent: int | None, plain: bool
) -> None:
    body = {**before, "model": 'old " é', **{k: v for k, v in after.items() if k != "model"}}
    body["model"] = 'old " é'
    raw = json.dumps(body, indent=indent, ensure_ascii=plain).encode()
    old = json.dumps(body["model"], ensure_ascii=plain).encode()
    new = read(raw).replaced({"model": "new"})
    assert json.loads(new) == {**body, "model": "new"}
    assert len(new) == len(raw) - len(old) + len(b'"new"')
    assert read(new).replaced({"model": body["model"]}).decode() == json.dumps(
        body, indent=indent, ensure_ascii=plain
    ).replace(json.dumps(body["model"], ensure_ascii=plain), json.dumps(body["model"]))


@given(body=OBJECTS, gone=st.sets(st.sampled_from("abcd")), indent=st.sampled_from([None, 2]))
def test_what_is_dropped_is_gone_and_the_rest_is_there(
    body: dict[str, Any], gone: set[str], indent: int | None
) -> None:
    raw = json.dumps(body, indent=indent).encode()
    for left in (gone, gone - {"a"}):
        kept = {k: v for k, v in body.items() if k not in left}
        assert json.loads(read(raw).replaced({}, left)) == kept


@pytest.mark.parametrize(
    ("body", "drop", "left"),
    [
        ('{"a": {"b": 1, "c": 2}, "d": 3}', ["a.c"], '{"a": {"b": 1}, "d": 3}'),
        ('{"a": {"b": 1}}', ["a.b", "a.x", "y.z"], '{"a": {}}'),
        ('{"a": [1], "b":2 }', ["a.c", "b"], '{"a": [1] }'),
        ('{ "a" : 1 , "b" : 2 }', ["a"], '{ "b" : 2 }'),
        ('{"a":1,"b":2,"c":3}', ["b", "c"], '{"a":1}'),
        ('{"a":1,"b":2}', ["a", "b"], "{}"),
    ],
)
def test_inner_members_can_be_dropped(body: str, drop: list[str], left: str) -> None:
    assert read(body.encode()).replaced({}, drop).decode() == left


def test_a_name_that_stands_twice_changes_twice() -> None:
    new = read(b'{"model":"a","x":"model","model":"b"}').replaced({"model": "c"})
    assert new == b'{"model":"c","x":"model","model":"c"}'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{}x",
        b'{"a":1,}',
        b"[]",
        b"nul",
        b'{"a":',
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_what_is_no_object_is_left_alone(raw: bytes) -> None:
    assert splice.read(raw) is None


@given(body=OBJECTS, at=st.integers(0, 200), odd=st.sampled_from(["", ",", "}", '"', "x", " "]))
def test_it_reads_what_json_reads_and_nothing_else(body: dict[str, Any], at: int, odd: str) -> None:
    text = json.dumps(body, indent=1)
    text = text[:at] + odd + text[at + 1 :]
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    found = splice.read(text.encode())
    assert (found.data if found else None) == (expected if isinstance(expected, dict) else None)
