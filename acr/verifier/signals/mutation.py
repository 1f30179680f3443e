"""Plants faults in the code that new tests are about: tests that notice none are worth nothing.

Works on the text, so for every language with the usual operators; strings and comments are left
alone. A fault that does not compile is thrown away by the caller.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from acr import git
from acr.nouns import Snapshot
from acr.verifier import inline_tests, workcopy
from acr.verifier.ground import Changes, Ground, Progress
from acr.verifier.tampering import holds_tests, is_test

__all__ = ["LIMIT", "Fault", "faults", "targets", "tried"]

LIMIT = 8
"""Faults tried on one attempt."""
FILES = 5
"""Files that faults are planted in."""
FILE_CAP = 512 * 1024
"""Bytes; a larger file is not touched."""
LANGUAGES = (
    *(".py", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".go", ".rs", ".java", ".kt", ".rb"),
    *(".php", ".c", ".cc", ".cpp", ".cs", ".swift", ".scala"),
)
_SWAPS = {
    "==": "!=",
    "!=": "==",
    "<=": "<",
    ">=": ">",
    "<": "<=",
    ">": ">=",
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "%": "*",
    "&&": "||",
    "||": "&&",
    "and": "or",
    "or": "and",
    "true": "false",
    "false": "true",
    "True": "False",
    "False": "True",
}
_TOKEN = re.compile(
    r'"""[\s\S]*?(?:"""|\Z)|' + r"'''[\s\S]*?(?:'''|\Z)"
    r'|"(?:[^"\\\n]|\\.)*+"' + r"|'(?:[^'\\\n]|\\.)*+'|`(?:[^`\\]|\\.)*+`"
    r"|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|(?:^|(?<=\s))#[^\n]*"
    r"|(?<=[\w)\]\"'] )(?:==|!=|<=|>=|<|>|\+|-|\*|/|%|&&|\|\|)(?= [\w(\[\"'-])"
    r"|\b(?:and|or|true|false|True|False)\b"
    r"|(?<![\w.])\d{1,9}(?![\w.])",
    re.MULTILINE,
)
_DEFINES = re.compile(
    r"^[ \t]{0,40}(?:[\w<>\[\],.*&:]{1,80}[ \t]{1,9}){0,6}?(?:def|func|function|fn|fun)[ \t]{1,9}"
    r"(?:\([^)\n]{0,80}\)[ \t]{0,9})?(\w{1,80})"
    r"|^[ \t]{0,40}(?:(?:public|private|protected|static|final|async|export|const|let|var)"
    r"[ \t]{1,9}){1,6}[\w<>\[\], ]{0,80}?(\w{1,80})[ \t]{0,9}[=(]",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One file with one thing in it changed."""

    path: str
    line: int
    what: str
    """`old -> new`."""
    content: bytes


def tried(
    new: frozenset[str], changes: Changes, after: Snapshot, ground: Ground, progress: Progress
) -> list[tuple[Fault, bool]]:
    """Faults planted in the code that the tests `new` are about, and whether one noticed.

    Raises SandboxError.
    """
    mine = [path for status, path in changes if status in "AM" and holds_tests(path)]
    about = {path: git.read(after, path) or b"" for path in mine}
    if not new or not about:
        return []
    product = [path for path in git.paths(after) if not is_test(path)]
    code = {path: git.read(after, path) or b"" for path in targets(about, product)}
    found: list[tuple[Fault, bool]] = []
    stop = time.monotonic() + ground.settings.limits.wall
    with ground.copy() as copy:
        for fault in faults(code, about):
            if time.monotonic() > stop:
                break
            progress(f"trying the new tests on a planted fault in {fault.path}")
            workcopy.write(copy, {fault.path: fault.content})
            ran = ground.tests(copy)
            workcopy.write(copy, {fault.path: code[fault.path]})
            if ran.state == "ran":
                found.append((fault, bool(new - ran.passed)))
    return found


def targets(tests: Mapping[str, bytes], sources: Iterable[str]) -> tuple[str, ...]:
    """Those of `sources` (paths) that the test files are about: named in them, or beside them."""
    text = b"\n".join(tests.values()).decode(errors="replace")
    words = set(re.findall(r"\w+", text))
    folders = {str(PurePosixPath(path).parent) for path in tests if path.endswith("_test.go")}
    found = []
    for path in sources:
        pure = PurePosixPath(path)
        if pure.suffix not in LANGUAGES:
            continue
        beside = pure.suffix == ".go" and str(pure.parent) in folders
        if beside or path in tests or pure.stem in words:
            found.append(path)
    return tuple(found[:FILES])


def faults(code: Mapping[str, bytes], tests: Mapping[str, bytes]) -> tuple[Fault, ...]:
    """At most LIMIT faults in `code`, spread over it, the same on every call.

    Where the tests name functions of the code, only those get faults.
    """
    words = set(re.findall(r"\w+", b"\n".join(tests.values()).decode(errors="replace")))
    texts = {
        path: data.decode(errors="surrogateescape")
        for path, data in code.items()
        if len(data) <= FILE_CAP
    }
    places = [(path, *place) for path, text in texts.items() for place in _places(path, text)]
    chosen = [place for place in places if place[1] in words] or places
    chance = random.Random(0)  # noqa: S311 - to spread, not to hide
    picked = sorted(chance.sample(range(len(chosen)), min(LIMIT, len(chosen))))
    return tuple(_fault(texts[chosen[n][0]], chosen[n][0], *chosen[n][2:]) for n in picked)


def _places(path: str, text: str) -> Iterator[tuple[str, int, int, str]]:
    """(function around it, start, end, new text) of every place where a fault can be planted."""
    starts = [(found.start(), found[1] or found[2]) for found in _DEFINES.finditer(text)]
    tests = inline_tests.spans(text) if path.endswith(".rs") else []
    function = ""
    for token in _TOKEN.finditer(text):
        while starts and starts[0][0] <= token.start():
            function = starts.pop(0)[1]
        new = _SWAPS.get(token[0]) or (str(int(token[0]) + 1) if token[0].isdigit() else "")
        if new and not any(start <= token.start() < end for start, end in tests):
            yield function, token.start(), token.end(), new


def _fault(text: str, path: str, start: int, end: int, new: str) -> Fault:
    content = (text[:start] + new + text[end:]).encode(errors="surrogateescape")
    return Fault(path, text.count("\n", 0, start) + 1, f"{text[start:end]} -> {new}", content)
