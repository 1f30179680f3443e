"""Reads repositories through a sterile git dir: their own config, hooks and filters never run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acr.errors import AcrError
from acr.nouns import Snapshot

__all__ = [
    "GitDirs",
    "changed",
    "diff",
    "find_git",
    "head",
    "is_dirty",
    "list_files",
    "materialise",
    "origin",
    "read",
    "root_commit",
    "snapshot",
    "tree_of",
]

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
OPTIONS = (
    "-c",
    "core.bare=false",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    f"core.attributesFile={os.devnull}",
    "-c",
    "core.quotePath=false",
    "-c",
    "gc.auto=0",
    "-c",
    "advice.addEmbeddedRepo=false",
)
RAW_BYTES = "* -text !eol -ident !filter !diff !merge !working-tree-encoding\n"
"""Attributes above all of the repository's own: no byte is converted, no driver is called."""
PLAIN_FOLDER_EXCLUDES = "node_modules/\n.venv/\nvenv/\n__pycache__/\n.tox/\ntarget/\n"
"""What a folder without git would ignore if it had git."""


@dataclass(frozen=True, slots=True)
class GitDirs:
    """Where a work tree keeps its git data; the two differ in a linked worktree."""

    own: Path
    """HEAD and index."""
    common: Path
    """Objects, refs and info."""


def find_git(root: Path) -> GitDirs | None:
    """The git data of the work tree `root`, read as plain files; None when it has none."""
    entry = root / ".git"
    own = entry
    if entry.is_file():
        found = re.match(rb"gitdir: (.*)", _read_small(entry))
        if not found:
            return None
        own = root / os.fsdecode(found.group(1).rstrip(b"\r\n"))
    if not (own / "HEAD").is_file():
        return None
    linked = _read_small(own / "commondir").strip()
    common = own / os.fsdecode(linked) if linked else own
    return GitDirs(own.resolve(), common.resolve()) if (common / "objects").is_dir() else None


def head(dirs: GitDirs) -> tuple[str | None, str | None]:
    """(branch, commit id) of HEAD; None for a detached HEAD's branch or an unborn commit."""
    value = _read_small(dirs.own / "HEAD").decode("utf-8", "surrogateescape").strip()
    if not value.startswith("ref: "):
        return None, value if _is_id(value) else None
    ref = value[5:]
    return ref.removeprefix("refs/heads/"), _resolve(dirs, ref)


def origin(dirs: GitDirs) -> str:
    """`host/path` of the remote called origin without user and password; empty without one."""
    config = _read_small(dirs.common / "config").decode("utf-8", "replace")
    section = re.search(r'^\[remote "origin"\]\s*$(.*?)(?=^\[|\Z)', config, re.M | re.S)
    url = re.search(r"^\s*url\s*=\s*(\S+)", section.group(1), re.M) if section else None
    if not url:
        return ""
    bare = re.sub(r"^[a-z+]+://", "", url.group(1), flags=re.I)
    bare = re.sub(r"^[^/@]*@", "", bare)
    host, _, path = re.sub(r"^([^/:]+):(?:\d+/)?", r"\1/", bare).partition("/")
    return f"{host.lower()}/{path}".removesuffix("/").removesuffix(".git")


def root_commit(dirs: GitDirs, commit: str) -> str | None:
    """The first commit of the history of `commit`; None when history is cut off."""
    with _temporary(dirs) as store:
        done = _run(store, None, "rev-list", "--max-parents=0", commit, check=False)
        roots = done.stdout.decode().split()
    return min(roots) if done.returncode == 0 and roots else None


def is_dirty(root: Path, dirs: GitDirs) -> bool:
    """Whether tracked or untracked files differ from HEAD, as git status would say."""
    _, commit = head(dirs)
    with _temporary(dirs, index=True) as store:
        listed = ["status", "--porcelain", "-z", "--ignore-submodules=all"]
        if commit:
            _run(store, None, "update-ref", "--no-deref", "HEAD", commit, check=False)
        return bool(_run(store, root, *listed, check=False).stdout)


def list_files(root: Path, dirs: GitDirs) -> Iterator[str]:
    """Tracked files and untracked ones that are not ignored, relative to `root`."""
    with _temporary(dirs, index=True) as store:
        listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        out = _run(store, root, *listed, check=False).stdout
    yield from dict.fromkeys(os.fsdecode(name) for name in out.split(b"\0") if name)


