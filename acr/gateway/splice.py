"""Changes single members of a JSON object and leaves every other byte as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Document", "read"]

_WHITE = " \t\n\r"
_scan = json.JSONDecoder().raw_decode


class _Member(NamedTuple):
    """A member of an object, and where it stands in the text."""

    key: str
    value: Any
    start: int
    """Of the value."""
    end: int
    cut: tuple[int, int]
    """What has to go with it: of the commas the one behind, for the last one the one before."""


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object as text, with its decoded form."""

    text: str
    members: tuple[_Member, ...]

    @property
    def data(self) -> dict[str, Any]:
        """Decoded; where a name stands twice the last one counts."""
        return {member.key: member.value for member in self.members}

    def replaced(self, changes: Mapping[str, Any], drop: Iterable[str] = ()) -> bytes:
        """The object with new values for members that it has, and without those in `drop`.

        `changes` names members of the object itself; `drop` may name inner ones, as in
        `reasoning.effort`. What is not there stays away.
        """
        text = self.text
        for member in reversed(self.members):
            if member.key in changes:
                text = text[: member.start] + json.dumps(changes[member.key]) + text[member.end :]
        there = {member.key for member in self.members}
        for path in (wanted.split(".") for wanted in drop):
            if path[0] in there:
                text = _without(text, path, 0)
        return text.encode()


def read(raw: bytes) -> Document | None:
    """The object in `raw`; None when that is no JSON object in UTF-8."""
    try:
        text = raw.decode()
        members, end = _members(text, _skip(text, 0))
    except (ValueError, IndexError, RecursionError):
        return None
    return None if text[end:].strip(_WHITE) else Document(text, tuple(members))


def _without(text: str, path: list[str], at: int) -> str:
    """`text` without the member at `path` of the object that begins at `at`."""
    for member in reversed(_members(text, _skip(text, at))[0]):
        if member.key != path[0]:
            continue
        if len(path) == 1:
            text = text[: member.cut[0]] + text[member.cut[1] :]
            return _without(text, path, at)  # the same name may stand twice
        if text[member.start] == "{":
            text = _without(text, path[1:], member.start)
    return text


def _members(text: str, at: int) -> tuple[list[_Member], int]:
    """(members of the object that begins at `at`, where it ends).

    Raises ValueError or IndexError when there is none.
    """
    _expect("{", text, at)
    found: list[_Member] = []
    comma = at = _skip(text, at + 1)
    if text[at] == "}":
        return found, at + 1
    while True:
        begin = at
        _expect('"', text, at)
        key, at = _scan(text, at)
        at = _skip(text, at)
        _expect(":", text, at)
        start = _skip(text, at + 1)
        value, end = _scan(text, start)
        at = _skip(text, end)
        if text[at] == "}":
            found.append(_Member(key, value, start, end, (comma if found else begin, end)))
            return found, at + 1
        _expect(",", text, at)
        comma, at = at, _skip(text, at + 1)
        found.append(_Member(key, value, start, end, (begin, at)))


def _expect(mark: str, text: str, at: int) -> None:
    if text[at] != mark:
        raise ValueError(f"no {mark} at {at}")


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITE:
        at += 1
    return at
