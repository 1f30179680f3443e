"""How the command line words figures: moments, spans of time, rates with their n."""

from __future__ import annotations

import re
import time

from acr.errors import UsageError

__all__ = ["ago", "rate", "since", "span"]

_UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def span(seconds: float) -> str:
    """`8.2 s`, `67 s`, `15 min`, `3.2 h`; a clock that went backwards gives 0.0 s."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def ago(moment: float, now: float | None = None) -> str:
    """`just now`, `5 min ago`, `3 h ago`, then the local `01-31 14:05`, then `2026-01-31`."""
    passed = (time.time() if now is None else now) - moment
    if passed < 60:
        return "just now"
    if passed < 3570:
        return f"{passed / 60:.0f} min ago"
    if passed < _UNITS["d"]:
        return f"{passed / 3600:.0f} h ago"
    if moment <= 0:
        return "unknown"
    try:
        form = "%m-%d %H:%M" if passed < 300 * _UNITS["d"] else "%Y-%m-%d"
        return time.strftime(form, time.localtime(moment))
    except (OverflowError, OSError, ValueError):  # a clock far off when it was stored
        return "unknown"


def rate(wins: int, n: int, low: float, high: float) -> str:
    """`67 % [30-90]`: with its interval in percent; `-` when nothing was counted."""
    return f"{100 * wins / n:.0f} % [{100 * low:.0f}-{100 * high:.0f}]" if n else "-"


def since(text: str | None, now: float | None = None) -> float | None:
    """Seconds since the epoch of `7d`, `24h`, `2w` or a local date `2026-01-31`.

    Raises UsageError when it is none of these.
    """
    if text is None:
        return None
    if found := re.fullmatch(r"([0-9]{1,6})([hdw])", text.strip()):
        return (time.time() if now is None else now) - int(found[1]) * _UNITS[found[2]]
    try:
        return time.mktime(time.strptime(text.strip(), "%Y-%m-%d"))
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text}: give a span such as 24h, 7d or 2w, or a date such as 2026-01-31"
        ) from None
