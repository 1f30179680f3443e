"""Splices hooks into JSON text, with or without comments; every other character stays.

Places are found by json's own decoder, and what comes out is parsed again: it must say the same as
before but for acr's hooks, or nothing is changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from acr.installer.splice import (
    Edit,
    Found,
    Group,
    Ours,
    SpliceError,
    applied,
    check,
    dumped,
    handlers,
    hooks_in,
    is_mine,
    line_of,
    newline_of,
)

__all__ = ["json_hooks", "json_merged", "json_settings"]

_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|(//[^\n]*?(?=\r?\n|\Z)|/\*.*?\*/)', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Item:
    """A member of an object or array: from its key or start, its value, to its end."""

    key: str
    start: int
    inner: int
    end: int
    value: Any


@dataclass(frozen=True, slots=True)
class _Box:
    """An object or array: where it opens, its items, where it closes."""

    start: int
    items: tuple[_Item, ...]
    close: int

    def named(self, key: str) -> _Item | None:
        return next((item for item in reversed(self.items) if item.key == key), None)


class _Page:
    """JSON text, its comments and its layout."""

    def __init__(self, text: str, comments: bool) -> None:
        self.text = text
        self.comments: list[tuple[int, int]] = []
        self.plain = _COMMENT.sub(self._blank, text) if comments else text
        try:
            self.data = json.loads(self.plain, parse_constant=_no_constant)
        except json.JSONDecodeError as e:
            raise SpliceError(e.msg, e.lineno) from None
        except RecursionError:
            raise SpliceError("it is nested too deeply") from None
        if not isinstance(self.data, dict):
            raise SpliceError("it is not an object", 1)
        self.eol = newline_of(text)
        unit = re.search(r"\n([ \t]+)\S", text)
        self.unit = unit[1] if unit else "  "
        self.root = self.box(_space(self.plain, 0))
        self.check_keys(self.root, ("hooks",))
        hooks = self.root.named("hooks")
        if hooks and not isinstance(hooks.value, dict):
            raise SpliceError("hooks is not an object", line_of(text, hooks.start))
        self.hooks = self.box(hooks.inner) if hooks else None
        if self.hooks:
            self.check_keys(self.hooks, {item.key for item in self.hooks.items})

    def _blank(self, found: re.Match[str]) -> str:
        if not found[1]:
            return found[0]
        self.comments.append(found.span())
        return re.sub(r"[^\r\n]", " ", found[0])

    def check_keys(self, box: _Box, keys: Iterable[str]) -> None:
        """Raises SpliceError where one of `keys` is there twice: agents differ in which counts."""
        for key in keys:
            twice = [item for item in box.items if item.key == key][1:]
            if twice:
                raise SpliceError(f"{key} is there twice", line_of(self.text, twice[0].start))

    def box(self, start: int) -> _Box:
        """The object or array that opens at `start`."""
        text = self.plain
        close = "}" if text[start] == "{" else "]"
        at, items = _space(text, start + 1), []
        while text[at] != close:
            first, key = at, ""
            if close == "}":
                key, at = _DECODER.raw_decode(text, at)
                at = _space(text, _space(text, at) + 1)
            inner = at
            value, at = _DECODER.raw_decode(text, at)
            items.append(_Item(key, first, inner, at, value))
            at = _space(text, at)
            if text[at] == ",":
                at = _space(text, at + 1)
        return _Box(start, tuple(items), at)

    def indent(self, at: int) -> str:
        """The white space that begins the line of `at`."""
        begun = self.text.rfind("\n", 0, at) + 1
        return self.text[begun : len(self.text) - len(self.text[begun:].lstrip(" \t"))]

    def below(self, box: _Box) -> str:
        """How items of `box` begin: a new line and its indent, or nothing in one line."""
        if not box.items:
            return self.eol + self.indent(box.start) + self.unit
        first = box.items[0]
        if "\n" not in self.text[box.start : first.start]:
            return ""
        return self.eol + self.indent(first.start)

    def added(self, box: _Box, texts: Sequence[str]) -> list[Edit]:
        """Appends items to `box`, after comments that end its last line."""
        gap = self.below(box)
        new = ("," + (gap or " ")).join(texts)
        if box.items:
            end = box.items[-1].end
            notes = [n for n in self.comments if n[0] >= end and "\n" not in self.text[end : n[0]]]
            begun, at = max((n for n in notes if n[1] <= box.close), default=(end, end))
            if self.text.startswith("//", begun) and not gap:  # it lasts to the end of its line
                gap = self.eol + self.indent(box.start) + self.unit
            new = (gap or " ") + new
            return [(end, end, ","), (at, at, new)] if at > end else [(end, end, "," + new)]
        ends = (b for a, b in self.comments if box.start < a < box.close)
        at = max(ends, default=box.start + 1)
        closed = "\n" in self.text[at : box.close]
        return [(at, at, gap + new + ("" if closed else self.eol + self.indent(box.start)))]

    def notes(self, box: _Box) -> bool:
        """Whether comments stand in `box` itself."""
        within = [a for a, _ in self.comments if box.start < a < box.close]
        return any(not any(i.start <= a < i.end for i in box.items) for a in within)

    def emptied(self, box: _Box, inner: str | None) -> list[Edit]:
        """Cuts all items out of `box`; `inner` is what was in it before acr, if that is known."""
        edits: list[Edit] = [(item.start, item.end, "") for item in box.items]
        for one, two in pairwise(box.items):
            comma = self.plain.find(",", one.end, two.start)
            edits.append((comma, comma + 1, ""))
        left = applied(self.text[: box.close], edits)[box.start + 1 :]
        if inner is not None and inner.split() == left.split():
            left = inner
        return [(box.start + 1, box.close, left if left.strip() or left == inner else "")]

    def removed(self, box: _Box, doomed: Sequence[_Item]) -> list[Edit]:
        """Cuts `doomed`, but not all items, out of `box`."""
        edits: list[Edit] = []
        items = box.items
        at = 0
        while at < len(items):
            if items[at] not in doomed:
                at += 1
                continue
            first = at
            while at < len(items) and items[at] in doomed:
                at += 1
            end = items[at - 1].end
            if at < len(items):
                comma = self.plain.find(",", end)
                edits.append((items[first].start, _space(self.text, comma + 1), ""))
                continue
            comma = self.plain.find(",", items[first - 1].end)
            note = max((n for n in self.comments if n[1] <= items[first].start), default=(0, 0))
            start = max(note[1], comma + 1)
            alone = start == note[1] and self.text.startswith("//", note[0])
            if alone and "\n" not in self.text[end : _space(self.text, end)]:
                start = items[first].start  # that comment needs the end of its line
            edits += [(start, end, ""), (comma, comma + 1, "")]
        return edits


def _no_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def json_settings(text: str, *, comments: bool = False) -> dict[str, Any]:
    """The data of a settings file. Raises SpliceError when it cannot be read."""
    return dict(_Page(text, comments).data)


def json_hooks(text: str, ours: Ours, *, comments: bool = False) -> list[Found]:
    """acr's hooks in a settings file. Raises SpliceError when it cannot be read."""
    return hooks_in(_Page(text, comments).data.get("hooks"), ours) if text.strip() else []


