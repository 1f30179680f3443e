"""Where a work tree keeps its git data, read from files: no git is run."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GitDirs", "content", "find_git", "head", "resolve"]


@dataclass(frozen=True, slots=True)
class GitDirs:
    """Where a work tree keeps its git data; the two differ in a linked worktree."""

    own: Path
    """HEAD and index."""
    common: Path
    """Objects, refs and info."""


def find_git(root: Path) -> GitDirs | None:
    """The git data of the work tree `root`, read as plain files; None when it has none."""
    own = root / ".git"
    if not own.is_dir():
        pointer = re.match(r"gitdir: (.*?)[\r\n]*\Z", _text(own), re.S)
        if not pointer:
            return None
        own = root / pointer.group(1)
    if not (own / "HEAD").is_file():
        return None
    linked = _text(own / "commondir").removesuffix("\n")
    common = own / linked if linked else own
    return GitDirs(own.resolve(), common.resolve()) if (common / "objects").is_dir() else None


def head(dirs: GitDirs) -> tuple[str | None, str | None]:
    """(branch, commit id) of HEAD; None for a detached HEAD's branch or an unborn commit."""
    value = _text(dirs.own / "HEAD").strip()
    if not value.startswith("ref: "):
        return None, value if _is_id(value) else None
    ref = value[5:].strip()
    return ref.removeprefix("refs/heads/"), resolve(dirs, ref)


def resolve(dirs: GitDirs, ref: str, depth: int = 5) -> str | None:
    """The commit id that a full ref name stands for, loose or packed."""
    if ".." in ref or ref.startswith("/") or depth == 0:
        return None
    for base in (dirs.own, dirs.common):
        value = _text(base / ref).strip()
        if value.startswith("ref: "):
            return resolve(dirs, value[5:].strip(), depth - 1)
        if _is_id(value):
            return value
    line = rf"^([0-9a-f]{{40,64}}) {re.escape(ref)}$"
    packed = re.search(line, _text(dirs.common / "packed-refs"), re.M)
    return packed.group(1) if packed else None


def content(path: Path, limit: int = 64 << 20) -> bytes:
    """A regular file's bytes; empty when it is missing, special or larger than `limit`."""
    try:
        with open(path, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
            about = os.fstat(file.fileno())
            usable = stat.S_ISREG(about.st_mode) and about.st_size <= limit
            return file.read(limit) if usable else b""
    except (OSError, ValueError):  # ValueError: a NUL in a path that a .git file names
        return b""


def _is_id(value: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value) is not None


def _text(path: Path) -> str:
    return os.fsdecode(content(path))
