"""Runs git in a sterile git dir, which has none of a repository's config, hooks and filters."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acr.errors import AcrError
from acr.git.dirs import GitDirs, content, head

__all__ = ["OPTIONS", "Store", "join", "lines", "prepare", "split", "temporary"]

TIMEOUT = 600.0
"""Seconds for one git command."""
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
OPTIONS: Mapping[str, str] = {
    "core.bare": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.fsync": "none",
    "core.safecrlf": "false",
    "diff.ignoreSubmodules": "all",
    "gc.auto": "0",
}
RAW_BYTES = "* -text !eol -ident !filter !diff !merge !working-tree-encoding\n"
"""Attributes above all of the repository's own: no byte is converted, no driver is called."""
CACHES = (
    "__pycache__/\n*.py[co]\n.pytest_cache/\n.mypy_cache/\n.ruff_cache/\n.hypothesis/\n.tox/\n"
    ".venv/\nvenv/\nnode_modules/\n.DS_Store\n"
)
"""What runs and tools leave behind; kept out unless it is tracked or re-included."""
PLAIN_FOLDER_EXCLUDES = "target/\n"
"""What a folder without git would ignore besides if it had git."""


@dataclass(frozen=True, slots=True)
class Store:
    """A sterile git dir, the work tree that it is used on, and whose objects it may borrow."""

    git_dir: Path
    root: Path | None = None
    borrowed: Path | None = None

    def run(
        self,
        *args: str,
        index: Path | None = None,
        data: bytes = b"",
        accept: Sequence[int] = (0,),
        options: Mapping[str, str] = OPTIONS,
    ) -> bytes:
        """Standard output of one git command. Raises AcrError unless the exit code is accepted."""
        env = {"GIT_INDEX_FILE": str(index)} if index else {}
        if self.borrowed:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _quoted(self.borrowed)
        where = [f"--git-dir={self.git_dir}"]
        where += [f"--work-tree={self.root}"] if self.root else []
        chosen = (word for name, value in options.items() for word in ("-c", f"{name}={value}"))
        command = ("git", *where, *chosen, *args)
        return _call(command, args[0], self.root or self.git_dir, env, data, accept)


def prepare(root: Path, git_dir: Path, dirs: GitDirs | None) -> Store:
    """The store in `git_dir`, made when missing, that borrows objects and excludes of `dirs`."""
    if not (git_dir / "HEAD").exists():
        git_dir.parent.mkdir(parents=True, exist_ok=True)
        init = ("git", "init", "-q", "--bare", "--template=", *_object_format(dirs), "--")
        _call((*init, str(git_dir)), "init", git_dir.parent, {})
        (git_dir / "info").mkdir(exist_ok=True)
    own = content(dirs.common / "info" / "exclude") if dirs else PLAIN_FOLDER_EXCLUDES.encode()
    (git_dir / "info" / "exclude").write_bytes(CACHES.encode() + own)
    (git_dir / "info" / "attributes").write_text(RAW_BYTES)
    return Store(git_dir, root, dirs.common / "objects" if dirs else None)


@contextlib.contextmanager
def temporary(root: Path | None, dirs: GitDirs) -> Iterator[Store]:
    """A store for one question; about a work tree with a copy of its index, its times kept.

    Git reads a file again that was changed in the second when the index was written.
    """
    with tempfile.TemporaryDirectory(prefix="acr-git-") as folder:
        store = prepare(root or Path(folder), Path(folder).resolve() / "git", dirs)
        if root and (dirs.own / "index").is_file():
            shutil.copy2(dirs.own / "index", store.git_dir / "index")
            for shared in dirs.own.glob("sharedindex.*"):
                shutil.copy2(shared, store.git_dir / shared.name)
        yield store


def join(paths: Iterable[str]) -> bytes:
    """Paths as git's -z options take them."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def split(listing: bytes) -> list[str]:
    """Paths, or other items, as git's -z options give them."""
    return [os.fsdecode(item) for item in listing.split(b"\0")[:-1]]


def lines(names: Iterable[str]) -> bytes:
    """Object ids as git reads them from standard input."""
    return "".join(name + "\n" for name in names).encode()


def _call(
    command: Sequence[str],
    name: str,
    cwd: Path,
    env: Mapping[str, str],
    data: bytes = b"",
    accept: Sequence[int] = (0,),
) -> bytes:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    full = {**kept, **ENVIRONMENT, **env}
    if not cwd.is_dir():
        raise AcrError(f"{cwd} is not a folder; name one that exists")
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=full,
            input=data,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        hint = "install it (apt install git, brew install git)"
        raise AcrError(f"git is not installed; {hint}") from None
    except subprocess.TimeoutExpired:
        raise AcrError(
            f"git {name} took more than {TIMEOUT:.0f} s in {cwd}; look for a pipe named "
            ".gitignore or .gitattributes, or for very large files"
        ) from None
    if done.returncode not in accept:
        said = os.fsdecode(done.stderr).strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
        raise AcrError(f"git {name} failed in {cwd}: {reason}")
    return done.stdout


def _object_format(dirs: GitDirs | None) -> list[str]:
    commit = head(dirs)[1] if dirs else None
    return ["--object-format=sha256"] if commit and len(commit) == 64 else []


def _quoted(path: Path) -> str:
    """A path as git's lists of object stores take it: in C quotes, for any byte."""
    plain = (
        chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in os.fsencode(path)
    )
    return f'"{"".join(plain)}"'
