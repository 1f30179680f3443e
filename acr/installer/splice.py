"""What splicing acr's hooks into JSON and into TOML has in common: edits, and the check of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Edit",
    "Found",
    "Group",
    "Ours",
    "SpliceError",
    "applied",
    "check",
    "dumped",
    "handlers",
    "hooks_in",
    "is_mine",
    "line_of",
    "newline_of",
]

Group = Mapping[str, Any]
"""{"matcher": …, "hooks": [{"type": "command", "command": …, "timeout": …}]}"""
Ours = Callable[[str], bool]
"""Whether a command is acr's."""
Edit = tuple[int, int, str]
"""From, to, and what comes there instead."""


class SpliceError(ValueError):
    """Why text cannot be changed: `line` (1-based, 0 unknown) and the reason in words."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class Found:
    """One of acr's handlers: where it stands and what it says."""

    event: str
    group: int
    handler: int
    command: str
    value: Group
    """The group without other tools' handlers."""


def applied(text: str, edits: Iterable[Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def hooks_in(hooks: Any, ours: Ours) -> list[Found]:
    """acr's handlers below `hooks`, in order."""
    found = []
    for event, groups in hooks.items() if isinstance(hooks, dict) else ():
        for number, group in enumerate(groups if isinstance(groups, list) else ()):
            for place, handler in enumerate(handlers(group)):
                if is_mine(handler, ours):
                    alone = {**group, "hooks": [handler]}
                    found.append(Found(event, number, place, handler["command"], alone))
    return found


def handlers(group: Any) -> list[Any]:
    handlers = group.get("hooks") if isinstance(group, dict) else None
    return handlers if isinstance(handlers, list) else []


def is_mine(handler: Any, ours: Ours) -> bool:
    command = handler.get("command") if isinstance(handler, dict) else None
    return isinstance(command, str) and ours(command)


def foreign(data: dict[str, Any], ours: Ours, keys: Collection[str] = ()) -> dict[str, Any]:
    """`data` without acr's handlers, without trust for `keys`, and without what that empties."""
    hooks = data.get("hooks")
    if not isinstance(hooks, dict):
        return data
    left: dict[str, Any] = {}
    for event, groups in hooks.items():
        if isinstance(groups, list):
            kept = []
            for group in groups:
                others = [h for h in handlers(group) if not is_mine(h, ours)]
                if others or not handlers(group):
                    kept.append({**group, "hooks": others} if handlers(group) else group)
            left[event] = kept
        elif event == "state" and isinstance(groups, dict):
            left[event] = {k: v for k, v in groups.items() if k not in keys}
        else:
            left[event] = groups
    rest = {**data, "hooks": {event: groups for event, groups in left.items() if groups}}
    if not rest["hooks"]:
        del rest["hooks"]
    return rest


def check(
    before: Any, after: Any, wanted: Mapping[str, Group], ours: Ours, keys: Collection[str] = ()
) -> None:
    """Raises SpliceError unless only acr's hooks differ, and those are as wanted."""
    mine = {found.event: found.value for found in hooks_in(after.get("hooks"), ours)}
    count = len(hooks_in(after.get("hooks"), ours))
    if (mine, count) != (dict(wanted), len(wanted)):
        raise SpliceError("acr's hooks cannot be changed there without touching the rest")
    if foreign(before, ours, keys) != foreign(after, ours, keys):
        raise SpliceError("the rest would not stay as it is")


def dumped(group: Group) -> str:
    return json.dumps(group, ensure_ascii=False)
