"""acr status --short: one line for a shell's prompt, in a few milliseconds and without packages."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

from acr.home import home
from acr.memory.rates import wilson

__all__ = ["line", "midnight", "write"]

LETTERS = 28
"""Characters of a model's name that are shown."""
MARKS = {"pass": "✓", "fail": "✗"}


def write(text: str) -> None:
    """A line on stdout, as UTF-8 whatever the locale says."""
    sys.stdout.buffer.write(f"{text}\n".encode())
    sys.stdout.flush()


def midnight(now: float | None = None) -> float:
    """When today began, by the local clock; seconds since the epoch."""
    day = time.localtime(now)[:3]
    return time.mktime((*day, 0, 0, 0, 0, 0, -1))


def line() -> str | None:
    """`gpt-6-sol ✓ · $0.42 today · 71 % [66-76] of 368`; None when memory needs migration or help.

    `≥` says that some costs are unknown, `plan` that a subscription pays what list prices say.
    """
    path = home() / "memory.db"
    if not path.exists():
        return "no runs yet"
    try:
        return _read(path)
    except sqlite3.Error:  # damaged, newer, older or held: the long way says which
        return None


def _read(path: Path) -> str | None:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.05)
    try:
        last = db.execute(
            "SELECT model, profile, status FROM figures ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        if last is None:
            return "no runs yet"
        today = db.execute(
            "SELECT plan, count(*), count(cost + judging), total(cost + judging) FROM figures"
            " WHERE started >= ? GROUP BY plan ORDER BY plan",
            (midnight(),),
        ).fetchall()
        wins, losses = db.execute("SELECT total(wins), total(losses) FROM statistics").fetchone()
    finally:
        db.close()
    model, profile, status = last
    name = "".join(c for c in str(model or profile) if c.isprintable())[:LETTERS]
    spent = " + ".join(_spent(*row) for row in today) or "$0.00"
    n = int(wins + losses)
    rate = f"{100 * wins / n:.0f} % {_interval(wins, n)} of {n}" if n else "nothing verified"
    return f"{name} {MARKS.get(status, '?')} · {spent} today · {rate}"


def _interval(wins: float, n: int) -> str:
    low, high = wilson(int(wins), n)
    return f"[{100 * low:.0f}-{100 * high:.0f}]"


def _spent(plan: int, n: int, known: int, usd: float) -> str:
    mark = " plan" if plan else ""
    if not known:
        return f"cost unknown{mark}"
    return f"{'' if known == n else '≥ '}${usd:.2f}{mark}"
