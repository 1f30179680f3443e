"""Where a prompt comes from: the argument, a file, standard input or the user's editor."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from acr.cli.editor import open_editor
from acr.errors import UsageError

__all__ = ["LIMIT", "read_prompt"]

LIMIT = 1_000_000
"""Bytes of a prompt."""
STDIN = "-"


def read_prompt(argument: str | None, file: Path | None) -> str:
    """The prompt, stripped. `-` is standard input, which is also read when it is piped and nothing
    is given; on a terminal the editor opens.

    Raises UsageError for two sources, and for one that is missing, empty, longer than LIMIT,
    binary or not UTF-8.
    """
    if argument is not None and file is not None:
        raise UsageError("a prompt and --file are both given; leave one of them out")
    source = argument if file is None else str(file)
    if file is not None and source != STDIN:
        return _checked(_read_file(file), str(file))
    if argument is not None and source != STDIN:
        return _checked(os.fsencode(argument), "the prompt")
    if sys.stdin is None:
        raise UsageError('no prompt and no standard input; say what to do: acr "PROMPT"')
    if source is None and sys.stdin.isatty():
        return _checked(_edit(), "the prompt from the editor")
    return _checked(sys.stdin.buffer.read(LIMIT + 1), "standard input")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LIMIT + 1)
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise UsageError(f"--file {path}: {reason}; name a readable text file") from None


def _edit() -> bytes:
    """What the user leaves in the editor."""
    with tempfile.TemporaryDirectory(prefix="acr-") as folder:
        path = Path(folder) / "prompt.md"
        path.touch(mode=0o600)
        open_editor(path)
        return _read_file(path)


def _checked(data: bytes, source: str) -> str:
    if len(data) > LIMIT:
        raise UsageError(
            f"{source} is longer than {LIMIT // 1_000_000} MB; "
            "name the files in the prompt instead of pasting them"
        )
    if b"\0" in data:
        raise UsageError(f"{source} is binary; a prompt is text")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as e:
        raise UsageError(f"{source} is not UTF-8 text (byte {e.start}); convert it") from None
    if not text:
        raise UsageError(f"{source} is empty; say what to do")
    return text
