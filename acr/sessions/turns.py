"""Notes -> turns: one prompt of a person, and what its agent did until the next."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from acr.nouns import AttemptStatus
from acr.sessions.spool import Note

__all__ = ["Heard", "gather"]

GIVEN_UP = 24 * 3600.0
"""Seconds of silence after which a turn that has not ended never will."""


@dataclass
class Heard:
    """A turn, as far as its hooks told of it."""

    prompt: Note
    key: str
    """The agent's own id of the turn, else one that follows from the prompt."""
    notes: list[Note] = field(default_factory=list)
    """All of them."""
    status: AttemptStatus | None = None
    """None while the agent is at work."""
    ended: float = math.inf
    next: float = math.inf
    """When the session's next turn began."""

    @property
    def id(self) -> str:
        """The same for the same turn, however often it is read."""
        name = "\0".join((self.prompt.agent, self.prompt.session, self.key))
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]

    @property
    def message(self) -> str:
        """How the agent's last words begin."""
        stops = [note.text("message") for note in self.notes if note.kind == "stop"]
        return stops[-1] if stops else ""

    def of(self, kind: str) -> list[Note]:
        """Its notes of one kind, without those of sub-agents."""
        return [n for n in self.notes if n.kind == kind and not n.text("agent_id")]

    @property
    def model(self) -> str:
        """The last one that the agent named in a payload; empty when it names none."""
        named = [n.text("model") for n in self.notes if not n.text("agent_id")]
        return next((name for name in reversed(named) if name), "")

    def stop(self, status: AttemptStatus, moment: float) -> None:
        """The agent has stopped; the last stop counts, as other hooks may send it on."""
        self.status, self.ended = status, moment

    def end(self, status: AttemptStatus, moment: float) -> None:
        """It is over, however it came to that."""
        if self.status is None:
            self.stop(status, moment)


def gather(notes: Iterable[Note], now: float) -> tuple[list[Heard], list[Heard]]:
    """(turns that have ended, those whose agent is at work), oldest first."""
    sessions: dict[tuple[str, str], list[Note]] = {}
    for note in notes:
        sessions.setdefault((note.agent, note.session), []).append(note)
    found = [turn for session in sessions.values() for turn in _turns(session)]
    for turn in found:
        last = turn.notes[-1].time
        if now - last > GIVEN_UP:
            turn.end("aborted", last)
    found.sort(key=lambda turn: turn.prompt.time)
    return [t for t in found if t.status], [t for t in found if not t.status]


def _turns(notes: Sequence[Note]) -> list[Heard]:
    made: list[Heard] = []
    for note in notes:
        if note.kind == "prompt" and not note.text("agent_id"):
            key = note.text("turn_id") or note.text("prompt_id") or note.id
            if made and made[-1].key == key:  # said while the agent was at work on it
                continue
            if made:
                made[-1].next = note.time
                made[-1].end("aborted", note.time)
            begun = [n for n in notes if n.kind == "begin" and n.time <= note.time]
            made.append(Heard(note, key, begun[-1:]))
        if made:
            _add(made[-1], note)
    return made


def _add(turn: Heard, note: Note) -> None:
    if note.kind == "begin":
        return
    turn.notes.append(note)
    if note.text("agent_id"):
        return
    if note.kind == "stop":
        turn.stop("error" if note.data.get("failed") is True else "done", note.time)
    elif note.kind in ("interrupt", "end"):
        turn.end("aborted", note.time)