def snapshot(root: Path, git_dir: Path) -> Snapshot:
    """The work tree at `root`, tracked and untracked files without ignored ones, as it is now.

    It is stored in the sterile `git_dir`, made when missing. Nested repositories are kept as
    their commit id only. Raises AcrError when git is missing or the disk is full.
    """
    dirs = find_git(root)
    if not (git_dir / "HEAD").exists():
        _make(git_dir, dirs)
        _, commit = head(dirs) if dirs else (None, None)
        if commit:
            _run(git_dir, root, "read-tree", commit, check=False)
    done = _run(git_dir, root, "add", "-A", "--ignore-errors", ".", check=False)
    if done.returncode not in (0, 1) and not (git_dir / "index").exists():
        raise AcrError(f"git could not read {root}: {_last_line(done.stderr)}")
    tree = _run(git_dir, root, "write-tree").stdout.decode().strip()
    return Snapshot(root, git_dir, tree)


def tree_of(root: Path, git_dir: Path, revision: str) -> Snapshot:
    """The tree of a revision (branch, tag, commit id, HEAD~2 …) of the repository at `root`.

    Raises AcrError when there is no such revision.
    """
    dirs = find_git(root)
    if dirs is None:
        raise AcrError(f"{root} is not a git repository, so it has no revision {revision}")
    if not (git_dir / "HEAD").exists():
        _make(git_dir, dirs)
    named = re.match(r"[^~^@{:]+", revision)
    name = named.group(0) if named else ""
    branches = (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/remotes/{name}", name)
    commit = head(dirs)[1] if name == "HEAD" else None
    commit = commit or next((c for ref in branches if (c := _resolve(dirs, ref))), None)
    wanted = (commit or name) + revision[len(name) :]
    done = _run(git_dir, None, "rev-parse", "--verify", "-q", wanted + "^{tree}", check=False)
    if done.returncode:
        raise AcrError(f"{root} has no revision {revision!r}; see git log for what it has")
    return Snapshot(root, git_dir, done.stdout.decode().strip())


def changed(before: Snapshot, after: Snapshot) -> tuple[tuple[str, str], ...]:
    """(status, path) of what differs: A added, M modified, D deleted, T type changed."""
    listed = ("diff-tree", "-r", "-z", "--no-renames", "--name-status", before.tree, after.tree)
    fields = _run(after.git_dir, None, *listed).stdout.split(b"\0")
    pairs = zip(fields[0::2], fields[1::2], strict=False)
    return tuple((os.fsdecode(status), os.fsdecode(path)) for status, path in pairs)


def diff(before: Snapshot, after: Snapshot) -> bytes:
    """The patch from one tree to the other, for `git apply --binary`."""
    how = ("diff-tree", "-p", "-r", "--binary", "--no-ext-diff", "--no-textconv", "--no-renames")
    return _run(after.git_dir, None, *how, before.tree, after.tree).stdout


def read(snapshot: Snapshot, path: str) -> bytes | None:
    """The bytes of a file in the tree; None when it has no such file."""
    name = os.fsencode(f"{snapshot.tree}:{path}")
    done = _run(snapshot.git_dir, None, "cat-file", "blob", name, check=False)
    return done.stdout if done.returncode == 0 else None


def materialise(snapshot: Snapshot, folder: Path, paths: Sequence[str] | None = None) -> None:
    """Writes the tree's files, or those in `paths`, below `folder`; links are never followed.

    What stands in the way of a file or of its folders is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = _entries(snapshot)
    wanted = entries if paths is None else {p: entries[p] for p in paths if p in entries}
    for (path, (mode, _)), content in zip(wanted.items(), _blobs(snapshot, wanted), strict=True):
        _place(folder, path, mode, content)


def _entries(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    """Path -> (mode, object id) of every file and link in the tree."""
    out = _run(snapshot.git_dir, None, "ls-tree", "-r", "-z", snapshot.tree).stdout
    found: dict[str, tuple[str, str]] = {}
    for line in filter(None, out.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, kind, name = about.decode().split()
        if kind == "blob":
            found[os.fsdecode(path)] = (mode, name)
    return found


def _blobs(snapshot: Snapshot, wanted: dict[str, tuple[str, str]]) -> Iterator[bytes]:
    """The contents of the wanted entries, one at a time, in order."""
    argv = _argv(snapshot.git_dir, None, "cat-file", "--batch")
    with tempfile.TemporaryFile() as names:
        names.write("".join(f"{name}\n" for _, name in wanted.values()).encode())
        names.seek(0)
        with subprocess.Popen(argv, stdin=names, stdout=subprocess.PIPE, env=_env()) as child:
            assert child.stdout
            for _ in wanted:
                size = int(child.stdout.readline().split()[2])
                yield child.stdout.read(size)
                child.stdout.read(1)


def _place(folder: Path, path: str, mode: str, content: bytes) -> None:
    target = folder / path
    for parent in list(reversed(target.relative_to(folder).parents))[1:]:
        step = folder / parent
        if step.is_symlink() or not step.is_dir():
            step.unlink(missing_ok=True)
            step.mkdir()
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    if mode == "120000":
        target.symlink_to(os.fsdecode(content))
    else:
        target.write_bytes(content)
        target.chmod(0o755 if mode == "100755" else 0o644)


def _make(git_dir: Path, dirs: GitDirs | None) -> None:
    """A bare git dir with acr's own settings that borrows the objects of `dirs`."""
    git_dir.parent.mkdir(parents=True, exist_ok=True)
    init = ["init", "-q", "--bare", "--template=", *_object_format(dirs), "--", os.fspath(git_dir)]
    _checked([_git(), *init])
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text(RAW_BYTES)
    if dirs is None:
        (git_dir / "info" / "exclude").write_text(PLAIN_FOLDER_EXCLUDES)
        return
    (git_dir / "info" / "exclude").write_bytes(_read_small(dirs.common / "info" / "exclude"))
    if b"\n" not in os.fsencode(dirs.common):
        lines = os.fsencode(dirs.common / "objects") + b"\n"
        (git_dir / "objects" / "info").mkdir(exist_ok=True)
        (git_dir / "objects" / "info" / "alternates").write_bytes(lines)


def _object_format(dirs: GitDirs | None) -> list[str]:
    config = _read_small(dirs.common / "config") if dirs else b""
    sha256 = re.search(rb"objectformat\s*=\s*sha256", config, re.I)
    return ["--object-format=sha256"] if sha256 else []


@contextlib.contextmanager
def _temporary(dirs: GitDirs, *, index: bool = False) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="acr-git-") as folder:
        store = Path(folder) / "git"
        _make(store, dirs)
        if index and (dirs.own / "index").is_file():
            shutil.copyfile(dirs.own / "index", store / "index")
            for shared in dirs.own.glob("sharedindex.*"):
                shutil.copyfile(shared, store / shared.name)
        yield store


