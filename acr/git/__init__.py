"""Reads repositories through a sterile git dir: their own config, hooks and filters never run."""

from acr.git.dirs import GitDirs, content, find_git, head
from acr.git.questions import is_dirty, list_files, root_commit
from acr.git.snapshots import changed, diff, materialise, paths, read, snapshot, tree_of

__all__ = [
    "GitDirs",
    "changed",
    "content",
    "diff",
    "find_git",
    "head",
    "is_dirty",
    "list_files",
    "materialise",
    "paths",
    "read",
    "root_commit",
    "snapshot",
    "tree_of",
]
