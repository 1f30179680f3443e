"""Where the work happens: the root, its languages, and how its tests are run."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from acr import git
from acr.nouns import Repository, TestCommand
from acr.settings import Settings

__all__ = ["LANGUAGES", "detect_tests", "find"]

FILE_CAP = 50_000
"""Files looked at; a larger repository's counts are lower bounds."""
SKIPPED = {".git", "node_modules", ".venv", "venv", "__pycache__", ".tox", "target"}
LANGUAGES = {
    ".bash": "shell",
    ".c": "c",
    ".cc": "c++",
    ".cpp": "c++",
    ".cs": "c#",
    ".cxx": "c++",
    ".dart": "dart",
    ".ex": "elixir",
    ".exs": "elixir",
    ".go": "go",
    ".h": "c",
    ".hpp": "c++",
    ".hs": "haskell",
    ".java": "java",
    ".js": "javascript",
    ".jsx": "javascript",
    ".kt": "kotlin",
    ".lua": "lua",
    ".mjs": "javascript",
    ".php": "php",
    ".py": "python",
    ".r": "r",
    ".rb": "ruby",
    ".rs": "rust",
    ".scala": "scala",
    ".sh": "shell",
    ".sql": "sql",
    ".swift": "swift",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".vue": "javascript",
    ".zig": "zig",
}
"""File suffix -> language."""


def find(cwd: Path, settings: Settings) -> Repository:
    """The repository around `cwd`: the nearest folder upwards with git data, else `cwd` itself."""
    start = cwd.absolute()
    root = next((p for p in (start, *start.parents) if git.find_git(p)), start)
    made = _in_git(root) if git.find_git(root) else _plain(root)
    explicit = settings.repositories.get(str(root))
    test = _explicit(explicit.test) if explicit and explicit.test else detect_tests(root)
    notes = (*made.notes, f"tests: {shlex.join(test.argv)} ({test.source})" if test else NO_TESTS)
    return replace(made, test=test, notes=notes)


NO_TESTS = (
    "tests: none found; name the command with acr config set 'repositories.\"PATH\".test' COMMAND"
)


def _in_git(root: Path) -> Repository:
    dirs = git.find_git(root)
    assert dirs
    branch, commit = git.head(dirs)
    identity, why = _git_identity(root, dirs, commit)
    files = list(islice(git.list_files(root, dirs), FILE_CAP + 1))
    return _measured(
        Repository(
            root=root,
            id=identity,
            is_git=True,
            head=commit,
            branch=branch,
            notes=(f"git work tree on {branch or 'a detached HEAD'}", why),
        ),
        files,
    )


def _plain(root: Path) -> Repository:
    files = list(islice(_walk(root), FILE_CAP + 1))
    notes = ("plain folder without git", "identity: the folder's path")
    made = Repository(root=root, id=_hash("path", os.path.realpath(root)), is_git=False)
    return _measured(replace(made, notes=notes), files)


def _git_identity(root: Path, dirs: git.GitDirs, commit: str | None) -> tuple[str, str]:
    """(stable id, why): clones of one origin agree, else those of one history, else the path."""
    if origin := git.origin(dirs):
        return _hash("origin", origin), f"identity: origin {origin}"
    first = git.root_commit(dirs, commit) if commit else None
    if first:
        return _hash("commit", first), f"identity: first commit {first[:10]}"
    return _hash("path", os.path.realpath(root)), "identity: the folder's path"


def _hash(kind: str, value: str) -> str:
    return hashlib.sha256(os.fsencode(f"{kind}:{value}")).hexdigest()[:16]


def _walk(root: Path) -> Iterable[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(d for d in folders if d not in SKIPPED)
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), root)


def _measured(made: Repository, files: list[str]) -> Repository:
    sizes: Counter[str] = Counter()
    total = 0
    for name in files[:FILE_CAP]:
        try:
            size = os.lstat(made.root / name).st_size
        except OSError:  # listed by git, deleted in the work tree
            continue
        total += size
        if language := LANGUAGES.get(os.path.splitext(name)[1].lower()):
            sizes[language] += size
    whole = sum(sizes.values()) or 1
    shares = tuple((name, size / whole) for name, size in sizes.most_common(5))
    shown = ", ".join(f"{name} {share:.0%}" for name, share in shares) or "no known language"
    capped = len(files) > FILE_CAP
    return replace(
        made,
        languages=shares,
        files=min(len(files), FILE_CAP),
        bytes=total,
        capped=capped,
        notes=(*made.notes, f"languages: {shown}"),
    )


