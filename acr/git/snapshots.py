"""Snapshots: trees of a work tree at one moment, to compare, read and write out.

A snapshot stores trees and what the repository does not hold yet; other contents are borrowed
and copied when they are wanted, hashed on their way in, so that objects which were changed after
the snapshot are noticed instead of believed. Nothing is written to the repository, not even the
times of its objects, which `git add` renews.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from acr import settings
from acr.errors import AcrError
from acr.git.dirs import find_git, head, resolve
from acr.git.store import OPTIONS, Store, join, lines, prepare, split
from acr.nouns import Snapshot

__all__ = ["changed", "diff", "materialise", "paths", "read", "snapshot", "tree_of"]

HUGE = 1 << 30
"""Bytes; new files above this are left out of snapshots."""
MANY = 1000
"""New files from which one pack is faster than loose objects."""
BULK = {"core.bigFileThreshold": "0", "core.compression": "0"}
LINK = "160000"
"""The mode of a nested repository."""


def snapshot(root: Path, git_dir: Path) -> Snapshot:
    """The work tree at `root`, tracked and untracked files without ignored ones, as it is now.

    It is stored in the sterile `git_dir`, made when missing; a second snapshot into it reads
    only what changed. Files that cannot be read, are no file, or are new and larger than 1 GiB
    are left out. Nested repositories are kept as their commit id only. Raises AcrError when
    git is missing, fails, or the disk is full.
    """
    root, git_dir = root.absolute(), git_dir.absolute()
    dirs = find_git(root)
    store = prepare(root, git_dir, dirs)
    with tempfile.TemporaryDirectory(prefix="index-", dir=git_dir) as scratch:
        files, linked = Path(scratch) / "files", Path(scratch) / "linked"
        _start_index(store, files, head(dirs)[1] if dirs else None)
        nested = _fill(store, files)
        shutil.copy2(files, linked)
        os.replace(files, git_dir / "index")
        _link(store, linked, nested)
        return Snapshot(root, git_dir, _write_tree(git_dir, linked))


def tree_of(root: Path, git_dir: Path, revision: str) -> Snapshot:
    """The tree of a revision (branch, tag, commit id, HEAD~2 …) of the repository at `root`.

    Raises AcrError when there is no such revision.
    """
    root, git_dir = root.absolute(), git_dir.absolute()
    dirs = find_git(root)
    if dirs is None:
        raise AcrError(f"{root} is not a git repository, so it has no revision {revision}")
    store = prepare(root, git_dir, dirs)
    named = re.match(r"[^~^@{:]+", revision)
    name = named.group(0) if named else ""
    refs = (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/remotes/{name}", name)
    commit = head(dirs)[1] if name == "HEAD" else None
    commit = commit or next((c for ref in refs if (c := resolve(dirs, ref))), None)
    wanted = (commit or name) + revision[len(name) :] + "^{tree}"
    found = store.run("rev-parse", "--verify", "-q", "--end-of-options", wanted, accept=(0, 1, 128))
    tree = found.decode().split()[-1:]
    if not tree:
        raise AcrError(f"{root} has no revision {revision!r}; see git log for what it has")
    with tempfile.TemporaryDirectory(prefix="index-", dir=git_dir) as scratch:
        index = Path(scratch) / "index"
        store.run("read-tree", tree[0], index=index)
        return Snapshot(root, git_dir, _write_tree(git_dir, index))


def changed(before: Snapshot, after: Snapshot) -> tuple[tuple[str, str], ...]:
    """(status, path) of what differs: A added, M modified, D deleted, T type changed."""
    return tuple((entry.status, entry.path) for entry in _differences(before, after))


def diff(before: Snapshot, after: Snapshot) -> bytes:
    """The patch from one tree to the other, for `git apply --binary`."""
    entries = _differences(before, after)
    _secure(before, [e.old for e in entries if e.old_mode != LINK])
    _secure(after, [e.new for e in entries if e.new_mode != LINK])
    how = ("-p", "-r", "--binary", "--full-index", "--no-renames", "--ignore-submodules=none")
    plain = ("--no-ext-diff", "--no-textconv", "--no-color")
    return _beside(before, after).run("diff-tree", *how, *plain, before.tree, after.tree)


def paths(snapshot: Snapshot) -> tuple[str, ...]:
    """All files and links of the tree, relative to its root."""
    return tuple(path for _, path in _entries(snapshot))


def read(snapshot: Snapshot, path: str) -> bytes | None:
    """The bytes of a file in the tree; None when it has no such file.

    Raises AcrError when its content was changed behind the snapshot.
    """
    found = next((blob for blob, name in _entries(snapshot, path) if name == path), None)
    if found is None:
        return None
    _secure(snapshot, [found])
    return Store(snapshot.git_dir).run("cat-file", "blob", found)


def materialise(snapshot: Snapshot, folder: Path, paths: Sequence[str] | None = None) -> None:
    """Writes the tree's files, or those in `paths`, below `folder`; links are never followed.

    What stands in the way of a file or of its folders is replaced.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    wanted = None if paths is None else set(paths)
    entries = [(b, path) for b, path in _entries(snapshot) if wanted is None or path in wanted]
    _secure(snapshot, [blob for blob, _ in entries])
    target = Store(snapshot.git_dir, folder)
    with tempfile.TemporaryDirectory(prefix="index-", dir=snapshot.git_dir) as scratch:
        index = Path(scratch) / "index"
        target.run("read-tree", snapshot.tree, index=index)
        write = ("checkout-index", "-f", "-q", "-z", "--stdin")
        target.run(*write, index=index, data=join(path for _, path in entries))


