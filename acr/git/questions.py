"""Questions to a repository that leave nothing behind."""

from __future__ import annotations

from pathlib import Path

from acr.git.dirs import GitDirs, head
from acr.git.store import split, temporary

__all__ = ["is_dirty", "list_files", "root_commit"]


def root_commit(dirs: GitDirs, commit: str, known: tuple[str, str] | None = None) -> str | None:
    """The commit that the history of `commit` began with, by first parents.

    `known` is an earlier commit and its root: only what came since is then walked. None when
    history is cut off (a shallow clone) or damaged.
    """
    if (dirs.common / "shallow").exists():
        return None
    walk = ("rev-list", "--first-parent", "--max-parents=0", commit)
    with temporary(None, dirs) as store:
        if known and store.run("cat-file", "-t", known[0], accept=(0, 1, 128)):
            since = store.run(*walk, f"^{known[0]}", accept=(0, 128)).decode().strip()
            return since or known[1]
        return store.run(*walk, accept=(0, 128)).decode().strip() or None


def is_dirty(root: Path, dirs: GitDirs) -> bool:
    """Whether tracked or untracked files differ from HEAD, as git status would say."""
    _, commit = head(dirs)
    with temporary(root, dirs) as store:
        if commit:
            (store.git_dir / "HEAD").write_text(commit + "\n")
        shown = ("status", "--porcelain", "-z", "--ignore-submodules=all", "--no-renames")
        return bool(store.run(*shown))


def list_files(root: Path, dirs: GitDirs) -> list[str]:
    """Tracked files and untracked ones that are not ignored, relative to `root`.

    A nested repository is one entry.
    """
    with temporary(root, dirs) as store:
        listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return list(dict.fromkeys(path.rstrip("/") for path in split(store.run(*listed))))
