"""What a test run said: states by test id, read from files and text that nobody vouches for."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

__all__ = [
    "Results",
    "State",
    "UnreadableError",
    "cargo",
    "go",
    "jest",
    "junit",
    "plain",
    "read_result",
    "tap",
    "worst",
]

State = Literal["passed", "failed", "error", "skipped"]
"""error: the test, or the file that holds it, could not be run."""
_ORDER: tuple[State, ...] = ("skipped", "passed", "failed", "error")
RESULT_CAP = 8 * 1024 * 1024
"""Bytes of one result file; a larger one is refused."""
MESSAGE_CAP = 2000
"""Characters kept of one failure's message: its end."""
NAME_CAP = 500
"""Characters of a test id; of a longer one the middle is replaced by a hash of the whole."""

DEPTH_CAP = 100
"""Suites within suites."""
LINE_CAP = 2000
"""Characters of a line that a pattern with two unknown parts is tried on."""


class UnreadableError(Exception):
    """A result file that is missing, forged or broken; the text says which."""


@dataclass(slots=True)
class Results:
    """Test id -> state, and what the failing ones said."""

    states: dict[str, State] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)

    def add(self, test: str, state: State, message: str = "") -> None:
        """Notes one result; a test that is reported twice has its worse state."""
        test = _name(test)
        self.states[test] = worst(self.states.get(test, state), state)
        if message and state in ("failed", "error"):
            self.messages[test] = plain(message[-4 * MESSAGE_CAP :])[-MESSAGE_CAP:]

    def below(self, *roots: Path) -> Results:
        """The same with ids relative to the root that they start with."""

        def bare(test: str) -> str:
            root = next((f"{root}/" for root in roots if test.startswith(f"{root}/")), "")
            return test.removeprefix(root)

        same = Results()
        for test, state in self.states.items():
            same.add(bare(test), state, self.messages.get(test, ""))
        return same


def worst(one: State, other: State) -> State:
    """The state that is further from a pass; skipped counts least."""
    return max(one, other, key=_ORDER.index)


_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\Z)"  # OSC and other strings
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)


def plain(text: str) -> str:
    """`text` without terminal escapes and control characters; lines and tabs stay."""
    bare = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return "".join(c for c in bare if c.isprintable() or c in "\n\t")


_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,16}\b")


def _name(test: str) -> str:
    """A test id as one short line, without addresses in memory, which differ in every run."""
    name = _ADDRESS.sub("0x…", " ".join(plain(test).split())) or "unnamed"
    if len(name) <= NAME_CAP:
        return name
    half = (NAME_CAP - 18) // 2
    middle = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:16]
    return f"{name[:half]}…{middle}…{name[-half:]}"


def read_result(path: Path) -> bytes:
    """The bytes of a regular result file. Raises UnreadableError for anything else.

    Neither a link nor a FIFO in its place is followed, and its size is bounded.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        missing = e.errno == errno.ENOENT
        why = "was not written" if missing else f"cannot be read: {e.strerror}"
        raise UnreadableError(f"the result file {path.name} {why}") from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise UnreadableError(f"the result file {path.name} is not a file")
        if info.st_size > RESULT_CAP:
            raise UnreadableError(f"the result file {path.name} is over {RESULT_CAP >> 20} MiB")
        return os.read(descriptor, RESULT_CAP)
    finally:
        os.close(descriptor)


def junit(data: bytes) -> Results:
    """JUnit XML of pytest, node:test, vitest, mocha, surefire, gradle. Raises UnreadableError."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UnreadableError("the result file declares entities, which no test runner does")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - no entities, size bounded
    except (ElementTree.ParseError, ValueError) as e:
        raise UnreadableError(f"the result file is not JUnit XML: {e}") from None
    found = Results()
    for suites, case in _cases(root, ()):
        state, message = _case_state(case)
        found.add(_case_id(suites, case), state, message)
    return found


def _cases(
    element: ElementTree.Element, suites: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], ElementTree.Element]]:
    """Each testcase with the names of the suites around it. Raises UnreadableError."""
    waiting = [(element, suites)]
    while waiting:
        one, around = waiting.pop()
        if len(around) > DEPTH_CAP:
            raise UnreadableError(f"the result file nests over {DEPTH_CAP} suites")
        suites_below = [child for child in reversed(one) if child.tag == "testsuite"]
        waiting += [(child, (*around, child.get("name", ""))) for child in suites_below]
        for child in one:
            if child.tag == "testcase":
                yield around, child


def _case_state(case: ElementTree.Element) -> tuple[State, str]:
    import junitparser

    read_case: Any = junitparser.TestCase.fromelem
    parsed = read_case(case)
    if parsed.is_skipped:
        return "skipped", ""
    message = "\n".join(f"{r.message or ''}\n{r.text or ''}" for r in parsed.result)
    if parsed.is_error:
        return "error", message
    return ("failed", message) if parsed.is_failure else ("passed", "")