def _resolve(dirs: GitDirs, ref: str) -> str | None:
    """The commit id that a full ref name stands for, loose or packed."""
    if ".." in ref or ref.startswith("/"):
        return None
    for base in (dirs.own, dirs.common):
        value = _read_small(base / ref).decode("utf-8", "replace").strip()
        if _is_id(value):
            return value
    packed = _read_small(dirs.common / "packed-refs", 64 << 20)
    line = re.search(rb"^([0-9a-f]{40,64}) " + re.escape(os.fsencode(ref)) + rb"$", packed, re.M)
    return line.group(1).decode() if line else None


def _is_id(value: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value) is not None


def _read_small(path: Path, limit: int = 1 << 20) -> bytes:
    """The start of a regular file; empty when it is missing or something else."""
    try:
        with open(path, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
            return file.read(limit) or b""
    except OSError:
        return b""


def _git() -> str:
    found = shutil.which("git")
    if found is None:
        raise AcrError("git is not installed; install it (apt install git, brew install git)")
    return found


def _env() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return {**kept, **ENVIRONMENT}


def _argv(git_dir: Path, work_tree: Path | None, *args: str | bytes) -> list[str | bytes]:
    where = [f"--git-dir={git_dir.absolute()}"]
    where += [f"--work-tree={work_tree}"] if work_tree else []
    return [_git(), *where, *OPTIONS, *args]


def _run(
    git_dir: Path, work_tree: Path | None, *args: str | bytes, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    return _checked(_argv(git_dir, work_tree, *args), cwd=work_tree, check=check)


def _checked(
    argv: Sequence[str | bytes], cwd: Path | None = None, *, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        argv, cwd=cwd, env=_env(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if check and done.returncode:
        raise AcrError(f"git failed: {_last_line(done.stderr) or f'exit code {done.returncode}'}")
    return done


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
