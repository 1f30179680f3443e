"""Nouns as rows that plain tools can read: scalars are columns, everything else is JSON text."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from acr.memory.redaction import redact
from acr.nouns import from_json, to_json

T = TypeVar("T")

__all__ = ["bind", "columns", "from_row", "plain", "redacted", "shown", "text", "to_row"]


def to_row(noun: Any) -> dict[str, Any]:
    """Column -> value for SQLite, without secrets."""
    return {name: bind(value) for name, value in redacted(to_json(noun)).items()}


def from_row(kind: type[T], row: Mapping[str, Any], prefix: str = "") -> T:
    """The noun of `kind` from the columns `prefix` + field; absent columns take defaults."""
    present = set(row.keys())
    data = {
        name: read(row[prefix + name])
        for name, read in _readers(typing.cast(Any, kind)).items()
        if prefix + name in present
    }
    return from_json(kind, data)


def columns(kind: Any, alias: str) -> str:
    """The select list that `from_row` reads with the prefix `alias` + "_"."""
    return ", ".join(f"{alias}.{name} AS {alias}_{name}" for name in _readers(kind))


def redacted(data: Any) -> Any:
    """JSON data with the secrets taken out of every text; numbers that JSON lacks are None."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {key: redacted(value) for key, value in data.items()}
    if isinstance(data, list):
        return [redacted(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def bind(value: Any) -> Any:
    """`value` as SQLite takes it; text that is not valid Unicode (odd paths) is a blob."""
    if isinstance(value, (dict, list)):
        readable = json.dumps(value, ensure_ascii=False)
        return readable if _is_unicode(readable) else json.dumps(value)
    if isinstance(value, str) and not _is_unicode(value):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _readers(kind: Any) -> dict[str, Callable[[Any], Any]]:
    """Field -> what turns its column into JSON data again; vectors have tables of their own."""
    hints = typing.get_type_hints(kind)
    return {f.name: _reader(hints[f.name]) for f in fields(kind) if f.name != "embedding"}


def _reader(hint: Any) -> Callable[[Any], Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = typing.get_args(hint)[0]
    scalars: dict[Any, Callable[[Any], Any]] = {str: text, int: int, bool: bool, float: float}
    literal = typing.get_origin(hint) is typing.Literal
    convert = text if literal else scalars.get(hint, json.loads)
    return lambda value: None if value is None else convert(value)


def plain(value: Any) -> Any:
    """`value`, or for text that is not valid Unicode the same with question marks."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def shown(value: Any) -> Any:
    """A column's value for other programs: text that is not valid Unicode has question marks."""
    return plain(text(value)) if isinstance(value, bytes) else value


def text(value: str | bytes) -> str:
    """What `bind` was given for a text column."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
