"""A prompt comes from one place, is text, and is never empty."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.cli.prompt import LIMIT, read_prompt
from acr.errors import UsageError

Pipe = Callable[[bytes], None]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Makes bytes the standard input."""

    def make(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return make


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes standard input a real terminal."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield
    os.close(ours)


def editor(folder: Path, script: str) -> str:
    """A program with a space in its path that runs `script` on the file."""
    path = folder / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"'{path}' -w"


def test_the_argument_is_the_prompt() -> None:
    assert read_prompt("  fix the test\n", None) == "fix the test"


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "-my prompt.md"
    path.write_bytes("\ufeffbehebe den Fehler\n\nin äöü\n".encode())
    assert read_prompt(None, path) == "behebe den Fehler\n\nin äöü"


@pytest.mark.parametrize("source", [("-", None), (None, Path("-")), (None, None)])
def test_piped_input_is_read(piped: Pipe, source: tuple[str | None, Path | None]) -> None:
    piped(b"fix it\n")
    assert read_prompt(*source) == "fix it"


def test_piped_input_does_not_touch_a_prompt_that_is_given(piped: Pipe) -> None:
    piped(b"something else")
    assert read_prompt("fix it", None) == "fix it"


def test_on_a_terminal_the_editor_opens(
    terminal: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, 'echo "fix it" > "$2"'))
    assert read_prompt(None, None) == "fix it"


@pytest.mark.parametrize(
    ("script", "words"),
    [("exit 3", "ended with 3; nothing was done"), ("true", "from the editor is empty")],
)
def test_an_editor_that_fails_or_leaves_nothing_is_told(
    terminal: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, script))
    with pytest.raises(UsageError, match=words):
        read_prompt(None, None)


@pytest.mark.parametrize("command", ["no-such-editor-anywhere", "'unbalanced"])
def test_an_editor_that_cannot_be_started_is_told(
    terminal: None, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("VISUAL", command)
    with pytest.raises(UsageError, match="cannot be started"):
        read_prompt(None, None)


def test_two_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both given"):
        read_prompt("fix it", tmp_path / "prompt.md")


def test_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="no standard input"):
        read_prompt(None, None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04\0\0", "is binary"),
        (b"caf\xe9", r"not UTF-8 text \(byte 3\)"),
        (b"x" * (LIMIT + 1), "longer than 1 MB"),
    ],
)
def test_what_is_no_prompt_is_refused_from_every_source(
    piped: Pipe,
    tmp_path: Path,
    data: bytes,
    words: str,
) -> None:
    path = tmp_path / "prompt.md"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_prompt(None, path)
    piped(data)
    with pytest.raises(UsageError, match=words):
        read_prompt("-", None)
    with pytest.raises(UsageError, match=words):
        read_prompt(os.fsdecode(data), None)


def test_a_prompt_of_exactly_the_limit_is_taken() -> None:
    assert len(read_prompt("x" * LIMIT, None)) == LIMIT


def test_an_endless_file_is_refused_without_reading_it_all() -> None:
    with pytest.raises(UsageError, match="longer than 1 MB"):
        read_prompt(None, Path("/dev/zero"))


@pytest.mark.parametrize("name", ["missing.md", "folder", "nul\0byte"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="name a readable text file"):
        read_prompt(None, tmp_path / name)


@given(st.binary(max_size=200).filter(lambda data: data != b"-"))  # that means standard input
def test_any_bytes_give_stripped_text_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(UsageError):
        text = read_prompt(os.fsdecode(data), None)
        assert text
        assert text == text.strip()