def json_merged(
    text: str,
    wanted: Mapping[str, Group],
    ours: Ours,
    *,
    comments: bool = False,
    base: str | None = None,
) -> str:
    """`text` with exactly `wanted` (event -> group) as acr's hooks; none cuts them all out.

    A group that is there keeps its place; a new one is appended. `base` is the text before acr was
    there, after which containers that become empty are dropped or kept. Raises SpliceError.
    """
    if not text.strip():
        text = "" if not wanted else "{}\n"
    if not text:
        return text
    page = _Page(text, comments)
    kept = page.data
    page = _Page(applied(text, _pruned(page, wanted, ours, _empty(base, comments))), comments)
    page = _Page(applied(page.text, _inserted(page, wanted, ours)), comments)
    check(kept, page.data, wanted, ours)
    blank = base is not None and not base.strip() and page.plain.split() == ["{}"]
    return base or "" if blank else page.text


def _empty(base: str | None, comments: bool) -> dict[tuple[str, ...], str]:
    """Path of each container of hooks in `base` -> the text in it when it is empty."""
    if not base or not base.strip():
        return {}
    try:
        page = _Page(base, comments)
    except SpliceError:
        return {}
    boxes: dict[tuple[str, ...], _Box] = {(): page.root}
    if page.hooks:
        boxes["hooks",] = page.hooks
        for pair in page.hooks.items:
            if isinstance(pair.value, list):
                boxes["hooks", pair.key] = page.box(pair.inner)
    return {
        path: "" if box.items else page.text[box.start + 1 : box.close]
        for path, box in boxes.items()
    }


