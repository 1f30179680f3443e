"""Test files and runner settings that an attempt touched, and how to undo that for a run."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from acr import git
from acr.nouns import Signal, Snapshot, TestCommand
from acr.verifier.inline_tests import with_tests_of
from acr.verifier.workcopy import DEPENDENCIES

__all__ = [
    "Restoration",
    "hidden",
    "holds_tests",
    "is_fixture",
    "is_test",
    "recipe",
    "restoration",
    "scripts",
    "signal",
    "with_hidden",
]

_TEST_NAME = re.compile(
    r"test_.*\.py|.*_tests?\.(py|go|rb|exs|dart|cc|cpp|c|php|lua|sh|[cm]?[jt]sx?)|tests?\.py"
    r"|.*\.(test|spec)\.\w+|(.*-)?test\.[cm]?[jt]sx?|test-.*\.[cm]?[jt]sx?"
    r"|.*_spec\.(rb|lua)|(run|do)[-_]?tests?(\.\w+)?"
    r"|.*(Test|Tests|TestCase|IT|Spec)\.(java|kt|scala|groovy|cs|php|swift)|Test[A-Z]\w*\.java"
)
_TEST_FOLDERS = ("tests", "__tests__", "testdata", "__snapshots__", "__mocks__")
"""Everything in these is of the tests, at any depth."""
_TOP_TEST_FOLDERS = re.compile(
    r"(?:(?:packages|crates|apps|libs|modules|plugins)/[^/]+/)?(?:test|spec)/.*"
    r"|(?:.*/)?src/(?:test|it)/.*"
)
"""Everything in these is of the tests at the top of a package; deeper it may be the product."""
_RUNNER = re.compile(
    r"(?:.*/)?(?:conftest\.py|\.?pytest\.(?:ini|toml)|tox\.(?:ini|toml)|setup\.cfg|noxfile\.py"
    r"|sitecustomize\.py|usercustomize\.py|(?:GNUm|m|M)akefile|\.mocharc\..*|\.npmrc|\.node-version"
    r"|(?:jest|vitest|vite|karma|ava|playwright|cypress)\.(?:config|conf|setup|workspace)\..*"
    r"|\.?babel(?:rc|\.config)(?:\..*)?|\.swcrc|\.nycrc(?:\..*)?|\.c8rc(?:\..*)?|\.taprc"
    r"|\.pnpmfile\.cjs|\.yarnrc(?:\.yml)?|bunfig\.toml|go\.work"
    r"|[^/]+\.(?:dist|egg)-info/entry_points\.txt"
    r"|\.cargo/config(?:\.toml)?|rust-toolchain(?:\.toml)?|\.mvn/.+|gradle\.properties)"
)
"""Paths of files that say how tests run and little else."""
_WATCHED = re.compile(
    r"pyproject\.toml|package\.json|Cargo\.toml|go\.mod|pom\.xml|build\.gradle(\.kts)?"
    r"|requirements.*\.txt|.*\.lock|.*lock\.(json|yaml)|go\.sum"
)
"""Files that may change for good reasons too: reported, restored only in what runs tests."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What to change in a copy of the attempt's tree so that the base's tests decide."""

    restore: tuple[str, ...] = ()
    """Files of the base that the attempt changed or deleted."""
    delete: tuple[str, ...] = ()
    """Files that the attempt added."""
    rewrite: dict[str, bytes] = field(default_factory=dict)
    """Files that keep the attempt's content but for what runs the tests."""
    touched: tuple[str, ...] = ()
    """Everything of note, as `status path`, whether undone or not."""

    @property
    def needed(self) -> bool:
        """Whether the tree as it is and the tree for the deciding run differ."""
        return bool(self.restore or self.delete or self.rewrite)

    @property
    def rewrote_tests(self) -> bool:
        """Whether tests of the base were changed or deleted."""
        inline = any(path.endswith(".rs") for path in self.rewrite)
        return inline or any(is_test(path) for path in self.restore)


def is_test(path: str) -> bool:
    """Whether the file belongs to the tests, by its name and folders."""
    pure = PurePosixPath(path)
    if _TEST_NAME.fullmatch(pure.name):
        return True
    if any(folder in _TEST_FOLDERS for folder in pure.parts[:-1]):
        return True
    return bool(_TOP_TEST_FOLDERS.fullmatch(path))


def holds_tests(path: str) -> bool:
    """Whether tests may stand in the file: a test file, or one whose language has them inline."""
    return is_test(path) or path.endswith(".rs")


def is_fixture(path: str) -> bool:
    """Whether the file is material of the tests and no test itself; it may be broken by intent."""
    return is_test(path) and not _TEST_NAME.fullmatch(PurePosixPath(path).name)


