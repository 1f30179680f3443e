"""The syntax signal: changed files still parse."""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from acr.nouns import Signal

__all__ = ["signal"]

SIZE = 2 << 20


def _python(raw: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(raw)


PARSERS: dict[str, Callable[[bytes], object]] = {
    ".json": json.loads,
    ".py": _python,
    ".toml": lambda raw: tomllib.loads(raw.decode()),
}


def signal(files: Iterable[tuple[str, bytes]], weight: float) -> Signal:
    """Score: the share of the changed files of a known kind that parse; None without any."""
    seen, broken = 0, []
    for path, raw in files:
        parse = PARSERS.get(Path(path).suffix)
        if parse is None or len(raw) > SIZE:
            continue
        seen += 1
        try:
            parse(raw)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
            line = getattr(e, "lineno", None)
            broken.append(f"{path}{f':{line}' if line else ''}")
    if not seen:
        return Signal("syntax", None, weight, "no changed file of a kind that is parsed here")
    detail = f"does not parse: {', '.join(broken)}" if broken else f"{seen} changed files parse"
    return Signal("syntax", 1 - len(broken) / seen, weight, detail)
