"""How a repository runs its tests: detectors that each know one kind of project."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from acr.git.dirs import content
from acr.nouns import TestCommand

__all__ = ["detect_tests"]

TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py$")
LOOKED_AT = 200
"""Test files whose text is searched for the name of their framework."""


def detect_tests(root: Path, files: Iterable[str] = ()) -> tuple[TestCommand, ...]:
    """The ways in which the repository can run its tests, the preferred one first.

    `files` are paths below `root` that are searched for Python tests without any config.
    """
    listed = tuple(files)
    return tuple(found for detect in DETECTORS if (found := detect(root, listed)))


def _pytest(root: Path, files: Sequence[str]) -> TestCommand | None:
    for name, shows in PYTEST_CONFIG.items():
        if (root / name).is_file() and re.search(shows, _text(root / name), re.M):
            return TestCommand((_interpreter(root), "-m", "pytest"), "pytest", name)
    return None


PYTEST_CONFIG = {
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": r"^\[tool\.pytest\b",
    "setup.cfg": r"^\[tool:pytest\]",
    "tox.ini": r"\bpytest\b",
    "noxfile.py": r"\bpytest\b",
    "conftest.py": "",
}
"""Files that show that pytest runs the tests, and what they then contain."""


def _node(root: Path, files: Sequence[str]) -> TestCommand | None:
    try:
        package = json.loads(_text(root / "package.json"))
        script = package["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(script, str) or not script.strip() or "no test specified" in script:
        return None
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
    lock = next((name for name in locks if (root / name).is_file()), "")
    named = str(package.get("packageManager", "")).partition("@")[0]
    tool = locks.get(lock) or (named if named in locks.values() else "npm")
    why = f"package.json scripts.test{f', {lock}' if lock else ''}"
    return TestCommand((tool, "run", "test") if tool == "bun" else (tool, "test"), tool, why)


def _go(root: Path, files: Sequence[str]) -> TestCommand | None:
    command = ("go", "test", "-json", "./...")
    return TestCommand(command, "go", "go.mod") if (root / "go.mod").is_file() else None


def _cargo(root: Path, files: Sequence[str]) -> TestCommand | None:
    command = ("cargo", "test", "--offline")
    return TestCommand(command, "cargo", "Cargo.toml") if (root / "Cargo.toml").is_file() else None


def _maven(root: Path, files: Sequence[str]) -> TestCommand | None:
    if not (root / "pom.xml").is_file():
        return None
    tool = "./mvnw" if (root / "mvnw").is_file() else "mvn"
    return TestCommand((tool, "-o", "-q", "test"), "maven", "pom.xml")


def _gradle(root: Path, files: Sequence[str]) -> TestCommand | None:
    build = next((n for n in ("build.gradle", "build.gradle.kts") if (root / n).is_file()), None)
    if build is None:
        return None
    tool = "./gradlew" if (root / "gradlew").is_file() else "gradle"
    return TestCommand((tool, "--offline", "test"), "gradle", build)


def _bare_python(root: Path, files: Sequence[str]) -> TestCommand | None:
    """Test files without config: pytest runs them all, unittest where they are written for it."""
    tests = sorted(filter(TEST_FILE.search, files), key=lambda path: (path.count("/"), path))
    if not tests:
        return None
    interpreter = _interpreter(root)
    if not _for_unittest(root, tests):
        return TestCommand((interpreter, "-m", "pytest"), "pytest", tests[0])
    folder = os.path.dirname(tests[0])
    start = ("-s", folder) if folder and not (root / folder / "__init__.py").is_file() else ()
    named = () if os.path.basename(tests[0]).startswith("test") else ("-p", "*_test.py")
    argv = (interpreter, "-m", "unittest", "discover", "-v", *start, *named)
    return TestCommand(argv, "unittest", tests[0])


def _for_unittest(root: Path, tests: Iterable[str]) -> bool:
    """unittest is used only where the tests name it and nothing names pytest."""
    needs = (*root.glob("requirements*.txt"), root / "pyproject.toml", root / "setup.cfg")
    if any("pytest" in _text(path) for path in needs):
        return False
    texts = [_text(root / path) for path in islice(tests, LOOKED_AT)]
    return any("unittest" in t for t in texts) and not any("pytest" in t for t in texts)


def _interpreter(root: Path) -> str:
    """The project's own Python where it has a virtual environment."""
    own = (root / venv / "bin" / "python" for venv in (".venv", "venv"))
    return next((str(path) for path in own if path.exists()), "python3")


def _make(root: Path, files: Sequence[str]) -> TestCommand | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        text = _text(root / name)
        for target in ("test", "check"):
            if re.search(rf"^(?:[^\s:#=]+ +)*{target}(?: +[^\s:#=]+)* *::?(?!=)", text, re.M):
                return TestCommand(("make", target), "make", f"{name} target {target}")
    return None


DETECTORS: tuple[Callable[[Path, Sequence[str]], TestCommand | None], ...] = (
    _pytest,
    _node,
    _go,
    _cargo,
    _maven,
    _gradle,
    _bare_python,
    _make,
)
"""In order of preference: what is declared before what is guessed from file names."""


def _text(path: Path) -> str:
    return content(path, 1 << 20).decode("utf-8", "replace")