def _write_tree(git_dir: Path, index: Path) -> str:
    """Stores the trees of `index` without borrowing any; returns the id of the top one."""
    return Store(git_dir).run("write-tree", "--missing-ok", index=index).decode().strip()


def _beside(before: Snapshot, after: Snapshot) -> Store:
    apart = before.git_dir != after.git_dir
    return Store(after.git_dir, borrowed=before.git_dir / "objects" if apart else None)


def _start_index(store: Store, index: Path, commit: str | None) -> None:
    """An index that goes on from the last snapshot, else from `commit`, else from nothing."""
    if (store.git_dir / "index").exists():
        shutil.copy2(store.git_dir / "index", index)
        return
    if commit:  # a damaged history only costs the knowledge of tracked files that are ignored
        store.run("read-tree", commit, index=index, accept=(0, 128))
    if not index.exists():
        store.run("read-tree", "--empty", index=index)
    # git would ask a nested repository for its status, by that repository's own config
    listed = split(store.run("ls-files", "-sz", index=index))
    links = [entry.partition("\t")[2] for entry in listed if entry.startswith(LINK)]
    _remove(store, index, links)


def _fill(store: Store, index: Path) -> list[str]:
    """Brings `index` in line with the work tree; returns the nested repositories."""
    store = Store(store.git_dir, store.root)
    store.run("update-index", "-q", "--refresh", index=index, accept=(0, 1))
    differing = ("diff-files", "-z", "--name-only", "--no-renames", "--ignore-submodules=all")
    old = split(store.run(*differing, index=index))
    listed = ("ls-files", "-z", "--others", "--exclude-standard")
    own = _inside(store)
    untracked = split(store.run(*listed, index=index))
    others = [path for path in untracked if not own or not f"{path}/".startswith(own)]
    found = _Files(store)
    kept = [path for path in old if found.storable(path)]
    new = [path for path in others if found.storable(path, HUGE)]
    _remove(store, index, set(old) - set(kept))
    write = ("update-index", "--add", "--replace", "-z", "--stdin")
    options = {**OPTIONS, **BULK} if len(kept) + len(new) > MANY else OPTIONS
    store.run(*write, index=index, data=join((*kept, *new)), options=options)
    return [path.rstrip("/") for path in others if path.endswith("/")]


def _remove(store: Store, index: Path, paths: Iterable[str]) -> None:
    command = ("update-index", "--force-remove", "-z", "--stdin")
    store.run(*command, index=index, data=join(paths))


