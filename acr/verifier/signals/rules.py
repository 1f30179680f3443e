"""The rules signal: what holds for every result, whatever was asked."""

from __future__ import annotations

from collections.abc import Iterable

from acr.nouns import Signal

__all__ = ["CHANGES_NOTHING", "signal"]

CHANGES_NOTHING = "code_understanding"
"""The dimension whose work is an answer, not a change."""
MARKERS = (b"<<<<<<< ", b">>>>>>> ")


def signal(dimension: str, files: Iterable[tuple[str, bytes]], weight: float) -> Signal:
    """Score: the share of the rules that hold."""
    changed = dict(files)
    conflicts = [path for path, raw in changed.items() if _conflicted(raw)]
    broken = []
    if dimension != CHANGES_NOTHING and not changed:
        broken.append("nothing was changed")
    if conflicts:
        broken.append(f"conflict markers in {', '.join(conflicts)}")
    return Signal("rules", 1 - len(broken) / 2, weight, "; ".join(broken) or "all rules hold")


def _conflicted(raw: bytes) -> bool:
    lines = raw.splitlines()
    return all(any(line.startswith(marker) for line in lines) for marker in MARKERS)
