"""Simple rules: work that was asked was done, questions left the tree alone, no merge leftovers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from acr import git
from acr.nouns import Signal, Snapshot

__all__ = ["conflicts", "signal"]


def conflicts(
    before: Snapshot, after: Snapshot, is_fixture: Callable[[str], bool]
) -> tuple[str, ...]:
    """Files to which both ends of a conflict marker were added; fixtures may have them."""
    seen: dict[str, set[bytes]] = {}
    for path, line in _added(git.diff(before, after)):
        if line.startswith((b"<<<<<<< ", b">>>>>>> ")):
            seen.setdefault(path, set()).add(line[:1])
    return tuple(path for path, ends in seen.items() if len(ends) == 2 and not is_fixture(path))


def _added(patch: bytes) -> Iterator[tuple[str, bytes]]:
    """(path, line) of every line that the patch adds."""
    path, inside = "", False
    for line in patch.splitlines():
        if line.startswith(b"diff --git "):
            inside = False
        elif line.startswith(b"@@ "):
            inside = True
        elif not inside and line.startswith(b"+++ b/"):
            path = line[6:].rstrip(b"\t").decode(errors="surrogateescape")
        elif inside and line.startswith(b"+"):
            yield path, line[1:]


def signal(changed: bool, may_change: bool, marked: Sequence[str]) -> Signal:
    """The signal `rules`: 1 when all hold, 0 when one is broken."""
    if not may_change:
        said = "the tree was changed though an answer was asked" if changed else "tree as it was"
        return Signal("rules", 0.0 if changed else 1.0, 0.0, said)
    if not changed:
        return Signal("rules", 0.0, 0.0, "nothing was changed though work was asked")
    if marked:
        return Signal("rules", 0.0, 0.0, f"conflict markers in {', '.join(marked)}")
    return Signal("rules", 1.0, 0.0, "something was changed; no conflict markers")