def restoration(
    changes: Iterable[tuple[str, str]],
    before: Snapshot,
    after: Snapshot,
    command: TestCommand | None = None,
) -> Restoration:
    """What the attempt's `changes` (status, path) did to tests and their settings.

    Scripts that the test `command` runs are such settings.
    """
    called = scripts(command, before)
    restore: list[str] = []
    delete: list[str] = []
    touched: list[str] = []
    rewrite: dict[str, bytes] = {}
    for status, path in changes:
        name = PurePosixPath(path).name
        is_runner = is_test(path) or path in called or bool(_RUNNER.fullmatch(path))
        is_ci = path.startswith((".github/", ".gitlab-ci", ".circleci/"))
        part = _PARTS.get(name) or _PARTS.get(PurePosixPath(path).suffix)
        mended = None
        if part and status == "M" and not is_runner:
            old, new = git.read(before, path) or b"", git.read(after, path) or b""
            mended = part(old, new)
            if mended != new:
                rewrite[path] = mended
        if is_runner:
            (delete if status == "A" else restore).append(path)
        if is_runner or is_ci or path in rewrite or _WATCHED.fullmatch(name):
            touched.append(f"{status} {path}")
    return Restoration(tuple(restore), tuple(delete), rewrite, tuple(touched))


def scripts(command: TestCommand | None, base: Snapshot) -> frozenset[str]:
    """Paths that the test command, or what the base's files make it run, hands to a program."""
    if command is None:
        return frozenset()
    words = re.findall(r"[\w./@+-]+", recipe(command, base))
    named = {os.path.normpath(os.path.join(command.cwd, word)) for word in words}
    named |= {f"{name}{suffix}" for name in tuple(named) for suffix in (".js", ".mjs", ".cjs")}
    return frozenset(path for path in named if _PROGRAM.fullmatch(path))


def recipe(command: TestCommand, base: Snapshot) -> str:
    """What the test command may run as far as the base's files say: recipes, scripts of npm."""
    said = " ".join(command.argv) if command.kind in _CALLERS else ""
    for name, part in _CALLERS.get(command.kind, {}).items():
        path = os.path.normpath(os.path.join(command.cwd, name))
        said += "\n" + part((git.read(base, path) or b"").decode(errors="replace"))
    return said


_PROGRAM = re.compile(
    r"(?:.*/)?(?:[^/]+\.(?:sh|bash|zsh|bat|ps1)"
    r"|[^/]*(?:test|check|spec|verify)[^/]*(?:\.(?:pl|py|rb|php|[cm]?[jt]s))?)"
)
"""Scripts that run tests: of other languages those that say so, since tests may run the product."""


def _recipes(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("\t"))


def _package_scripts(text: str) -> str:
    table = (_json_table(text.encode()) or {}).get("scripts")
    return "\n".join(map(str, table.values())) if isinstance(table, dict) else ""


_CALLERS: dict[str, dict[str, Callable[[str], str]]] = {
    "make": dict.fromkeys(("GNUmakefile", "makefile", "Makefile"), _recipes),
    "custom": {"Makefile": _recipes, "package.json": _package_scripts},
    **{kind: {"package.json": _package_scripts} for kind in ("npm", "pnpm", "yarn", "bun")},
}
"""Kind of command -> files that say what it runs, and the part of each that does."""


def hidden(root: Path, shown: Iterable[str]) -> dict[str, bytes]:
    """Content of files below `root` that decide how tests run and are not among the paths `shown`.

    Git shows no file that it was told to ignore. Installed packages are not looked at, nor files
    that are too large for settings.
    """
    known, found = set(shown), {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _UNSEEN]
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), root)
            if (_RUNNER.fullmatch(path) or _TEST_NAME.fullmatch(name)) and path not in known:
                found[path] = git.content(root / path, HIDDEN_CAP)
    return found


HIDDEN_CAP = 256 * 1024
"""Bytes of one hidden file; a larger one counts as empty."""
_UNSEEN = (*DEPENDENCIES, ".git", "__pycache__", ".pytest_cache", ".nox")


