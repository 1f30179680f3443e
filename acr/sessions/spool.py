"""The spool: what hooks noted and nobody has dealt with yet; taken away whole, deleted last."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acr import settings
from acr.files import replace_file

__all__ = ["Note", "alone", "keep", "peek", "read", "take", "waiting"]

TAKEN, KEPT = "taken", "kept"


@dataclass(frozen=True, slots=True)
class Note:
    """One event, as hooks/acr_hook.py wrote it."""

    id: str
    time: float
    """Seconds since the epoch."""
    kind: str
    """begin, prompt, before, tool, request, subagent, stop, interrupt or end."""
    agent: str
    session: str
    data: dict[str, Any]
    """All fields."""

    def text(self, name: str) -> str:
        """The field `name`; empty when it is no text."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Whether this process is the only one that ingests; the kernel frees the lock at its end."""
    with open(settings.folder("locks") / "ingest.lock", "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def waiting() -> bool:
    """Whether hooks have noted anything since the last `take`."""
    return any(_folder().glob("events*.jsonl"))


def peek() -> list[Note]:
    """What hooks have noted since the last `take`; it stays where it is."""
    return read(_folder().glob("events*.jsonl"))


def take() -> list[Path]:
    """Files that hooks write to no more, those of an ingest that broke off included."""
    folder = _folder()
    for path in folder.glob("events*.jsonl"):
        path.rename(folder / f"{TAKEN}-{time.time_ns()}.jsonl")
    return sorted([*folder.glob(f"{TAKEN}-*.jsonl"), *folder.glob(f"{KEPT}-*.jsonl")])


def read(paths: Iterable[Path]) -> list[Note]:
    """The notes in the files, oldest first, each once; broken lines are passed over."""
    found: dict[str, Note] = {}
    for path in paths:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a hook that found it before may still write
            for line in file:
                if note := _note(line):
                    found[note.id] = note
    return sorted(found.values(), key=lambda note: (note.time, note.id))


def keep(notes: Iterable[Note], taken: Iterable[Path]) -> None:
    """Puts `notes` back for the next time, and only then deletes what was `taken`."""
    lines = [json.dumps(note.data) for note in notes]
    if lines:
        replace_file(_folder() / f"{KEPT}-{time.time_ns()}.jsonl", "\n".join(lines) + "\n")
    for path in taken:
        path.unlink(missing_ok=True)


def _folder() -> Path:
    return settings.folder("spool")


def _note(line: bytes) -> Note | None:
    try:
        data = json.loads(line)
        id_, moment, kind = data["id"], float(data["t"]), data["kind"]
        agent, session = data["agent"], data["session_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in (id_, kind, agent, session)):
        return None
    return Note(id_, moment, kind, agent, session, data)
