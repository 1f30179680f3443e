"""Changes single members of a JSON object and leaves every other byte as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Document", "read"]

_WHITE = " \t\n\r"
_scan = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object as text, with its decoded form."""

    text: str
    data: Mapping[str, Any]

    def replaced(self, changes: Mapping[str, Any], drop: Iterable[str] = ()) -> bytes:
        """The object with new values for members that it has, and without those in `drop`.

        `changes` names members of the object itself; `drop` may name inner ones, as in
        `reasoning.effort`. What is not there stays away.
        """
        text = self.text
        spans = [(m.start, m.end, changes[m.key]) for m in _members(text, 0) if m.key in changes]
        for start, end, value in reversed(spans):
            text = text[:start] + json.dumps(value) + text[end:]
        for path in drop:
            text = _without(text, path.split("."), 0)
        return text.encode()


def read(raw: bytes) -> Document | None:
    """The object in `raw`; None when that is no JSON object in UTF-8."""
    try:
        text = raw.decode()
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return Document(text, data) if isinstance(data, dict) else None


class _Member(NamedTuple):
    """Where a member of an object stands in the text."""

    key: str
    start: int
    """Of the value."""
    end: int
    cut: tuple[int, int]
    """What has to go with it: of the commas the one behind, for the last one the one before."""


def _without(text: str, path: list[str], at: int) -> str:
    """`text` without the member at `path` of the object that begins at `at`."""
    for member in reversed(_members(text, at)):
        if member.key != path[0]:
            continue
        if len(path) == 1:
            text = text[: member.cut[0]] + text[member.cut[1] :]
            return _without(text, path, at)  # the same name may stand twice
        if text[member.start] == "{":
            text = _without(text, path[1:], member.start)
    return text


def _members(text: str, at: int) -> list[_Member]:
    """The members of the object that begins at `at` or after white space there."""
    found: list[_Member] = []
    comma = at = _skip(text, _skip(text, at) + 1)
    while text[at] != "}":
        begin = at
        key, at = _scan(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _scan(text, start)
        at = _skip(text, end)
        if text[at] == "}":
            found.append(_Member(key, start, end, (comma if found else begin, end)))
        else:
            comma, at = at, _skip(text, at + 1)
            found.append(_Member(key, start, end, (begin, at)))
    return found


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITE:
        at += 1
    return at
