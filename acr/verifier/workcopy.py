"""A private copy of a work tree for tests to run in: without .git, bounded, removable."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acr import git
from acr.errors import SandboxError
from acr.nouns import Snapshot
from acr.settings import Limits
from acr.verifier.sandbox.engine import NOBODY
from acr.verifier.sandbox.limits import MIB
from acr.verifier.sandbox.system import remove_tree

__all__ = [
    "DEPENDENCIES",
    "copy",
    "freshen",
    "installed",
    "own",
    "packages",
    "remove",
    "rewind",
    "sweep",
    "write",
]

BATCH = 500
"""Paths handed to one cp."""
DEPENDENCIES = ("node_modules", ".venv", "venv", "target", "vendor", ".tox", "build", "dist")
"""Folders whose content decides test results though git ignores it."""


@dataclass(slots=True)
class _Survey:
    """What a walk of the tree found."""

    size: int = 0
    """Bytes on disk."""
    entries: int = 0
    unwanted: list[bytes] = field(default_factory=list)
    """Sockets, FIFOs, devices, nested .git and Python's caches, relative to the root."""


def copy(root: Path, folder: Path, limits: Limits) -> Path:
    """A copy of the tree at `root` in a new folder inside `folder`.

    Without .git, special files, and what Python compiled of the tree's own files.

    The copy belongs to the user that the sandbox runs tests as, who may write all of it.
    Raises SandboxError, with nothing left behind, when it is too large or cannot be made.
    """
    _refuse_home(root)
    survey = _survey(root, limits)
    outer = _private(folder)
    target = outer / "tree"
    target.mkdir(mode=0o700)
    try:
        _fill(root, target)
        for path in survey.unwanted:
            _drop(os.path.join(os.fsencode(target), path))
        own(target)
    except BaseException:
        remove(target)
        raise
    return target


def _private(folder: Path) -> Path:
    """A new folder that only acr's user may enter."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"copy-{os.getpid()}-", dir=folder))
    except OSError as e:
        raise SandboxError(f"{folder}: no private copy could be made there: {e.strerror}") from None


def _refuse_home(root: Path) -> None:
    home = Path.home().resolve()
    if root == home or home.is_relative_to(root):
        raise SandboxError(
            f"{root} holds your home folder; tests there would see your keys. Tests were not run: "
            "work in a folder of the project's own"
        )


def _survey(root: Path, limits: Limits) -> _Survey:
    found, waiting, base = _Survey(), [os.fsencode(root)], os.fsencode(root)
    cap = limits.copy * MIB
    while waiting:
        folder = waiting.pop()
        for entry in _entries(folder):
            path = os.path.relpath(entry.path, base)
            info = entry.stat(follow_symlinks=False)
            found.entries += 1
            if entry.name == b".git":
                if folder != base:
                    found.unwanted.append(path)
            elif stat.S_ISDIR(info.st_mode):
                if entry.name == b"__pycache__" and not _installs(path):
                    found.unwanted.append(path)  # may hold other tests than their source does
                else:
                    waiting.append(entry.path)
            elif stat.S_ISREG(info.st_mode):
                found.size += info.st_blocks * 512
            elif not stat.S_ISLNK(info.st_mode):
                found.unwanted.append(path)
        if found.size > cap or found.entries > limits.entries:
            raise SandboxError(
                f"{root} is too large for a private copy (over {limits.copy} MiB or "
                f"{limits.entries} files). Tests were not run: raise copy or entries of "
                "verifier.limits in config.toml or clean up"
            )
    return found


def _installs(path: bytes) -> bool:
    return os.fsdecode(path.partition(b"/")[0]) in DEPENDENCIES


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as e:
        name = os.fsdecode(folder)
        raise SandboxError(f"{name}: {e.strerror}; make it readable, or remove it") from None


def _fill(root: Path, target: Path) -> None:
    names = [name for name in os.listdir(os.fsencode(root)) if name != b".git"]
    names = [n for n in names if stat.S_IFMT(_mode(root, n)) in _COPIED]
    for start in range(0, len(names), BATCH):
        sources = [os.path.join(b".", name) for name in names[start : start + BATCH]]
        argv: list[str | bytes] = [*_cp(), "--", *sources, os.fsencode(target) + b"/"]
        done = subprocess.run(
            argv, cwd=root, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise SandboxError(
                f"{root} could not be copied: {said[-1] if said else 'cp failed'}. "
                "Tests were not run"
            )


_COPIED = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


def _mode(root: Path, name: bytes) -> int:
    return os.lstat(os.path.join(os.fsencode(root), name)).st_mode


@functools.cache
def _cp() -> tuple[str, ...]:
    """cp that keeps links, modes and times; the owner is given anew. Not GNU's: the plain way."""
    said = subprocess.run(["cp", "--version"], capture_output=True, text=True, check=False)
    if "GNU" in said.stdout:
        return "cp", "-dR", "--preserve=mode,timestamps,links", "--reflink=auto"
    return "cp", "-Rp"


