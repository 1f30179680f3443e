"""Where commands write: results to stdout, progress and errors to stderr, JSON with stable keys."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from acr.nouns import to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["clean", "emit_json", "err", "out", "table"]

NARROWEST = 80
"""Columns; a narrower terminal wraps a table's lines, which rich would cut figures from."""
SURROGATE = re.compile("[\ud800-\udfff]")


@cache
def out() -> Console:
    """The console on stdout; plain off a terminal and under NO_COLOR."""
    from rich.console import Console

    made = Console(highlight=False, soft_wrap=True)
    made.width = max(made.width, NARROWEST)
    return made


@cache
def err() -> Console:
    """The console on stderr, for progress and warnings."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def emit_json(data: Any) -> None:
    """One JSON document on stdout."""
    text = json.dumps(to_json(data), ensure_ascii=False, indent=2)
    # bytes of a path that are not UTF-8 become JSON escapes, which Python reads back as they were
    sys.stdout.write(SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table in acr's style; columns named in `right` are right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def clean(text: str) -> str:
    """`text` without control characters, safe to show on a terminal, rich markup escaped."""
    from rich.markup import escape

    kept = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
    return escape(kept)
