"""Where the work happens: the root, its languages, and how its tests are run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from acr import git
from acr.context.suites import detect_tests
from acr.errors import AcrError
from acr.git.dirs import content
from acr.nouns import Repository, TestCommand
from acr.settings import Settings
from acr.settings import folder as state_folder

__all__ = ["LANGUAGES", "find"]

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
    """The repository around `cwd`: the nearest folder upwards with git data, else `cwd` itself.

    Whether it is dirty is not looked at: that takes long in a large one (git.is_dirty tells).
    Raises AcrError when there is no such folder, or no git.
    """
    start = cwd.absolute()
    if not start.is_dir():
        raise AcrError(f"{start} is not a folder; name one that exists")
    root = next((p for p in (start, *start.parents) if git.find_git(p)), start)
    dirs = git.find_git(root)
    made, files = _in_git(root, dirs) if dirs else _plain(root)
    detected = detect_tests(root, files)
    explicit = _explicit(root, settings)
    test = explicit or next(iter(detected), None)
    others = [found for found in detected if found != test]
    notes = [f"tests: {_shown(test)}" if test else NO_TESTS]
    notes += [f"tests, not used: {_shown(found)}" for found in others]
    measured = _measured(made, files)
    return replace(measured, test=test, notes=(*measured.notes, *notes))


NO_TESTS = (
    "tests: none found; name the command with acr config set 'repositories.\"PATH\".test' COMMAND"
)


def _shown(test: TestCommand) -> str:
    return f"{shlex.join(test.argv)} ({test.source})"


def _explicit(root: Path, settings: Settings) -> TestCommand | None:
    """The command of config.toml, for the root's own path or what its links lead to."""
    named = (settings.repositories.get(path) for path in (str(root), os.path.realpath(root)))
    command = next((found.test for found in named if found and found.test), "")
    return TestCommand(("sh", "-c", command), "custom", "set in config.toml") if command else None


def _in_git(root: Path, dirs: git.GitDirs) -> tuple[Repository, list[str]]:
    branch, commit = git.head(dirs)
    first = _first_commit(dirs, commit) if commit else None
    identity = _hash("commit", first) if first else _hash("path", os.path.realpath(root))
    why = f"first commit {first[:10]}" if first else "the folder's path"
    notes = (f"git work tree on {branch or 'a detached HEAD'}", f"identity: {why}")
    made = Repository(root=root, id=identity, is_git=True, head=commit, branch=branch, notes=notes)
    return made, git.list_files(root, dirs)


def _first_commit(dirs: git.GitDirs, commit: str) -> str | None:
    """The commit that history began with; the walk is remembered, so that it goes on from there."""
    store = state_folder("cache") / "first-commits"
    place = store / _hash("path", os.fspath(dirs.common))
    words = content(place).decode("ascii", "replace").split()
    known = (words[0], words[1]) if len(words) == 2 else None
    if known and known[0] == commit:
        return known[1]
    first = git.root_commit(dirs, commit, known)
    if first:
        with contextlib.suppress(OSError):  # a full or read-only disk costs time, nothing else
            store.mkdir(mode=0o700, exist_ok=True)
            aside = place.with_suffix(f".{os.getpid()}")
            aside.write_text(f"{commit} {first}\n")
            aside.replace(place)
    return first


def _plain(root: Path) -> tuple[Repository, list[str]]:
    notes = ("plain folder without git", "identity: the folder's path")
    made = Repository(root=root, id=_hash("path", os.path.realpath(root)), is_git=False)
    return replace(made, notes=notes), list(islice(_walk(root), FILE_CAP + 1))


def _hash(kind: str, value: str) -> str:
    return hashlib.sha256(os.fsencode(f"{kind}:{value}")).hexdigest()[:16]


def _walk(root: Path) -> Iterable[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(d for d in folders if d not in SKIPPED)
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), root)


def _measured(made: Repository, files: list[str]) -> Repository:
    """Files, bytes and languages; nested repositories are named, their content is not counted."""
    sizes: Counter[str] = Counter()
    nested: list[str] = []
    count = total = 0
    for name in files[:FILE_CAP]:
        try:
            about = os.lstat(os.path.join(made.root, name))
        except OSError:  # listed by git, deleted in the work tree
            continue
        if stat.S_ISDIR(about.st_mode):
            nested.append(name)
            continue
        count, total = count + 1, total + about.st_size
        if language := LANGUAGES.get(os.path.splitext(name)[1].lower()):
            sizes[language] += about.st_size
    whole = sum(sizes.values()) or 1
    shares = tuple((name, size / whole) for name, size in sizes.most_common(5))
    shown = ", ".join(f"{name} {share:.0%}" for name, share in shares) or "no known language"
    notes = [*made.notes, f"languages: {shown}"]
    if nested:
        named = ", ".join(nested[:3]) + ("" if len(nested) <= 3 else ", …")
        notes.append(f"nested repositories, watched by their commit only: {named}")
    if len(files) > FILE_CAP:
        notes.append(f"more than {FILE_CAP:,} files: counts are lower bounds")
    return replace(
        made,
        languages=shares,
        files=count,
        bytes=total,
        capped=len(files) > FILE_CAP,
        notes=tuple(notes),
    )