def _pruned(
    page: _Page, wanted: Mapping[str, Group], ours: Ours, empty: Mapping[tuple[str, ...], str]
) -> list[Edit]:
    """Cuts what is acr's and not wanted, and brings what is wanted up to date in its place."""
    edits: list[Edit] = []
    gone: list[_Item] = []
    hooks = page.hooks
    for pair in hooks.items if hooks else ():
        if not isinstance(pair.value, list):
            if pair.key in wanted:
                raise SpliceError(f"{pair.key} is not a list", line_of(page.text, pair.start))
            continue
        array = page.box(pair.inner)
        doomed, changed = _groups(page, array, wanted.get(pair.key), ours)
        edits += changed
        if len(doomed) < len(array.items):
            edits += page.removed(array, doomed)
        elif doomed and (("hooks", pair.key) in empty or page.notes(array)):
            edits += page.emptied(array, empty.get(("hooks", pair.key)))
        elif doomed:
            gone.append(pair)
    if not hooks or not gone:
        return edits
    if len(gone) < len(hooks.items):
        return edits + page.removed(hooks, gone)
    if ("hooks",) in empty or page.notes(hooks):
        return page.emptied(hooks, empty.get(("hooks",)))
    if len(page.root.items) == 1:
        return page.emptied(page.root, empty.get(()))
    return page.removed(page.root, [item for item in page.root.items if item.key == "hooks"])


def _groups(
    page: _Page, array: _Box, want: Group | None, ours: Ours
) -> tuple[list[_Item], list[Edit]]:
    """(groups to cut, edits within groups) of one event."""
    doomed: list[_Item] = []
    edits: list[Edit] = []
    for group in array.items:
        mine = [is_mine(handler, ours) for handler in handlers(group.value)]
        if not any(mine):
            continue
        if not all(mine):  # somebody put theirs into acr's group, or acr's into theirs
            inside = page.box(page.box(group.inner).named("hooks").inner)  # type: ignore[union-attr]  # has handlers
            cut = [item for item, own in zip(inside.items, mine, strict=True) if own]
            edits += page.removed(inside, cut)
        elif want is None:
            doomed.append(group)
        else:
            if group.value != want:
                edits.append((group.start, group.end, dumped(want)))
            want = None
    return doomed, edits


def _inserted(page: _Page, wanted: Mapping[str, Group], ours: Ours) -> list[Edit]:
    """Appends the groups that are not there yet."""
    there = {found.event for found in hooks_in(page.data.get("hooks"), ours)}
    missing = {event: dumped(group) for event, group in wanted.items() if event not in there}
    edits: list[Edit] = []
    if not missing:
        return edits
    hooks = page.hooks
    for pair in hooks.items if hooks else ():
        if pair.key in missing:
            edits += page.added(page.box(pair.inner), [missing.pop(pair.key)])
    if not missing:
        return edits
    box = hooks or page.root
    gap = page.below(box)
    deeper = gap + page.unit if gap and not hooks else gap
    within = deeper + page.unit if deeper else ""
    pairs = [f'"{event}": [{within}{group}{deeper}]' for event, group in missing.items()]
    if not hooks:
        pairs = ['"hooks": {' + deeper + ("," + (deeper or " ")).join(pairs) + gap + "}"]
    return edits + page.added(box, pairs)
