"""Result files and output written to trick or to drown their reader."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.verifier.signals import results
from acr.verifier.signals.results import RESULT_CAP, Results, UnreadableError
from tests.abuse.cases import case


def named(text: str) -> Results:
    found = Results()
    found.add(text, "failed", text)
    return found


PARSERS: dict[str, Callable[[str], Results | None]] = {
    "junit": lambda text: results.junit(text.encode(errors="replace")),
    "jest": lambda text: results.jest(text.encode(errors="replace")),
    "go": results.go,
    "cargo stdout": lambda text: results.cargo(text, "Running a\n"),
    "cargo stderr": lambda text: results.cargo("running 1 test\ntest a ... ok\n", text),
    "tap": results.tap,
    "name": named,
}
MANY = 4 << 20
"""As much as is kept of a run's output."""


def repeated(piece: str, begin: str = "", end: str = "") -> str:
    return begin + piece * (MANY // len(piece)) + end


DROWNING = {
    "deep suites": repeated("<testsuite>"),
    "deep and closed suites": "<testsuite>" * 150_000 + "</testsuite>" * 150_000,
    "many suites": "<testsuites>" + '<testsuite name="a"/>' * 190_000 + "</testsuites>",
    "one huge name": f'<testsuite><testcase name="{repeated("x")}"/></testsuite>',
    "many attributes": "<testsuite " + " ".join(f'a{n}="1"' for n in range(200_000)) + "/>",
    "entities": '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
    "deep JSON": repeated("["),
    "deep JSON objects": repeated('{"a":'),
    "huge number": '{"testResults": ' + "9" * 1_000_000 + "}",
    "one line of brackets": repeated(" (", "Running x", "\n"),
    "one line of dots": repeated(" ... ", "test ", "\n"),
    "many messages": "running 1 test\n" + repeated("---- a stdout ----\n"),
    "tests and messages": "running 9 tests\n"
    + "".join(f"test t{n} ... FAILED\n" for n in range(60_000))
    + "".join(f"---- t{n} stdout ----\nx\n" for n in range(60_000)),
    "the same go event": '{"Action":"output","Package":"p","Test":"t","Output":"'
    + "x" * 1_000_000
    + '"}\n'
    + '{"Action":"fail","Package":"p","Test":"t"}\n' * 50_000,
    "lists in go events": '{"Action":["fail"],"Package":{"a":[]},"Test":[]}\n{"Action":{}}\n[1]\n',
    "escapes": repeated("\x1b]"),
    "half escapes": repeated("\x1b[0;"),
    "nested escapes": repeated("\x1bP\x1b"),
    "tap": repeated("ok 1 - # skip\n", "1..1\n"),
    "tap of hashes": repeated("#", "1..1\nok "),
    "tap plan": "1..999999999999999999999999999\nok 1\n",
    "empty": "",
    "zeros": repeated("\0"),
}


@case(35)
@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("what", DROWNING)
def test_no_result_takes_long_to_read_or_breaks_the_reader(parser: str, what: str) -> None:
    began = time.process_time()
    try:
        found = PARSERS[parser](DROWNING[what])
    except UnreadableError:
        found = None
    assert time.process_time() - began < 10
    for name in found.states if found else ():
        assert len(name) <= results.NAME_CAP
        assert name.isprintable()


PIECES = st.sampled_from(
    [
        *("<testsuite>", "</testsuite>", '<testcase name="a">', "</testcase>", "<failure>", "<x"),
        *("{", "}", "[", "]", '"testResults"', ":", ",", '"Action"', '"fail"', '"Test"', "1e999"),
        *("ok", "not ok", " 1", " - ", "# skip", "1..2\n", "TAP version 13\n", "Bail out!", "\n"),
        *("running 2 tests\n", "test a ... ok\n", "test a ... FAILED\n", "---- a stdout ----\n"),
        *("     Running t (x)\n", "   Doc-tests d\n", "\x1b[", "\x1b]", "\x9b", "\u202e", "\ud800"),
    ]
)


@case(35)
@pytest.mark.parametrize("parser", PARSERS)
@given(text=st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=30).map("".join))
def test_any_text_is_read_or_refused(parser: str, text: str) -> None:
    try:
        found = PARSERS[parser](text)
    except UnreadableError:
        return
    for name, state in found.states.items() if found else ():
        assert state in ("passed", "failed", "error", "skipped")
        assert name.isprintable()


@case(9, 35)
def test_only_a_small_regular_file_is_a_result(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    result = tmp_path / "junit.xml"

    def refused(why: str) -> None:
        began = time.monotonic()
        with pytest.raises(UnreadableError, match=why):
            results.read_result(result)
        assert time.monotonic() - began < 2
        if result.is_dir() and not result.is_symlink():
            result.rmdir()
        else:
            result.unlink(missing_ok=True)

    refused("was not written")
    result.symlink_to(secret)
    refused("cannot be read")
    result.symlink_to("/dev/zero")
    refused("cannot be read")
    os.mkfifo(result)
    refused("is not a file")
    result.mkdir()
    refused("is not a file")
    with open(result, "wb") as file:
        file.truncate(1 << 40)
    refused("is over")
    if os.geteuid() == 0:
        os.mknod(result, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
        refused("is not a file")
    result.write_bytes(b"x" * RESULT_CAP)
    assert len(results.read_result(result)) == RESULT_CAP


@case(16)
@given(st.text())
def test_names_and_text_reach_a_terminal_as_plain_characters(text: str) -> None:
    found = Results()
    found.add(text, "failed", text)
    (name,) = found.states
    shown = name + results.plain(text) + found.messages.get(name, "")
    assert all(c.isprintable() or c in "\n\t" for c in shown)


@case(16)
def test_names_that_turn_the_writing_direction_or_draw_on_the_screen_are_bared() -> None:
    told = {"testResults": [{"name": "a\u202e\x1b[2J.js", "assertionResults": []}]}
    told["testResults"][0]["status"] = "failed"
    (name,) = results.jest(json.dumps(told).encode()).states
    assert name == "a.js"
