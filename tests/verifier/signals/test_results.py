"""What result files and output say, honest and hostile."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.verifier.signals import results
from acr.verifier.signals.results import RESULT_CAP, UnreadableError, plain, read_result

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=12)
STATES = st.sampled_from(["passed", "failed", "error", "skipped"])
INNER = {
    "passed": "",
    "failed": '<failure message="no">text</failure>',
    "error": "<error/>",
    "skipped": "<skipped/>",
}

PYTEST = b"""<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase classname="tests.test_a.TestX" name="test_in[1-a.b]" file="tests/test_a.py" line="3"/>
<testcase classname="tests.test_a" name="test_out" file="tests/test_a.py">
<failure message="assert 1 == 2">tests/test_a.py:4: AssertionError</failure></testcase>
<testcase classname="" name="tests.test_b"><error message="collection failure">ImportError
</error></testcase></testsuite></testsuites>"""
NODE = b"""<testsuites><testcase name="one" classname="test"/><testsuite name="group">
<testcase name="in" classname="test"/><testsuite name="deeper">
<testcase name="bad" classname="test"><failure type="x">no</failure></testcase>
</testsuite></testsuite></testsuites>"""
GO = """{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"a_test.go:5: no\\n"}
{"Action":"fail","Package":"m/a","Test":"TestOne"}
{"Action":"pass","Package":"m/a","Test":"TestTwo/sub"}
{"Action":"fail","Package":"m/a"}
not json
{"Action":"output","Package":"m/b","Output":"# m/b\\nb.go:3: undefined: x\\n"}
{"Action":"fail","Package":"m/b"}
{"Action":"pass","Package":"m/c"}
"""
CARGO = """
running 2 tests
test tests::adds ... FAILED
test tests::later ... ignored

failures:

---- tests::adds stdout ----
thread panicked: 1 != 2

failures:
    tests::adds

test result: FAILED. 0 passed; 1 failed; 1 ignored

running 1 test
test src/lib.rs - add (line 3) ... ok
"""
CARGO_ERR = """   Compiling a v0.1.0
     Running unittests src/lib.rs (target/debug/deps/a-012)
   Doc-tests a
"""


def test_pytest_ids_are_node_ids() -> None:
    found = results.junit(PYTEST)
    assert found.states == {
        "tests/test_a.py::TestX::test_in[1-a.b]": "passed",
        "tests/test_a.py::test_out": "failed",
        "tests.test_b": "error",
    }
    assert "AssertionError" in found.messages["tests/test_a.py::test_out"]


def test_suites_nest_and_name_their_tests() -> None:
    assert results.junit(NODE).states == {
        "one": "passed",
        "group::in": "passed",
        "group::deeper::bad": "failed",
    }


@given(st.lists(st.tuples(NAMES, STATES), max_size=8))
def test_junit_keeps_every_test_with_its_worst_state(cases: list[tuple[str, str]]) -> None:
    inner = "".join(
        f"<testcase classname='m.C' name={quoteattr(name)}>{INNER[state]}</testcase>"
        for name, state in cases
    )
    found = results.junit(f"<testsuite name='s'>{inner}</testsuite>".encode())
    wanted: dict[str, list[str]] = {}
    for name, state in cases:
        seen = " ".join(results.plain(f"m.C::{name}").split())
        wanted.setdefault(seen, []).append(state)
    order = ["skipped", "passed", "failed", "error"]
    assert found.states == {k: max(v, key=order.index) for k, v in wanted.items()}


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_empty_and_never_a_crash(data: bytes) -> None:
    for parse in (results.junit, results.jest):
        with contextlib.suppress(UnreadableError):
            assert not parse(data).states


@given(st.text(max_size=300))
def test_text_parsers_take_any_text(text: str) -> None:
    results.go(text)
    results.cargo(text, text)
    results.tap("1..2\n" + text)


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite>&b;</testsuite>'
    with pytest.raises(UnreadableError, match="entities"):
        results.junit(bomb)


def test_jest_tests_and_files_that_do_not_load() -> None:
    report = {
        "testResults": [
            {
                "name": "/r/a.test.js",
                "status": "failed",
                "assertionResults": [
                    {"fullName": "adds", "status": "passed"},
                    {"fullName": "sub", "status": "failed", "failureMessages": ["\x1b[31mno"]},
                    {"fullName": "todo", "status": "todo"},
                ],
            },
            {"name": "/r/b.test.js", "status": "failed", "message": "x", "assertionResults": []},
        ]
    }
    found = results.jest(json.dumps(report).encode()).below(Path("/r"))
    assert found.states == {
        "a.test.js::adds": "passed",
        "a.test.js::sub": "failed",
        "a.test.js::todo": "skipped",
        "b.test.js": "error",
    }
    assert found.messages["a.test.js::sub"] == "no"


def test_go_packages_that_do_not_build_are_errors() -> None:
    found = results.go(GO)
    assert found.states == {
        "m/a::TestOne": "failed",
        "m/a::TestTwo/sub": "passed",
        "m/b": "error",
    }
    assert "a_test.go:5" in found.messages["m/a::TestOne"]
    assert "undefined" in found.messages["m/b"]


def test_cargo_tests_are_named_by_their_target() -> None:
    found = results.cargo(CARGO, CARGO_ERR)
    assert found.states == {
        "unittests src/lib.rs::tests::adds": "failed",
        "unittests src/lib.rs::tests::later": "skipped",
        "doc a::src/lib.rs - add (line 3)": "passed",
    }
    assert found.messages["unittests src/lib.rs::tests::adds"].strip() == (
        "thread panicked: 1 != 2"
    )
    broken = results.cargo("", "error: could not compile `a`")
    assert broken.states == {"cargo build": "error"}


def test_tap_points_directives_subtests_and_missing_ones() -> None:
    text = """TAP version 13
ok 1 - adds
not ok 2 - subtracts
ok 3 - later # SKIP no time
    not ok 1 - inner
not ok 4 - known # TODO
1..6
"""
    found = results.tap(text)
    assert found is not None
    assert found.states == {
        "adds": "passed",
        "subtracts": "failed",
        "later": "skipped",
        "inner": "failed",
        "known": "skipped",
        "TAP plan": "error",
    }
    assert results.tap("ok then, not a plan\n") is None


@given(st.text())
def test_plain_text_has_no_control_characters(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in plain(text))
    assert plain(plain(text)) == plain(text)


def test_plain_text_loses_escapes_whole() -> None:
    assert (
        plain("a\x1b[1;31mred\x1b[0m\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x00\r\n") == "aredbc\n"
    )


def test_only_a_bounded_regular_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link, fifo, big = tmp_path / "link", tmp_path / "fifo", tmp_path / "big"
    link.symlink_to(secret)
    os.mkfifo(fifo)
    with open(big, "wb") as file:
        file.truncate(RESULT_CAP + 1)
    for path in (link, fifo, big, tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(UnreadableError):
            read_result(path)
    assert read_result(secret) == b"secret"


def test_an_address_in_a_name_does_not_make_another_test_of_it() -> None:
    one, other = results.Results(), results.Results()
    one.add("a.py::test_a[<object object at 0x7f6a1c2b3d40>-0xff]", "passed")
    other.add("a.py::test_a[<object object at 0x7f0000000010>-0xff]", "passed")
    assert one.states == other.states
    assert "0xff" in next(iter(one.states))