def detect_tests(root: Path) -> TestCommand | None:
    """How the repository runs its tests, by the first detector that recognises it."""
    return next((found for detect in DETECTORS if (found := detect(root))), None)


def _explicit(command: str) -> TestCommand:
    return TestCommand(("sh", "-c", command), "custom", "set in config.toml")


def _python(root: Path) -> TestCommand | None:
    source = _python_source(root)
    if not source:
        return None
    interpreter = _interpreter(root)
    if _uses_pytest(root, source):
        return TestCommand((interpreter, "-m", "pytest"), "pytest", source)
    return TestCommand((interpreter, "-m", "unittest", "-v"), "unittest", source)


def _python_source(root: Path) -> str:
    """The file that shows that this is a tested Python project; empty when none does."""
    for name in ("pytest.ini", "conftest.py", "tox.ini", "noxfile.py"):
        if (root / name).is_file():
            return name
    if "pytest" in _toml(root / "pyproject.toml").get("tool", {}):
        return "pyproject.toml [tool.pytest]"
    for folder in (root / "tests", root / "test", root):
        found = sorted([*folder.glob("test_*.py"), *folder.glob("*_test.py")])
        found = found or sorted(folder.glob("*/test_*.py"))
        if found:
            return str(found[0].relative_to(root))
    return ""


def _uses_pytest(root: Path, source: str) -> bool:
    """unittest is used only where the tests name it and nothing names pytest."""
    named = (root / "pyproject.toml", root / "setup.cfg", root / "requirements-dev.txt")
    if not source.endswith(".py") or source == "conftest.py" or "noxfile" in source:
        return True
    if any("pytest" in _text(path) for path in named):
        return True
    tests = (root / source).parent.glob("*.py")
    texts = [_text(path) for path in islice(tests, 200)]
    return any("pytest" in t for t in texts) or not any("unittest" in t for t in texts)


def _interpreter(root: Path) -> str:
    for venv in (".venv", "venv"):
        path = root / venv / "bin" / "python"
        if path.exists():
            return str(path)
    return "python3"


def _node(root: Path) -> TestCommand | None:
    try:
        script = json.loads(_text(root / "package.json"))["scripts"]["test"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(script, str) or "no test specified" in script:
        return None
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
    lock = next((name for name in locks if (root / name).is_file()), "")
    tool = locks.get(lock, "npm")
    why = f"package.json scripts.test{f', {lock}' if lock else ''}"
    return TestCommand((tool, "run", "test") if tool == "bun" else (tool, "test"), tool, why)


def _go(root: Path) -> TestCommand | None:
    command = ("go", "test", "-json", "./...")
    return TestCommand(command, "go", "go.mod") if (root / "go.mod").is_file() else None


def _cargo(root: Path) -> TestCommand | None:
    command = ("cargo", "test", "--offline")
    return TestCommand(command, "cargo", "Cargo.toml") if (root / "Cargo.toml").is_file() else None


def _maven(root: Path) -> TestCommand | None:
    if not (root / "pom.xml").is_file():
        return None
    tool = "./mvnw" if (root / "mvnw").is_file() else "mvn"
    return TestCommand((tool, "-o", "-q", "test"), "maven", "pom.xml")


def _gradle(root: Path) -> TestCommand | None:
    build = next((n for n in ("build.gradle", "build.gradle.kts") if (root / n).is_file()), None)
    if build is None:
        return None
    tool = "./gradlew" if (root / "gradlew").is_file() else "gradle"
    return TestCommand((tool, "--offline", "test"), "gradle", build)


def _make(root: Path) -> TestCommand | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        lines = _text(root / name).splitlines()
        for target in ("test", "check"):
            if any(line.startswith(f"{target}:") for line in lines):
                return TestCommand(("make", target), "make", f"{name} target {target}")
    return None


DETECTORS: tuple[Callable[[Path], TestCommand | None], ...] = (
    _python,
    _node,
    _go,
    _cargo,
    _maven,
    _gradle,
    _make,
)


def _text(path: Path, limit: int = 1 << 20) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


def _toml(path: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError:
        return {}
