"""Checks JSON data from outside against a noun before it is made into one."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["check"]


def check(kind: Any, data: Any, where: str) -> None:
    """Raises ValueError that says what is wrong, and where, unless `from_json(kind, data)` fits.

    Unknown keys are allowed: a later version may have more.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if data is not None or types.NoneType not in args:
            check(args[0], data, where)
    elif origin is typing.Literal:
        _demand(data in args, where, "one of " + ", ".join(map(str, args)))
    elif origin is tuple:
        _demand(isinstance(data, list), where, "a list")
        each = args[:1] * len(data) if args[-1] is Ellipsis else args
        _demand(len(each) == len(data), where, f"{len(each)} items")
        for number, (item, value) in enumerate(zip(each, data, strict=True)):
            check(item, value, f"{where}[{number}]")
    elif origin is Mapping:
        _demand(isinstance(data, dict), where, "an object")
        for key, value in data.items():
            check(args[1], value, f"{where}.{key}")
    elif dataclasses.is_dataclass(kind):
        _check_fields(kind, data, where)
    elif kind is float:
        _demand(isinstance(data, (int, float)) and not isinstance(data, bool), where, "a number")
    elif kind is not Any:
        _demand(type(data) is kind, where, {str: "text", int: "a whole number"}.get(kind, "a bool"))


def _check_fields(kind: Any, data: Any, where: str) -> None:
    _demand(isinstance(data, dict), where, "an object")
    for name, (hint, required) in _fields(kind).items():
        if name in data:
            check(hint, data[name], f"{where}.{name}")
        else:
            _demand(not required, where, f"an object with {name!r}")


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Field -> (type, whether it must be there)."""
    hints = typing.get_type_hints(kind)
    none = dataclasses.MISSING
    return {
        f.name: (hints[f.name], f.default is none and f.default_factory is none)
        for f in dataclasses.fields(kind)
    }


def _demand(fits: bool, where: str, wanted: str) -> None:
    if not fits:
        raise ValueError(f"{where} must be {wanted}")
