"""Planted tests, one of which must fail: whether what a run reports is what happened.

Tests share a process with the code that they test, so that code can make every test "pass" or
print results and end the process. It does not know the planted tests, whose names are random:
a run that does not report them as they are is not believed. Code that aims at the tests which
it knows by name, and lets all others be, is not caught.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from acr.verifier.signals.results import Results, UnreadableError, read_result

__all__ = ["Canary", "plant", "test_files"]

WALKED = 20_000
"""Entries of the copy that are looked through for a place."""
_SKIPPED = ("node_modules", ".venv", "venv", "vendor", "target", "build", "dist", ".git")
_STOPS_EARLY = re.compile(r"(?<![\w-])(-x|--exitfirst|--maxfail|--sw|--stepwise)\b|\bbail\b")
_WHY = "planted by acr: this test must fail"


@dataclass(frozen=True, slots=True)
class Canary:
    """Two tests to plant in a copy."""

    token: str = field(default_factory=lambda: "zz" + secrets.token_hex(8))
    """Random; in the ids of both."""
    files: dict[str, bytes] = field(default_factory=dict)
    """New content by path relative to the copy."""

    def take(self, found: Results) -> dict[str, bool]:
        """Id (without the token) -> whether it was reported as it is; taken out of `found`."""
        mine = {test: found.states.pop(test) for test in list(found.states) if self.token in test}
        for test in mine:
            found.messages.pop(test, None)
        return {
            test.replace(self.token, ""): (
                state == "passed" if test.endswith("_passes") else state in ("failed", "error")
            )
            for test, state in mine.items()
        }


def plant(runner: str, folder: Path, cwd: str, argv: tuple[str, ...]) -> Canary:
    """The tests to plant for `runner` in the copy `folder`; no files where there is no good place.

    `runner` is pytest, unittest, node, jest, vitest, mocha, go or cargo. A run that stops at
    the first failure gets none.
    """
    canary = Canary()
    place = _PLACES.get(runner)
    if place is None or _STOPS_EARLY.search(" ".join([*argv, *_settings(folder / cwd)])):
        return canary
    for path, text in place(canary.token, folder / cwd):
        canary.files[os.path.normpath(os.path.join(cwd, path))] = text.encode()
    return canary


def _settings(folder: Path) -> Iterator[str]:
    for name in ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"):
        yield _read(folder / name)
    for file in sorted(folder.glob("*.config.*")):
        yield _read(file)
    yield _read(folder / "package.json")


def _read(path: Path) -> str:
    try:
        return read_result(path).decode(errors="replace")
    except UnreadableError:
        return ""


def test_files(folder: Path, name: str) -> Iterator[Path]:
    """Files below `folder`, relative to it, whose names match `name`; not those of dependencies."""
    seen = 0
    for here, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED)
        for file in sorted(files):
            seen += 1
            if re.fullmatch(name, file):
                yield Path(here, file).relative_to(folder)
        if seen > WALKED:
            return


Place = Callable[[str, Path], Iterator[tuple[str, str]]]


def _pytest(token: str, folder: Path) -> Iterator[tuple[str, str]]:
    ways = [f"raise AssertionError({_WHY!r})", f"assert 1 == 2, {_WHY!r}"]
    for beside in test_files(folder, r"test_.*\.py|.*_test\.py"):
        starts = beside.name.startswith("test_")
        name = f"test_{token}.py" if starts else f"{token}_test.py"
        tests = [f"def test_{token}_passes():\n    pass\n"]
        tests += [f"def test_{token}_{n}_fails():\n    {way}\n" for n, way in enumerate(ways)]
        yield str(beside.with_name(name)), "\n\n".join(tests)
        return


def _unittest(token: str, folder: Path) -> Iterator[tuple[str, str]]:
    ways = [f"raise AssertionError({_WHY!r})", f"self.fail({_WHY!r})"]
    ways += [f"self.assertEqual(1, 2, {_WHY!r})", f"self.assertTrue(False, {_WHY!r})"]
    for beside in test_files(folder, r"test.*\.py"):
        tests = [f"    def test_{token}_passes(self):\n        pass\n"]
        for n, way in enumerate(ways):
            tests.append(f"    def test_{token}_{n}_fails(self):\n        {way}\n")
        head = f"import unittest\n\n\nclass Test_{token}(unittest.TestCase):\n"
        yield str(beside.with_name(f"test_{token}.py")), head + "\n".join(tests)
        return


def _script(commonjs: str, module: str, *ways: str) -> Place:
    """JavaScript, appended to each test file, since each runs in a world of its own.

    `commonjs` and `module` make what `ways`, statements that fail, use; $ is the token.
    """

    def place(token: str, folder: Path) -> Iterator[tuple[str, str]]:
        for path in test_files(folder, r".*\.(test|spec)\.[cm]?[jt]sx?"):
            text = _read(folder / path)
            head = module if re.search(r"^\s*(import|export)\b", text, re.M) else commonjs
            lines = [f'{token}_test("{token}_passes", () => {{}});']
            for n, way in enumerate((f'throw new Error("{_WHY}")', *ways)):
                fails = way.replace("$", f"{token}_")
                lines.append(f'{token}_test("{token}_{n}_fails", () => {{ {fails}; }});')
            yield str(path), "\n".join([text, ";", head.replace("$", f"{token}_"), *lines, ""])

    return place


def _go(token: str, folder: Path) -> Iterator[tuple[str, str]]:
    packages: dict[Path, str] = {}
    for beside in test_files(folder, r".*_test\.go"):
        found = re.search(r"^package\s+(\w+)", _read(folder / beside), re.M)
        if found:
            packages.setdefault(beside.parent, found[1])
    for package, name in packages.items():
        passes = f"func TestZ_{token}_passes(t *testing.T) {{}}\n"
        fails = f'func TestZ_{token}_fails(t *testing.T) {{ t.Fatal("{_WHY}") }}\n'
        text = f'package {name}\n\nimport "testing"\n\n{passes}\n{fails}'
        yield str(package / f"{token}_test.go"), text


def _cargo(token: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Appended to each file that has tests: a Rust file is no part of the build by itself."""
    for path in test_files(folder, r".*\.rs"):
        text = _read(folder / path)
        if "#[test]" in text:
            passes = f"    #[test]\n    fn {token}_passes() {{}}\n"
            fails = f'    #[test]\n    fn {token}_fails() {{ panic!("{_WHY}") }}\n'
            yield str(path), f"{text}\n#[cfg(test)]\nmod {token} {{\n{passes}{fails}}}\n"


_ASSERTS = tuple(
    f"$assert{way}"
    for way in ("(0)", ".ok(0)", ".equal(1, 2)", ".strictEqual(1, 2)", ".deepEqual(1, 2)")
)
_EXPECTS = tuple(f"$expect(1).{way}" for way in ("toBe(2)", "toEqual(2)", "toBeNull()"))
_NODE = (
    'const $test = require("node:test").test, $assert = require("node:assert");',
    'import { test as $test } from "node:test"; import $assert from "node:assert";',
)
_JEST = "const $test = globalThis.test ?? (() => {}), $expect = globalThis.expect;"
_VITEST = 'import { expect as $expect, test as $test } from "vitest";'
_MOCHA = "const $test = globalThis.it ?? (() => {});"
_PLACES: dict[str, Place] = {
    "pytest": _pytest,
    "unittest": _unittest,
    "node": _script(*_NODE, *_ASSERTS),
    "jest": _script(_JEST, _JEST, *_EXPECTS),
    "vitest": _script(_VITEST, _VITEST, *_EXPECTS),
    "mocha": _script(_MOCHA, _MOCHA),
    "go": _go,
    "cargo": _cargo,
}
