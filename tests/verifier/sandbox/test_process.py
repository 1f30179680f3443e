"""Bounded output and the end of a process group."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.errors import SandboxError
from acr.settings import Limits
from acr.verifier.sandbox import process
from acr.verifier.sandbox.process import Kept
from acr.verifier.sandbox.watchdog import Watchdog

ENV = {"PATH": "/usr/bin:/bin"}


def run(command: list[str], wall: float = 10.0) -> process.Ended:
    limits = Limits(wall=wall, output=1)
    watched = Watchdog(limits, [])
    return process.run(command, limits, cwd=Path("/"), env=ENV, watched=watched)


@given(st.lists(st.binary(max_size=40)), st.integers(4, 64))
def test_the_beginning_and_the_end_are_kept_and_the_rest_is_counted(
    chunks: list[bytes], cap: int
) -> None:
    kept, whole = Kept(cap), b"".join(chunks)
    for chunk in chunks:
        kept.add(chunk)
    output = kept.output()
    assert output.truncated == (len(whole) > cap)
    if not output.truncated:
        assert output.text == whole
        return
    head, tail = cap // 4, cap - cap // 4
    assert output.text.startswith(whole[:head])
    assert output.text.endswith(whole[-tail:])
    assert f"{len(whole) - cap} bytes left out".encode() in output.text


def test_exit_code_and_both_streams_are_told() -> None:
    ended = run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (ended.code, ended.stdout.text, ended.stderr.text) == (3, b"out\n", b"err\n")
    assert ended.stopped == ""


def test_the_clock_stops_a_whole_group_that_ignores_signals() -> None:
    begun = time.monotonic()
    ended = run(["sh", "-c", "trap '' TERM INT; echo begun; sleep 60 & wait; sleep 60"], wall=1.0)
    assert ended.stopped == "wall"
    assert ended.stdout.text == b"begun\n"
    assert time.monotonic() - begun < 8


def test_a_child_that_keeps_the_output_open_does_not_hang_the_reader() -> None:
    begun = time.monotonic()
    assert run(["sh", "-c", "setsid sleep 20 & echo done"]).stdout.text == b"done\n"
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("command", [["no-such-program"], ["sh", "-c", "a\0b"]])
def test_what_cannot_be_started_is_a_sentence(command: list[str]) -> None:
    with pytest.raises(SandboxError, match="could not be started"):
        run(command)
