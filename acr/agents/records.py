"""Reads the JSON that agents print: any line, any shape, and never an exception."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["dig", "lines", "number", "record", "rows", "shorten", "table", "text"]


def record(line: str) -> dict[str, Any]:
    """The JSON object in `line`; empty when it holds none."""
    if not line.lstrip().startswith("{"):
        return {}
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def lines(path: Path | None) -> Iterator[dict[str, Any]]:
    """The JSON objects in the lines of a file; none when it cannot be read."""
    try:
        if path is not None:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from map(record, file)
    except OSError:
        return


def dig(data: Any, *path: str) -> Any:
    """What lies at `path` in nested objects; None when a step is missing."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def table(data: Any, *path: str) -> dict[str, Any]:
    """The object at `path`; empty when there is none."""
    found = dig(data, *path)
    return found if isinstance(found, dict) else {}


def rows(data: Any, *path: str) -> list[dict[str, Any]]:
    """The objects in the list at `path`; empty when there is none."""
    found = dig(data, *path)
    return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []


def text(data: Any, *path: str) -> str:
    """The string at `path`; empty when there is none."""
    found = dig(data, *path)
    return found if isinstance(found, str) else ""


def number(data: Any, *path: str) -> int:
    """The count at `path`, 0 or more; 0 when there is none."""
    found = dig(data, *path)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        return 0
    return max(0, int(found))


def shorten(value: str, limit: int = 160) -> str:
    """`value` on one line of at most `limit` characters."""
    line = " ".join(value[: limit * 4].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
