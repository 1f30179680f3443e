"""Simple rules: work was done where it was asked, and nothing came along that nobody wants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from acr import git
from acr.nouns import Signal, Snapshot

__all__ = ["Added", "added", "signal"]

FILES = 300
"""Files that one attempt may change before that is thought strange."""
BYTES = 2 * 1024 * 1024
"""Bytes that one attempt may add before that is thought strange; secrets are looked for in them."""
_JUNK = re.compile(
    r"(?:.*/)?(?:node_modules|bower_components|__pycache__|\.venv|venv|\.tox|\.nox|\.nyc_output"
    r"|\.(?:pytest|mypy|ruff)_cache|htmlcov|\.ipynb_checkpoints|\.gradle|\.idea|target/debug"
    r"|target/release)/.*"
    r"|(?:.*/)?(?:\.DS_Store|Thumbs\.db|\.coverage|nohup\.out|core\.\d+|npm-debug\.log"
    r"|[^/]*(?:\.(?:orig|rej|pyc|pyo|class|o|swp|swo|bak)|~))"
)


@dataclass(frozen=True, slots=True)
class Added:
    """What a change brought along besides the work; paths."""

    conflicts: tuple[str, ...] = ()
    """Both ends of a conflict marker were added."""
    secrets: tuple[str, ...] = ()
    """A line that holds a key, a token or a password was added."""
    junk: tuple[str, ...] = ()
    """Added files that programs leave behind."""
    oversize: str = ""
    """How much was changed, when that is out of all proportion."""


def added(
    changes: Sequence[tuple[str, str]],
    before: Snapshot,
    after: Snapshot,
    redact: Callable[[str], str],
    is_test: Callable[[str], bool],
) -> Added:
    """Looks through the lines that `changes` (status, path) added.

    `redact` takes secrets out of text. Tests and their fixtures may have markers and secrets.
    """
    ends: dict[str, set[bytes]] = {}
    lines: dict[str, list[bytes]] = {}
    size = 0
    for path, line in _lines(git.diff(before, after)):
        size += len(line) + 1
        if is_test(path):
            continue
        if line.startswith((b"<<<<<<< ", b">>>>>>> ")):
            ends.setdefault(path, set()).add(line[:1])
        if size < BYTES:
            lines.setdefault(path, []).append(line)
    texts = {path: b"\n".join(new).decode(errors="replace") for path, new in lines.items()}
    junk = tuple(path for status, path in changes if status == "A" and _JUNK.fullmatch(path))
    much = len(changes) > FILES or size > BYTES
    return Added(
        tuple(path for path, seen in ends.items() if len(seen) == 2),
        tuple(path for path, text in texts.items() if redact(text) != text),
        junk,
        f"{len(changes)} files, {size / 1_048_576:.1f} MiB added" if much else "",
    )


def _lines(patch: bytes) -> Iterator[tuple[str, bytes]]:
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


def signal(changed: bool, may_change: bool, found: Added) -> Signal:
    """The signal `rules`: 1 when all hold, half of it for each small fault, 0 for a great one."""
    if not may_change:
        said = "the tree was changed though an answer was asked" if changed else "tree as it was"
        return Signal("rules", 0.0 if changed else 1.0, 0.0, said)
    if not changed:
        return Signal("rules", 0.0, 0.0, "nothing was changed though work was asked")
    if found.conflicts:
        return Signal("rules", 0.0, 0.0, f"conflict markers in {_some(found.conflicts)}")
    faults = []
    if found.secrets:
        faults.append(f"what looks like a secret was added to {_some(found.secrets)}")
    if found.junk:
        faults.append(f"left behind: {_some(found.junk)}")
    if found.oversize:
        faults.append(f"an unusually large change: {found.oversize}")
    whole = "something was changed; no conflict markers, secrets or leftovers"
    return Signal("rules", 0.5 ** len(faults), 0.0, "; ".join(faults) or whole)


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
