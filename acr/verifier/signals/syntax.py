"""Do the changed files parse? Python, JSON and TOML, each by its language's own parser."""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from acr import git
from acr.nouns import Signal, Snapshot

__all__ = ["CHECK", "broken_files", "signal"]

CHECK = """
import ast, sys
for path in sys.argv[1:]:
    try:
        ast.parse(open(path, "rb").read())
        print("parses", path)
    except (SyntaxError, ValueError, OSError):
        pass
"""
"""For the project's own Python, which may be newer than acr's: names the files that parse."""
FILES = 200
"""Changed files looked at."""
FILE_CAP = 1024 * 1024
"""Bytes; a larger file is data, not code."""
_COMMENTED_JSON = ("tsconfig", "jsconfig", ".eslintrc", "devcontainer", "launch", "settings")
"""JSON files by these names may hold comments."""


def broken_files(
    changes: Iterable[tuple[str, str]],
    before: Snapshot,
    after: Snapshot,
    is_fixture: Callable[[str], bool],
) -> tuple[dict[str, str], int]:
    """({path: why it does not parse}, files looked at); what was broken before is passed over."""
    wanted = [p for s, p in changes if s in "AM" and _parser(p) and not is_fixture(p)]
    broken = {}
    for path in wanted[:FILES]:
        if (why := _why(path, git.read(after, path))) and not _why(path, git.read(before, path)):
            broken[path] = why
    return broken, len(wanted[:FILES])


def signal(broken: dict[str, str], looked_at: int) -> Signal:
    """The signal `syntax`: the share of changed files that parse; None when none could tell."""
    if not looked_at:
        return Signal("syntax", None, 0.0, "no changed file has a parser here")
    if not broken:
        return Signal("syntax", 1.0, 0.0, f"{looked_at} changed files parse")
    first = next(f"{path}: {why}" for path, why in broken.items())
    detail = f"{len(broken)} of {looked_at} changed files do not parse: {first}"
    return Signal("syntax", 1 - len(broken) / looked_at, 0.0, detail)


def _why(path: str, data: bytes | None) -> str:
    """Why `data` does not parse; empty when it does, or is not there."""
    parse = _parser(path)
    if data is None or parse is None or len(data) > FILE_CAP:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(data)
    except SyntaxError as e:
        return f"line {e.lineno}: {e.msg}"
    except (ValueError, RecursionError, MemoryError) as e:
        return " ".join(str(e).split())[:200] or type(e).__name__
    return ""


def _parser(path: str) -> Callable[[bytes], object] | None:
    pure = PurePosixPath(path)
    if pure.suffix == ".json" and pure.name.startswith(_COMMENTED_JSON):
        return None
    return _PARSERS.get(pure.suffix)


_PARSERS: dict[str, Callable[[bytes], object]] = {
    ".json": json.loads,
    ".py": ast.parse,
    ".pyi": ast.parse,
    ".toml": lambda data: tomllib.loads(data.decode()),
}
