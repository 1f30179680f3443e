"""Tests that stand in the product's own files: Rust's `#[cfg(test)] mod … { … }`."""

from __future__ import annotations

import re

__all__ = ["spans", "with_tests_of"]

_SKIPPED = re.compile(
    r"//[^\n]*"
    r"|/\*.*?(?:\*/|\Z)"
    r'|b?r(#*)".*?(?:"\1|\Z)'
    r'|b?"(?:[^"\\]|\\.)*+(?:"|\Z)'
    r"|b?'(?:[^'\\\n]|\\[^\n]{1,9}?)'"
    r"|[{}]"
    r"|#\s*\[\s*cfg\s*\(\s*(?:all\s*\(\s*)?test\b[^\]]{0,200}\]",
    re.DOTALL,
)
_MODULE = re.compile(
    r"(?:\s{1,200}|#\[[^\]\n]{0,200}\]|//[^\n]{0,200}\n){0,20}"
    r"(?:pub(?:\([^)\n]{0,80}\))?\s{1,20})?mod\s{1,20}\w{1,80}\s{0,20}\{"
)


def with_tests_of(old: bytes, new: bytes) -> bytes:
    """The attempt's Rust file with the test modules of the base's; its own are left out.

    Only modules at the top level of the file are known.
    """
    before, after = old.decode(errors="surrogateescape"), new.decode(errors="surrogateescape")
    theirs = [before[start:end] for start, end in spans(before)]
    mine = spans(after)
    if [after[start:end] for start, end in mine] == theirs:
        return new
    rest = after
    for start, end in reversed(mine):
        rest = rest[:start] + rest[end:]
    return "\n\n".join([rest.rstrip(), *theirs, ""]).encode(errors="surrogateescape")


def spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of the test modules at the top level."""
    found: list[tuple[int, int]] = []
    depth, start = 0, -1
    for token in _SKIPPED.finditer(text):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth == 0 and start >= 0:
                found.append((start, token.end()))
                start = -1
        elif token[0].startswith("#") and depth == 0 and _MODULE.match(text, token.end()):
            start = token.start()
    return found
