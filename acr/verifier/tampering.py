"""Test files and runner settings that an attempt touched, and how to undo that for a run."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from acr import git
from acr.nouns import Snapshot

__all__ = ["Restoration", "is_fixture", "is_test", "restoration"]

_TEST_NAME = re.compile(
    r"test_.*\.py|.*_test\.(py|go|rb|exs|dart|cc|cpp|c)|.*\.(test|spec)\.\w+|.*_spec\.rb"
    r"|.*(Test|Tests|IT|Spec)\.(java|kt|scala|groovy|cs|php|swift)"
)
_TEST_FOLDERS = ("tests", "__tests__", "testdata", "__snapshots__", "__mocks__")
"""Everything in these is of the tests, at any depth."""
_TOP_TEST_FOLDERS = ("test", "spec", "src/test", "src/it")
"""Everything in these is of the tests at the top of the tree; deeper it may be the product."""
_RUNNER_FILE = re.compile(
    r"conftest\.py|pytest\.ini|\.pytest\.ini|tox\.ini|setup\.cfg|noxfile\.py|sitecustomize\.py"
    r"|usercustomize\.py|(GNUm|m|M)akefile|\.mocharc\..*|\.npmrc|\.node-version"
    r"|(jest|vitest|vite|karma|ava|playwright|cypress)\.(config|conf|setup)\..*"
)
"""Files that say how tests run and little else."""
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
        return any(is_test(path) for path in self.restore)


def is_test(path: str) -> bool:
    """Whether the file belongs to the tests, by its name and folders."""
    pure = PurePosixPath(path)
    if _TEST_NAME.fullmatch(pure.name):
        return True
    if any(folder in _TEST_FOLDERS for folder in pure.parts[:-1]):
        return True
    return any(path.startswith(f"{top}/") for top in _TOP_TEST_FOLDERS)


def is_fixture(path: str) -> bool:
    """Whether the file is material of the tests and no test itself; it may be broken by intent."""
    return is_test(path) and not _TEST_NAME.fullmatch(PurePosixPath(path).name)


def restoration(
    changes: Iterable[tuple[str, str]], before: Snapshot, after: Snapshot
) -> Restoration:
    """What the attempt's `changes` (status, path) did to tests and their settings."""
    restore: list[str] = []
    delete: list[str] = []
    touched: list[str] = []
    rewrite: dict[str, bytes] = {}
    for status, path in changes:
        name = PurePosixPath(path).name
        is_runner = is_test(path) or bool(_RUNNER_FILE.fullmatch(name))
        is_ci = path.startswith((".github/", ".gitlab-ci", ".circleci/"))
        if not (is_runner or is_ci or _WATCHED.fullmatch(name)):
            continue
        touched.append(f"{status} {path}")
        if is_runner:
            (delete if status == "A" else restore).append(path)
        elif status != "A" and (part := _PARTS.get(name)):
            old, new = git.read(before, path), git.read(after, path)
            mended = part(old or b"", new) if new is not None else old
            if mended is not None and mended != new:
                rewrite[path] = mended
    return Restoration(tuple(restore), tuple(delete), rewrite, tuple(touched))


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


_PARTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "package.json": _package_json,
    "pyproject.toml": _pyproject,
}
