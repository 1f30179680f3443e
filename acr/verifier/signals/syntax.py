"""Do the changed files parse? By the language's own parser where acr has it, else by a grammar."""

from __future__ import annotations

import ast
import contextlib
import json
import tomllib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from acr import git
from acr.errors import SandboxError
from acr.nouns import Signal, Snapshot
from acr.verifier.ground import Ground
from acr.verifier.signals import grammars

__all__ = ["Checked", "ask_the_project", "check", "signal"]

_CHECK = """
import ast, sys
for path in sys.argv[1:]:
    try:
        ast.parse(open(path, "rb").read())
        print("parses", path)
    except (SyntaxError, ValueError, OSError):
        pass
"""
FILES = 200
"""Changed files looked at."""
FILE_CAP = 1024 * 1024
"""Bytes; a larger file is data, not code."""
_COMMENTED_JSON = ("tsconfig", "jsconfig", ".eslintrc", "devcontainer", "launch", "settings")
"""JSON files by these names may hold comments."""


@dataclass(slots=True)
class Checked:
    """What was found in the changed files; what was broken before is passed over."""

    files: int = 0
    """Looked at."""
    broken: dict[str, str] = field(default_factory=dict)
    """Path -> why, by the language's own parser: certain."""
    doubtful: dict[str, str] = field(default_factory=dict)
    """Path -> why, by a grammar, which may not know the newest or an unusual form."""


def check(
    changes: Iterable[tuple[str, str]],
    before: Snapshot,
    after: Snapshot,
    is_fixture: Callable[[str], bool],
) -> Checked:
    """Parses the files that `changes` (status, path) added or modified, fixtures aside."""
    mine = [path for status, path in changes if status in "AM" and not is_fixture(path)]
    certain = [path for path in mine if _parser(path)][:FILES]
    found = Checked(len(certain))
    for path in certain:
        if (why := _why(path, git.read(after, path))) and not _why(path, git.read(before, path)):
            found.broken[path] = why
    others = [path for path in mine if PurePosixPath(path).suffix in grammars.SUFFIXES][:FILES]
    asked = {path: data for path in others if len(data := git.read(after, path) or b"") < FILE_CAP}
    said = _by_grammar(asked)
    found.files += sum(why is not None for why in said.values())
    suspects = {path: git.read(before, path) or b"" for path, why in said.items() if why}
    earlier = _by_grammar({path: data for path, data in suspects.items() if len(data) < FILE_CAP})
    found.doubtful = {path: said[path] or "" for path in suspects if not earlier.get(path)}
    return found


def _by_grammar(files: Mapping[str, bytes]) -> dict[str, str | None]:
    """Path -> grammars.faults."""
    if not files:
        return {}
    asked = [(PurePosixPath(path).suffix, data) for path, data in files.items()]
    return dict(zip(files, grammars.faults(asked), strict=True))


def ask_the_project(found: Checked, ground: Ground) -> None:
    """Takes out Python files that the project's own Python, which may be newer, parses."""
    doubtful = [path for path in found.broken if path.endswith((".py", ".pyi"))]
    if ground.engine is None or not doubtful:
        return
    with contextlib.suppress(SandboxError), ground.copy() as copy:
        said = ground.run(copy, ("python3", "-I", "-c", _CHECK, *doubtful)).stdout
        for line in str(said).splitlines():
            found.broken.pop(line.removeprefix("parses "), None)


def signal(found: Checked) -> Signal:
    """The signal `syntax`: the share of changed files that parse; None when none could tell."""
    if not found.files:
        return Signal("syntax", None, 0.0, "no changed file has a parser here")
    bad = {**found.broken, **found.doubtful}
    if not bad:
        return Signal("syntax", 1.0, 0.0, f"{found.files} changed files parse")
    path, why = next(iter(bad.items()))
    sure = "do not parse" if found.broken else "may not parse"
    detail = f"{len(bad)} of {found.files} changed files {sure}: {path}: {why}"
    return Signal("syntax", 1 - len(bad) / found.files, 0.0, detail)


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
