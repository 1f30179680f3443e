"""Changes one value in a TOML file and keeps every other byte of it."""

from __future__ import annotations

import contextlib
import copy
import re
import tomllib
from pathlib import Path
from typing import Any

from acr.errors import SettingsError

__all__ = ["dotted", "key_path", "parsed", "spelt", "with_value"]

_BASIC = r'"(?:\\.|[^"\\])*"'
_LITERAL = r"'[^']*'"
_ASSIGNMENT = re.compile(
    rf"(?P<head>\s*(?:{_BASIC}|{_LITERAL}|[A-Za-z0-9_\-.\s])+=[ \t]*)"
    rf"(?P<value>{_BASIC}|{_LITERAL}|\[[^\]#]*\]|[^\s#,]+)"
    r"(?P<tail>\s*(?:#.*)?)",
    re.DOTALL,
)
"""One `key = value # comment` statement on a line of its own."""


def with_value(text: str, key: tuple[str, ...], value: Any, written: str, file: Path) -> str:
    """`text` with `key` set to `value`, spelt `written`; every other byte is kept.

    Raises SettingsError when that cannot be done safely: the result is parsed, and must
    differ from `text` in this key only.
    """
    before = parsed(text, file)
    candidate = _spliced(text, key, written)
    wanted = copy.deepcopy(before)
    table = wanted
    for name in key[:-1]:
        table = table.setdefault(name, {}) if isinstance(table, dict) else {}
    if isinstance(table, dict):
        table[key[-1]] = value
    with_result = None
    with contextlib.suppress(tomllib.TOMLDecodeError):
        with_result = tomllib.loads(candidate)
    if with_result != wanted:
        raise SettingsError(
            f"{file}: {dotted(key)} is written there in a way that cannot be changed without "
            "touching the rest; use `acr config edit`"
        )
    return candidate


def parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise SettingsError(f"{file}: {e}; mend that line, or use `acr config edit`") from None


def _spliced(text: str, key: tuple[str, ...], written: str) -> str:
    """`text` with the statement of `key` changed, or added to its table, or to a new one."""
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    table: tuple[str, ...] = ()
    end_of_table = None
    for number, line in enumerate(lines):
        head = key_path(line)
        if line.lstrip().startswith("["):
            table = head
        elif head and (*table, *head) == key and (found := _ASSIGNMENT.fullmatch(line)):
            lines[number] = found["head"] + written + found["tail"]
            return "".join(lines)
        if table == key[:-1] and line.strip():
            end_of_table = number
    statement = f"{dotted(key[-1:])} = {written}{newline}"
    if end_of_table is None:
        gap = newline if text.strip() else ""
        addition = f"{gap}[{dotted(key[:-1])}]{newline}{statement}"
        return _ended(text, newline) + addition
    lines[end_of_table] = _ended(lines[end_of_table], newline)
    lines.insert(end_of_table + 1, statement)
    return "".join(lines)


def _ended(text: str, newline: str) -> str:
    return text if not text or text.endswith("\n") else text + newline


def key_path(line: str) -> tuple[str, ...]:
    """The key that a table header or a statement on one line is about; empty when it is neither."""
    try:
        data = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    found: list[str] = []
    while isinstance(data, dict) and len(data) == 1:
        ((name, data),) = data.items()
        found.append(name)
    return tuple(found)


def dotted(key: tuple[str, ...]) -> str:
    """`key` as TOML spells it."""
    return ".".join(k if re.fullmatch(r"[A-Za-z0-9_-]+", k) else spelt(k) for k in key)


def spelt(value: Any) -> str:
    import tomli_w

    return tomli_w.dumps({"v": value}).partition("=")[2].strip()
