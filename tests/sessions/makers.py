"""Notes as the hook writes them, one after the other."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from acr import settings
from acr.sessions.spool import Note

LONG_AGO = 1_700_000_000.0
"""No agent is waited for that ended then."""
_number = itertools.count(1)


def note(kind: str, session: str = "s", agent: str = "claude", **fields: Any) -> Note:
    """A note; its time is one second after the one before unless `t` is given."""
    number = next(_number)
    data: dict[str, Any] = {"id": f"n{number}", "t": LONG_AGO + number, "kind": kind}
    data |= {"agent": agent, "session_id": session, **fields}
    return Note(data["id"], float(data["t"]), kind, agent, session, data)


def turn(prompt: str, turn_id: str = "", **fields: Any) -> list[Note]:
    """A prompt and a stop."""
    ids = {"prompt_id": turn_id} if turn_id else {}
    asked = note("prompt", prompt=prompt, **ids, **fields)
    return [asked, note("stop", message="Done.", **ids, **fields)]


def spool(*notes: Note, name: str = "events") -> None:
    """Appends the notes to acr's spool."""
    path: Path = settings.folder("spool") / f"{name}.jsonl"
    with path.open("a") as file:
        file.writelines(json.dumps(each.data) + "\n" for each in notes)