def with_hidden(
    undo: Restoration, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> Restoration:
    """`undo`, and the same for files that git does not show: those `before` and `after`."""
    new = tuple(path for path in after if path not in before)
    other = {path: before[path] for path in after if before.get(path, after[path]) != after[path]}
    told = [
        f"{status} {p} (ignored by git)" for status, ps in (("A", new), ("M", other)) for p in ps
    ]
    return replace(
        undo,
        delete=(*undo.delete, *new),
        rewrite={**undo.rewrite, **other},
        touched=(*undo.touched, *told),
    )


def signal(
    undo: Restoration,
    restored: bool,
    planted: tuple[Mapping[str, bool], Mapping[str, bool]] | None = None,
    doubted: tuple[int, int] = (0, 0),
) -> Signal:
    """The signal `tampering`: 1 clean, 0.5 something was touched, 0 the report is wrong.

    It weighs nothing. `planted` is what the runs before and after said of planted tests;
    `doubted` is how many fixed tests were made to fail, and how many of them did not.
    """
    parts, score = ["clean: no test, runner setting, lock or CI file was touched"], 1.0
    if undo.touched:
        shown = ", ".join(undo.touched[:20]) + (" …" if len(undo.touched) > 20 else "")
        decided = "; the base's tests and settings decided" if restored else ""
        parts, score = [f"touched: {shown}{decided}"], 0.5
    if planted is not None:
        before, after = planted
        right = [test for test, told in before.items() if told]
        if not right:
            parts.append("no tests could be planted")
        elif all(after.get(test) for test in right):
            parts.append("planted tests were reported as they are")
        else:
            parts, score = [*parts, "planted tests were not reported as they are"], 0.0
    if doubted[0]:
        parts.append(f"{doubted[0] - doubted[1]} of {doubted[0]} fixed tests fail when made to")
        score = 0.0 if doubted[1] else score
    return Signal("tampering", score, 0.0, "; ".join(parts))


def _package_json(old: bytes, new: bytes) -> bytes:
    """The attempt's package.json with the base's scripts and runner settings."""
    base, mine = _json_table(old), _json_table(new)
    if base is None or mine is None:
        return old
    keys = ("scripts", "jest", "vitest", "mocha", "ava", "tap", "c8", "nyc")
    if all(base.get(key) == mine.get(key) for key in keys):
        return new
    kept = {key: value for key, value in mine.items() if key not in keys}
    return json.dumps({**kept, **{k: base[k] for k in keys if k in base}}, indent=2).encode()


def _json_table(data: bytes) -> dict[str, Any] | None:
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def _pyproject(old: bytes, new: bytes) -> bytes:
    """The attempt's pyproject.toml, or the base's when pytest's part differs."""
    return new if _pytest_part(old) == _pytest_part(new) != {"": "broken"} else old


def _pytest_part(data: bytes) -> object:
    try:
        return tomllib.loads(data.decode()).get("tool", {}).get("pytest", {})
    except (ValueError, AttributeError):
        return {"": "broken"}


def _cargo_toml(old: bytes, new: bytes) -> bytes:
    """The attempt's Cargo.toml with the base's targets, which say what is tested and how."""
    import tomli_w

    base, mine = _toml_table(old), _toml_table(new)
    if base is None or mine is None:
        return old
    keys = ("lib", "bin", "test", "example", "profile", "patch", "replace", "dev-dependencies")
    package = {**base.get("package", {})}
    same = package.get("autotests") == mine.get("package", {}).get("autotests")
    if same and all(base.get(key) == mine.get(key) for key in keys):
        return new
    kept = {key: value for key, value in mine.items() if key not in keys}
    kept["package"] = {k: v for k, v in mine.get("package", {}).items() if k != "autotests"}
    if "autotests" in package:
        kept["package"]["autotests"] = package["autotests"]
    return tomli_w.dumps({**kept, **{k: base[k] for k in keys if k in base}}).encode()


def _toml_table(data: bytes) -> dict[str, Any] | None:
    try:
        return tomllib.loads(data.decode())
    except ValueError:
        return None


def _go_mod(old: bytes, new: bytes) -> bytes:
    """The attempt's go.mod, or the base's where modules that the base names lead elsewhere."""
    clause = re.compile(rb"^\s*(?:replace\s+)?([^\s(]+(?:\s+v\S+)?)\s+=>\s+(.+?)\s*$", re.M)
    base, mine = dict(clause.findall(old)), dict(clause.findall(new))
    named = set(re.findall(rb"^\s*(?:require\s+)?(\S+/\S+)\s+v", old, re.M))
    led = {name for name in {*base, *mine} if base.get(name) != mine.get(name)}
    return old if any(name.split()[0] in named or name in base for name in led) else new


def _build_script(old: bytes, new: bytes) -> bytes:
    """The attempt's build file, or the base's when lines about tests differ."""
    about = re.compile(rb"(?i)test|surefire|failsafe|skip")

    def lines(data: bytes) -> list[bytes]:
        return sorted(line.strip() for line in data.splitlines() if about.search(line))

    return new if lines(old) == lines(new) else old


_PARTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "package.json": _package_json,
    "pyproject.toml": _pyproject,
    "Cargo.toml": _cargo_toml,
    "go.mod": _go_mod,
    "pom.xml": _build_script,
    "build.gradle": _build_script,
    "build.gradle.kts": _build_script,
    ".rs": with_tests_of,
}
"""By name or suffix: (base's file, attempt's file) -> the attempt's, but for what runs tests."""
