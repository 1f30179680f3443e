"""Reads what test runners print and write: test id -> pass, fail or skip."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

__all__ = ["Results", "State", "parse", "read_junit"]

State = Literal["pass", "fail", "skip"]
Results = dict[str, State]
SIZE = 8 << 20
"""Bytes of one result file; a larger one is not read."""

UNITTEST = re.compile(
    r"^(\w+ \([\w.<>]+\))(?:\n[^\n]*?)? ?\.\.\. "
    r"(ok|FAIL|ERROR|skipped\b.*|expected failure|unexpected success)$",
    re.M,
)
CARGO = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", re.M)
TAP = re.compile(
    r"^ *(?P<not>not )?ok\b *\d* *(?:- *)?(?P<name>.*?)(?P<skip> # *(?:SKIP|TODO)\b.*)?$",
    re.M | re.I,
)
PASSED, FAILED = "✔✓√", "✖✕✗\u00d7"
MARKS = re.compile(
    rf"^\s*(?P<mark>[{PASSED}{FAILED}﹣↓○]) (?P<name>.+?)"
    r"(?: \(?\d[\d.]* ?m?s\)?)?(?P<skip> # SKIP)?$",
    re.M,
)
"""What runners for people print: node's spec reporter, jest, vitest, mocha."""


def parse(kind: str, stdout: str, stderr: str) -> Results:
    """Results in the output of a runner of this kind; empty when it shows none."""
    text = stdout + "\n" + stderr
    return {
        "unittest": _unittest,
        "go": lambda t: _go(t.splitlines()),
        "cargo": _cargo,
        "npm": _node,
        "pnpm": _node,
        "yarn": _node,
        "bun": _node,
    }.get(kind, _tap)(text)


def read_junit(paths: Iterable[Path]) -> Results | None:
    """Results in JUnit files; None when there is no readable one.

    Links, pipes and files over 8 MiB, which a test may have put there, are not read.
    """
    found: Results = {}
    seen = False
    for path in paths:
        raw = _read(path)
        if raw is not None:
            seen = True
            found |= _junit(raw)
    return found if seen else None


def _junit(raw: bytes) -> Results:
    from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped
    from junitparser.junitparser import TestCase, TestSuite

    try:
        xml = JUnitXml.fromstring(raw)
    except (JUnitXmlError, ValueError, SyntaxError):
        return {}
    cases: list[TestCase] = []
    for part in xml:
        cases += list(part) if isinstance(part, TestSuite) else [part]
    found: Results = {}
    for case in cases:
        kinds = {type(result) for result in case.result}
        bad = Failure in kinds or Error in kinds
        state: State = "fail" if bad else "skip" if Skipped in kinds else "pass"
        name = f"{case.classname or ''}::{case.name or ''}".removeprefix("::")
        found[name] = _worse(found.get(name), state)
    return found


def _unittest(text: str) -> Results:
    states: Mapping[str, State] = {"ok": "pass", "expected failure": "skip"}
    found: Results = {}
    for name, word in UNITTEST.findall(text):
        found[name] = "skip" if word.startswith("skipped") else states.get(word, "fail")
    return found


def _go(lines: Iterable[str]) -> Results:
    found: Results = {}
    for line in lines:
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(data, dict)
            and data.get("Test")
            and data.get("Action")
            in (
                "pass",
                "fail",
                "skip",
            )
        ):
            found[f"{data.get('Package')}.{data['Test']}"] = data["Action"]
    return found


def _cargo(text: str) -> Results:
    words: Mapping[str, State] = {"ok": "pass", "FAILED": "fail", "ignored": "skip"}
    return {name: words[word] for name, word in CARGO.findall(text)}


def _node(text: str) -> Results:
    return _tap(text) or _marks(text)


def _tap(text: str) -> Results:
    found: Results = {}
    for m in TAP.finditer(text):
        state: State = "skip" if m["skip"] else "fail" if m["not"] else "pass"
        name = m["name"].strip() or f"test {len(found) + 1}"
        found[name] = _worse(found.get(name), state)
    return found


def _marks(text: str) -> Results:
    found: Results = {}
    for m in MARKS.finditer(text):
        bad, good = m["mark"] in FAILED, m["mark"] in PASSED and not m["skip"]
        state: State = "fail" if bad else "pass" if good else "skip"
        name = m["name"].strip()
        if name != "failing tests:":
            found[name] = _worse(found.get(name), state)
    return found


def _worse(old: State | None, new: State) -> State:
    """Of two results with one name the worse counts."""
    order: tuple[State, ...] = ("fail", "skip", "pass")
    return min((s for s in (old, new) if s), key=order.index)


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > SIZE:
            return None
        return file.read(SIZE)