def _drop(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(Path(os.fsdecode(path)))
    elif os.path.lexists(path):
        os.unlink(path)


def own(folder: Path, paths: Sequence[str] | None = None) -> None:
    """Gives `folder`, or `paths` below it with their parents, to the tests' user, writable."""
    root = os.geteuid() == 0
    for path in _tree(folder) if paths is None else _with_parents(folder, paths):
        info = os.lstat(path)
        if root:
            os.lchown(path, NOBODY, NOBODY)
        if stat.S_ISLNK(info.st_mode):
            continue
        wanted = 0o700 if stat.S_ISDIR(info.st_mode) else 0o600
        mode = stat.S_IMODE(info.st_mode) & 0o1777
        if mode | wanted != stat.S_IMODE(info.st_mode):
            os.chmod(path, mode | wanted)


def _tree(folder: Path) -> Iterator[bytes]:
    """`folder` and all below it; a folder comes before what it holds."""
    waiting = [os.fsencode(folder)]
    yield waiting[0]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _with_parents(folder: Path, paths: Sequence[str]) -> Iterator[bytes]:
    for path in paths:
        for part in [*reversed(Path(path).parents), Path(path)][1:]:
            if os.path.lexists(folder / part):
                yield os.fsencode(folder / part)


def rewind(folder: Path, target: Snapshot, restore: Sequence[str], delete: Sequence[str]) -> None:
    """Makes `restore` in the copy `folder` as they are in `target`, and removes `delete`."""
    for path in delete:
        place = os.path.join(os.fsencode(folder), os.fsencode(path))
        if _reachable(folder, path):
            _drop(place)
    git.materialise(target, folder, list(restore))
    own(folder, restore)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes or replaces regular files of the copy; what only a link leads to is left."""
    written = []
    for path, content in files.items():
        place = folder / path
        if not _reachable(folder, path) or not place.parent.is_dir():
            continue
        if place.is_symlink() or (place.exists() and not place.is_file()):
            continue
        place.unlink(missing_ok=True)
        place.write_bytes(content)
        written.append(path)
    own(folder, written)


def freshen(folder: Path, sources: Iterable[str]) -> None:
    """Makes `sources`, paths in the copy, newer than all else in it, so that they are built anew.

    Builds go by time, and what was built before may come of other sources.
    """
    now = time.time_ns()
    mine = {os.fsencode(folder / path) for path in sources}
    for path in _tree(folder):
        info = os.lstat(path)
        wanted = now if path in mine else min(info.st_mtime_ns, now - 2_000_000_000)
        if stat.S_ISREG(info.st_mode) and wanted != info.st_mtime_ns:
            os.utime(path, ns=(wanted, wanted))


def _reachable(folder: Path, path: str) -> bool:
    """Whether no link on the way to `path` leads out of the copy."""
    return not any((folder / parent).is_symlink() for parent in Path(path).parents)


_CACHES = re.compile(rb"/(?:__pycache__|\.cache|\.vite|\.vitest)(?:/|$)")


def installed(root: Path, folders: Sequence[str] = DEPENDENCIES) -> dict[str, str]:
    """A hash of the names, sizes and times of all files in each of the folders that is there."""
    return {
        top: _hashed(path for path in sorted(_tree(root / top)) if not _CACHES.search(path))
        for top in folders
        if (root / top).is_dir() and not (root / top).is_symlink()
    }


def packages(toolchains: Sequence[Path]) -> str:
    """A hash of the names, sizes and times of the Python packages of each toolchain."""
    found = [os.fsencode(folder) for folder in toolchains]
    for folder in toolchains:
        for place in sorted(folder.glob("lib/python3*/site-packages")):
            names = sorted(os.listdir(os.fsencode(place)))
            found += [os.path.join(os.fsencode(place), name) for name in names]
    return _hashed(found)


def _hashed(paths: Iterable[bytes]) -> str:
    seen = hashlib.sha256()
    for path in paths:
        _note(seen, path)
    return seen.hexdigest()


def _note(seen: hashlib._Hash, path: bytes) -> None:
    info = os.lstat(path)
    seen.update(b"%s\0%d\0%d\0" % (path, info.st_size, info.st_mtime_ns))


def remove(target: Path) -> None:
    """Removes a copy made by `copy` with its outer folder, whatever tests made of it."""
    remove_tree(target.parent)


def sweep(runs: Path) -> None:
    """Removes what runs whose acr is gone left in the run folders of `runs`, or as one of them."""
    for pattern in ("*/verify/copy-*-*", "*/verify/results-*-*", "verify-*-*"):
        for left in runs.glob(pattern):
            pid = left.name.split("-")[1]
            if pid.isdigit() and not _alive(int(pid)):
                remove_tree(left)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
