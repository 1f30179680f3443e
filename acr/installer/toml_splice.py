"""Splices hooks into TOML text, and trust for them; every other character stays.

What comes out is parsed again: it must say the same as before but for acr's hooks, or nothing is
changed."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

__all__ = ["toml_hooks", "toml_merged"]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*",
    re.DOTALL,
)
_HEADER = re.compile(r"^[ \t]*\[.*\][ \t]*\r?$", re.MULTILINE)
_HASH = re.compile(r"^([ \t]*trusted_hash[ \t]*=[ \t]*)(\"[^\"\n]*\"|'[^'\n]*')", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Section:
    """A table: its path, whether it is one of an array, from its header to its last value."""

    path: tuple[str, ...]
    array: bool
    start: int
    end: int


def _loaded(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(e))
        line = int(found[1] or line_of(text, len(text))) if found else 0
        raise SpliceError(str(e)[: found.start()] if found else str(e), line) from None
    except RecursionError:
        raise SpliceError("it is nested too deeply") from None


def _sections(text: str) -> list[_Section]:
    """All tables with a header, in order."""

    def blank(found: re.Match[str]) -> str:
        keep = found[0][0] in "\"'" and found[0][:3] not in ('"""', "'''")
        return found[0] if keep else re.sub(r"[^\r\n]", " ", found[0])

    plain = _TOKEN.sub(blank, text)
    headers = [(h.start(), *named) for h in _HEADER.finditer(plain) if (named := _path(h))]
    sections = []
    for number, (start, path, array) in enumerate(headers):
        limit = headers[number + 1][0] if number + 1 < len(headers) else len(text)
        last = start + len(plain[start:limit].rstrip())
        newline = text.find("\n", last)
        sections.append(_Section(path, array, start, newline + 1 if newline >= 0 else len(text)))
    return sections


def _path(header: re.Match[str]) -> tuple[tuple[str, ...], bool] | None:
    """(names, whether an array) of a header; None for a line of an array that looks like one."""
    line = header[0].strip()
    try:
        data: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    names = []
    while data and isinstance(data, dict):
        ((name, data),) = data.items()
        names.append(name)
    return tuple(names), line.startswith("[[")


def toml_hooks(text: str, ours: Ours) -> list[Found]:
    """acr's hooks below [hooks]. Raises SpliceError when the text cannot be read."""
    return hooks_in(_loaded(text).get("hooks"), ours)


def toml_merged(
    text: str,
    wanted: Mapping[str, Group],
    ours: Ours,
    *,
    trust: Mapping[str, str] | None = None,
    distrust: Collection[str] = (),
    base: str | None = None,
) -> str:
    """The same as json_merged for [[hooks.EVENT]] tables.

    `trust` sets trusted_hash of keys in [hooks.state]; `distrust` are keys whose table is cut out.
    """
    trust = trust or {}
    data = _loaded(text)
    hooks = data.get("hooks", {})
    states = hooks.get("state", {}) if isinstance(hooks, dict) else None
    if not isinstance(states, dict):
        raise SpliceError("hooks is not a table")
    edits, missing = _toml_pruned(text, data, wanted, ours)
    for section in _sections(text):
        key = section.path[-1]
        if section.array or section.path != ("hooks", "state", key):
            continue
        if key in distrust:
            edits.append((*_with_blank(text, section), ""))
        elif key in trust and "trusted_hash" in states[key]:
            within = text[section.start : section.end]
            new = _HASH.sub(rf'\g<1>"{trust[key]}"', within)
            edits.append((section.start, section.end, new))
    blocks = [_block(event, group) for event, group in missing.items()]
    blocks += [
        f'[hooks.state.{json.dumps(key, ensure_ascii=False)}]\ntrusted_hash = "{value}"\n'
        for key, value in trust.items()
        if "trusted_hash" not in states.get(key, {})
    ]
    after = _appended(applied(text, edits), blocks, newline_of(text))
    if edits and base and not base.endswith("\n") and after == base + newline_of(text):
        after = base  # the newline was acr's as well
    check(data, _loaded(after), wanted, ours, {*trust, *distrust})
    return after


def _toml_pruned(
    text: str, data: Any, wanted: Mapping[str, Group], ours: Ours
) -> tuple[list[Edit], dict[str, Group]]:
    """(edits of what is there, groups that are not there yet)."""
    edits: list[Edit] = []
    missing = dict(wanted)
    runs = list(_runs(_sections(text)))
    hooks = data.get("hooks", {})
    for event in {found.event: None for found in hooks_in(hooks, ours)}:
        tables = [run for run in runs if run[0].path == ("hooks", event)]
        if len(tables) != len(hooks[event]):
            raise SpliceError(f"the hooks of {event} are written inline; cut acr's out by hand")
        for group, run in zip(hooks[event], tables, strict=True):
            mine = [is_mine(handler, ours) for handler in handlers(group)]
            if not any(mine):
                continue
            want = missing.get(event)
            whole = _Section(run[0].path, True, run[0].start, run[-1].end)
            if not all(mine):
                below = [s for s in run if s.path == ("hooks", event, "hooks")]
                if len(below) != len(mine):
                    raise SpliceError(f"a hook of {event} is written inline; cut acr's by hand")
                cut = [section for section, own in zip(below, mine, strict=True) if own]
                edits += [(*_with_blank(text, section), "") for section in cut]
            elif want is None:
                edits.append((*_with_blank(text, whole), ""))
            else:
                if group != want:
                    new = _block(event, want).replace("\n", newline_of(text))
                    edits.append((whole.start, whole.end, new))
                del missing[event]
    return edits, missing


def _runs(sections: Sequence[_Section]) -> Iterator[list[_Section]]:
    """Each [[hooks.EVENT]] with the tables below it."""
    run: list[_Section] = []
    for section in sections:
        if run and section.path[:2] == run[0].path and len(section.path) > 2:
            run.append(section)
            continue
        if run:
            yield run
        group = section.array and len(section.path) == 2 and section.path[0] == "hooks"
        run = [section] if group else []
    if run:
        yield run


def _with_blank(text: str, section: _Section) -> tuple[int, int]:
    """Its span, with the blank line before it."""
    found = re.search(r"(?:^|(?<=\n))\r?\n\Z", text[max(0, section.start - 4) : section.start])
    return section.start - (len(found[0]) if found else 0), section.end


def _appended(text: str, blocks: Sequence[str], eol: str) -> str:
    for block in blocks:
        if text and not text.endswith("\n"):
            text += eol
        text += (eol if text else "") + block.replace("\n", eol)
    return text


def _block(event: str, group: Group) -> str:
    lines = [f"[[hooks.{event}]]"]
    lines += [f"{name} = {dumped(v)}" for name, v in group.items() if name != "hooks"]
    for handler in group["hooks"]:
        lines += [f"[[hooks.{event}.hooks]]", *(f"{k} = {dumped(v)}" for k, v in handler.items())]
    return "".join(line + "\n" for line in lines)
