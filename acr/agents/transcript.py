"""Keeps what an agent printed: private, redacted and bounded."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from acr.agents import Progress, Request
from acr.nouns import Event

__all__ = ["NAME", "Transcript", "write_private"]

NAME = "transcript.jsonl"
HEAD_CAP = 32 << 20
"""Characters at the start of a transcript; after them only the last TAIL_CAP are kept."""
TAIL_CAP = 2 << 20


class Transcript:
    """A private file of redacted lines: all of them, or the first and the last of a flood."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self._path = request.run_dir / NAME
        self._redact, self._progress = request.redact, progress
        self._room, self._kept, self._dropped = HEAD_CAP, 0, 0
        self._tail: deque[str] = deque()

    def __enter__(self) -> Transcript:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file: IO[str] | None = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
        return self

    def __exit__(self, *_: object) -> None:
        if self._dropped:
            self._write(json.dumps({"type": "acr.dropped", "lines": self._dropped}))
        for line in self._tail:
            self._write(line)
        if self._file:
            with self._guarded():
                self._file.close()

    def note(self, kind: str, **fields: Any) -> None:
        """A line of acr's own."""
        self.add(json.dumps({"type": kind, "time": time.time(), **fields}))

    def add(self, line: str) -> None:
        """One line of the agent's."""
        safe = self._redact(line)
        if len(safe) <= self._room:
            self._room -= len(safe) + 1
            self._write(safe)
            return
        self._room = 0
        self._tail.append(safe)
        self._kept += len(safe)
        while self._kept > TAIL_CAP:
            self._kept -= len(self._tail.popleft())
            self._dropped += 1

    def _write(self, line: str) -> None:
        if self._file:
            with self._guarded():
                self._file.write(line + "\n")

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """A full disk costs the transcript, not the attempt."""
        try:
            yield
        except OSError as e:
            self._file = None
            self._progress(Event("warning", f"{self._path}: {e.strerror}; no transcript is kept"))


def write_private(path: Path, content: str) -> None:
    """Writes a file that only its owner can read; a full disk is passed over."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(content)
