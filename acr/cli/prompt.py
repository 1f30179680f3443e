"""Where a prompt comes from: argument, file, standard input or $EDITOR."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from acr.errors import UsageError

__all__ = ["LIMIT", "read_prompt"]

LIMIT = 1 << 20
"""Bytes of the longest prompt; agents take no more than their context either."""
HINT = "# Say what to do; lines that begin with # are left out.\n"


def read_prompt(argument: str | None, file: Path | None = None) -> str:
    """The prompt from `argument` ("-": standard input), `file`, a pipe, or $EDITOR on a terminal.

    Raises UsageError when it is empty, over 1 MiB, binary or not UTF-8.
    """
    if argument is not None and file is not None:
        raise UsageError("give the prompt or --file, not both")
    if file is not None:
        return _checked(_read_file(file), str(file))
    if argument is not None and argument != "-":
        return _checked(os.fsencode(argument), "the prompt")
    if argument == "-" or not sys.stdin.isatty():
        return _checked(sys.stdin.buffer.read(LIMIT + 1), "standard input")
    return _checked(_edited(), "the prompt")


def _read_file(file: Path) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read(LIMIT + 1)
    except OSError as e:
        raise UsageError(f"--file {file}: {e.strerror}") from None


def _checked(raw: bytes, what: str) -> str:
    if len(raw) > LIMIT:
        raise UsageError(f"{what} is over 1 MiB; say what to do and name files instead")
    if b"\0" in raw:
        raise UsageError(f"{what} is binary, not text")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        raise UsageError(f"{what} is not UTF-8 text (byte {e.start})") from None
    if not text.strip():
        raise UsageError(f'{what} is empty; say what to do: acr "fix the failing test"')
    return text.strip()


def _edited() -> bytes:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile("w", suffix=".md", encoding="utf-8") as draft:
        draft.write("\n" + HINT)
        draft.flush()
        try:
            done = subprocess.run([*shlex.split(editor), draft.name], check=False)
        except OSError as e:
            raise UsageError(f"$EDITOR ({editor}) cannot be started: {e.strerror}") from None
        if done.returncode:
            raise UsageError(f"$EDITOR ({editor}) ended with exit code {done.returncode}")
        lines = Path(draft.name).read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"#"))