class _Files:
    """Which paths of a work tree can be stored."""

    def __init__(self, store: Store) -> None:
        self._root = os.fspath(store.root or store.git_dir)
        self._reached = {"": True}

    def storable(self, path: str, limit: float = math.inf) -> bool:
        """A readable file of at most `limit` bytes, or a link; not below a link."""
        full = os.path.join(self._root, path)
        try:
            about = os.lstat(full)
        except OSError:
            return False
        plain = stat.S_ISREG(about.st_mode) and about.st_size <= limit and os.access(full, os.R_OK)
        return (plain or stat.S_ISLNK(about.st_mode)) and self._is_reached(os.path.dirname(path))

    def _is_reached(self, folder: str) -> bool:
        if folder not in self._reached:
            linked = os.path.islink(os.path.join(self._root, folder))
            self._reached[folder] = not linked and self._is_reached(os.path.dirname(folder))
        return self._reached[folder]


def _link(store: Store, index: Path, nested: Iterable[str]) -> None:
    """Records nested repositories in `index` by their commit."""
    found = ((path, find_git((store.root or store.git_dir) / path)) for path in nested)
    heads = ((path, head(dirs)[1]) for path, dirs in found if dirs)
    entries = [f"{LINK} {commit} 0\t{path}" for path, commit in heads if commit]
    store.run("update-index", "-z", "--index-info", index=index, data=join(entries))


def _inside(store: Store) -> tuple[str, ...]:
    """acr's own folders with a slash at their end, as far as they lie in the work tree."""
    own = [p for p in (store.git_dir, settings.home().absolute()) if store.root in p.parents]
    return tuple(f"{p.relative_to(store.root or p)}/" for p in own)


def _entries(snapshot: Snapshot, *paths: str) -> list[tuple[str, str]]:
    """(object id, path) of the files and links of a tree, or of those at or below `paths`."""
    if any(os.path.normpath(p) != p or p.startswith(("/", "..")) or not p for p in paths):
        return []
    names = (f":(literal){path}" for path in paths)
    listing = ("ls-tree", "-r", "-z", "--full-tree", snapshot.tree, "--", *names)
    listed = split(Store(snapshot.git_dir).run(*listing))
    parts = ((info.split(" "), path) for info, _, path in (e.partition("\t") for e in listed))
    return [(blob, path) for (_, kind, blob), path in parts if kind == "blob"]


@dataclass(frozen=True, slots=True)
class _Difference:
    old_mode: str
    new_mode: str
    old: str
    new: str
    status: str
    path: str


def _differences(before: Snapshot, after: Snapshot) -> list[_Difference]:
    how = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames")
    command = (*how, "--ignore-submodules=none", before.tree, after.tree)
    words = split(_beside(before, after).run(*command))
    found = []
    for info, path in zip(words[::2], words[1::2], strict=True):
        old_mode, new_mode, old, new, status = info.removeprefix(":").split(" ")
        found.append(_Difference(old_mode, new_mode, old, new, status, path))
    return found


def _secure(snapshot: Snapshot, blobs: Iterable[str]) -> None:
    """Copies blobs into the store, hashing them. Raises AcrError when one is gone or changed."""
    store = Store(snapshot.git_dir)
    missing = _absent(store, sorted({blob for blob in blobs if blob.strip("0")}))
    if not missing:
        return
    dirs = find_git(snapshot.root)
    lender = Store(snapshot.git_dir, borrowed=dirs.common / "objects" if dirs else None)
    quick = {**OPTIONS, "pack.compression": "0", "pack.window": "0"}
    try:
        pack = lender.run("pack-objects", "-q", "--stdout", data=lines(missing), options=quick)
        store.run("index-pack", "--stdin", data=pack)
        lost = ", ".join(_absent(store, missing))
    except AcrError as e:
        lost = str(e)
    if lost:
        raise AcrError(
            f"objects of {snapshot.root} were removed or changed after a snapshot of it ({lost}); "
            "run git fsck there and start again"
        )


def _absent(store: Store, blobs: Sequence[str]) -> list[str]:
    """Which blobs the store does not give."""
    if not blobs:
        return []
    check = ("cat-file", "--batch-check", "--buffer")
    answers = store.run(*check, data=lines(blobs)).decode().splitlines()
    return [line.split(" ")[0] for line in answers if line.endswith("missing")]