def _case_id(suites: tuple[str, ...], case: ElementTree.Element) -> str:
    name, owner, file = (case.get(key, "") for key in ("name", "classname", "file"))
    if file:  # pytest: file::Class::name
        module = file.removesuffix(".py").replace("/", ".")
        inner = owner.removeprefix(module).strip(".").replace(".", "::")
        return "::".join(part for part in (file, inner, name) if part)
    if owner and owner not in ("test", *suites):
        return f"{owner}::{name}"
    return "::".join(part for part in (*suites, name) if part not in ("", "pytest"))


def jest(data: bytes) -> Results:
    """jest --json. Raises UnreadableError."""
    found = Results()
    try:
        report = json.loads(data)
        for file in report["testResults"]:
            name = str(file["name"])
            for test in file["assertionResults"]:
                state = _JEST.get(test["status"], "skipped")
                said = "\n".join(test.get("failureMessages") or [])
                found.add(f"{name}::{test['fullName']}", state, said)
            if file.get("status") == "failed" and not file["assertionResults"]:
                found.add(name, "error", str(file.get("message", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableError("the result file is not jest's JSON") from None
    return found


_JEST: Mapping[str, State] = {"passed": "passed", "failed": "failed"}


def go(text: str) -> Results:
    """go test -json: tests by package; a package that fails without a failing test is an error."""
    found = Results()
    said: dict[str, list[str]] = {}
    ended: dict[tuple[str, str], State] = {}
    for event in _json_lines(text):
        package, test, action = (str(event.get(key, "")) for key in ("Package", "Test", "Action"))
        name = f"{package}::{test}" if test else package
        if action in ("output", "build-output"):
            said.setdefault(name, []).append(str(event.get("Output", ""))[-MESSAGE_CAP:])
        elif action in _GO:
            ended[package, test] = worst(ended.get((package, test), _GO[action]), _GO[action])
    failed = {package for (package, test), state in ended.items() if test and state == "failed"}
    for (package, test), state in ended.items():
        name = f"{package}::{test}" if test else package
        if test:
            found.add(name, state, "".join(said.get(name, ())))
        elif state == "failed" and package not in failed:
            found.add(package, "error", "".join(said.get(package, ())))
    return found


_GO: Mapping[str, State] = {"pass": "passed", "fail": "failed", "skip": "skipped"}


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event


_CARGO_TARGET = re.compile(r"\s*(?:Running (\S.*?)(?: \(.*\))?|Doc-tests (\S+))$")
_CARGO_TEST = re.compile(r"test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")


def cargo(stdout: str, stderr: str) -> Results:
    """cargo test: the names of targets come on stderr, the results of each on stdout, in order."""
    found = Results()
    targets = (_CARGO_TARGET.match(line[:LINE_CAP]) for line in stderr.splitlines())
    names = [m[1] or f"doc {m[2]}" for m in targets if m]
    target = -1
    for line in stdout.splitlines():
        if re.match(r"running \d+ tests?$", line):
            target += 1
        elif result := _CARGO_TEST.match(line):
            name = names[target] if 0 <= target < len(names) else str(target)
            state: State = {"ok": "passed", "FAILED": "failed"}.get(result[2], "skipped")  # type: ignore[assignment]
            found.add(f"{name}::{result[1]}", state)
    _cargo_messages(found, stdout)
    if not found.states and "could not compile" in stderr:
        found.add("cargo build", "error", stderr)
    return found


def _cargo_messages(found: Results, stdout: str) -> None:
    """What failing tests said; cargo names no target there, so one of each name has it."""
    failed = {t.split("::", 1)[-1]: t for t, state in found.states.items() if state == "failed"}
    parts = re.split(r"^---- (.+?) (?:stdout|stderr) ----$", stdout, flags=re.M)
    for name, text in zip(parts[1::2], parts[2::2], strict=False):
        if test := failed.get(_name(name)):
            found.add(test, "failed", text.split("\n\nfailures:")[0])


_TAP_LINE = re.compile(r"( *)(not )?ok\b(?: (\d+))?(?: -)? ?(.*)$")
_TAP_DIRECTIVE = re.compile(r"#\s*(skip|todo)\b", re.I)


def tap(text: str) -> Results | None:
    """TAP, subtests by their indentation; None when `text` has no TAP plan."""
    lines = text.splitlines()
    if not any(re.match(r"TAP version \d+|1\.\.\d+", line) for line in lines):
        return None
    found = Results()
    for depth, name, state in _tap_points(lines):
        if depth == 0 or state == "failed":
            found.add(name, state)
    planned = [int(m[1][:9]) for line in lines if (m := re.match(r"1\.\.(\d+)", line))]
    seen = sum(1 for depth, _, _ in _tap_points(lines) if depth == 0)
    if planned and seen < planned[-1]:
        found.add("TAP plan", "error", f"{planned[-1]} tests were planned, {seen} reported")
    if any(line.startswith("Bail out!") for line in lines):
        found.add("TAP plan", "error", "the run bailed out")
    return found


def _tap_points(lines: Iterable[str]) -> Iterator[tuple[int, str, State]]:
    for line in lines:
        point = _TAP_LINE.match(line)
        if not point:
            continue
        directive = _TAP_DIRECTIVE.search(point[4])
        name = point[4][: directive.start()].strip() if directive else point[4].strip()
        state: State = "skipped" if directive else "failed" if point[2] else "passed"
        yield len(point[1]), name or f"test {point[3] or ''}".strip(), state
