"""Repositories are read through a sterile git dir: nothing of theirs runs, nothing changes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git as sterile
from acr.errors import AcrError
from tests.conftest import git

Repo = Callable[..., Path]


def fingerprint(folder: Path) -> str:
    """Names, modes, times and bytes; git renews the times of objects that it already has."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        time = 0 if "objects" in path.parts else about.st_mtime_ns
        digest.update(f"{path} {about.st_mode} {time}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def test_a_snapshot_holds_tracked_and_untracked_files_but_not_ignored_ones(
    git_repo: Repo, tmp_path: Path
) -> None:
    root = git_repo({"a.py": "1\n", ".gitignore": "*.log\n", "sub/b": "x"})
    (root / "new").write_text("n")
    (root / "x.log").write_text("ignored")
    (root / ".git/info/exclude").write_text("secret\n")
    (root / "secret").write_text("s")
    taken = sterile.snapshot(root, tmp_path / "s")
    assert sterile.read(taken, "new") == b"n"
    assert sterile.read(taken, "sub/b") == b"x"
    assert sterile.read(taken, "x.log") is None
    assert sterile.read(taken, "secret") is None


def test_the_difference_of_two_snapshots_can_be_applied(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"keep": "k", "edit": "old\n", "drop": "d"})
    before = sterile.snapshot(root, tmp_path / "s")
    (root / "edit").write_text("new\n")
    (root / "drop").unlink()
    (root / "bin").write_bytes(bytes(range(256)))
    after = sterile.snapshot(root, tmp_path / "s")
    assert sterile.changed(before, after) == (("A", "bin"), ("D", "drop"), ("M", "edit"))
    copy = tmp_path / "copy"
    copy.mkdir()
    sterile.materialise(before, copy)
    patch = tmp_path / "p"
    patch.write_bytes(sterile.diff(before, after))
    subprocess.run(["git", "apply", "--binary", str(patch)], cwd=copy, check=True)
    assert (copy / "bin").read_bytes() == bytes(range(256))
    assert (copy / "edit").read_text() == "new\n"
    assert not (copy / "drop").exists()


@pytest.mark.parametrize("name", ["a b", "new\nline", "-dash", "ünï", "tab\t", 'q"uote'])
def test_names_of_every_kind_come_through(git_repo: Repo, tmp_path: Path, name: str) -> None:
    root = git_repo({"x": "1"}, name=f"repo {name}")
    before = sterile.snapshot(root, tmp_path / "s")
    (root / name).write_text("content")
    after = sterile.snapshot(root, tmp_path / "s")
    assert sterile.changed(before, after) == (("A", name),)
    assert sterile.read(after, name) == b"content"


def test_a_name_that_is_not_utf8_comes_through(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"x": "1"})
    raw = os.fsencode(root) + b"/\xff\xfe"
    before = sterile.snapshot(root, tmp_path / "s")
    with open(raw, "wb") as file:
        file.write(b"raw")
    after = sterile.snapshot(root, tmp_path / "s")
    ((status, path),) = sterile.changed(before, after)
    assert (status, sterile.read(after, path)) == ("A", b"raw")


def test_line_ends_and_filters_of_the_repository_change_no_byte(
    git_repo: Repo, tmp_path: Path
) -> None:
    root = git_repo({".gitattributes": "* text=auto eol=crlf ident\n"})
    (root / "crlf").write_bytes(b"a\r\nb\n$Id$\n")
    git(root, "config", "core.autocrlf", "true")
    taken = sterile.snapshot(root, tmp_path / "s")
    assert sterile.read(taken, "crlf") == b"a\r\nb\n$Id$\n"
    sterile.materialise(taken, tmp_path / "out")
    assert (tmp_path / "out/crlf").read_bytes() == b"a\r\nb\n$Id$\n"


def test_nothing_of_a_poisoned_repository_runs_and_nothing_in_it_changes(
    git_repo: Repo, tmp_path: Path
) -> None:
    root = git_repo({"a": "1", ".gitattributes": "* filter=evil diff=evil\n"})
    trap = f"touch {tmp_path}/ran"
    for key in ("core.fsmonitor", "core.editor", "core.pager", "core.sshCommand", "diff.external"):
        git(root, "config", key, trap)
    for key in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv"):
        git(root, "config", key, trap)
    git(root, "config", "core.hooksPath", ".git/hooks")
    for hook in ("post-index-change", "post-checkout", "reference-transaction", "pre-commit"):
        path = root / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{trap}\n")
        path.chmod(0o755)
    inner = root / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (tmp_path / "ran").unlink(missing_ok=True)
    before_bytes = fingerprint(root)
    dirs = sterile.find_git(root)
    assert dirs
    before = sterile.snapshot(root, tmp_path / "s")
    assert sterile.is_dirty(root, dirs)
    list(sterile.list_files(root, dirs))
    sterile.diff(before, sterile.snapshot(root, tmp_path / "s"))
    sterile.materialise(before, tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert fingerprint(root) == before_bytes


def test_writing_a_tree_never_follows_a_link_that_stands_in_the_way(
    git_repo: Repo, tmp_path: Path
) -> None:
    taken = sterile.snapshot(git_repo({"d/f": "good", "g": "good"}), tmp_path / "s")
    out, host = tmp_path / "out", tmp_path / "host"
    out.mkdir()
    host.mkdir()
    (host / "f").write_text("host")
    (out / "d").symlink_to(host)
    (out / "g").symlink_to(host / "f")
    sterile.materialise(taken, out)
    assert (host / "f").read_text() == "host"
    assert (out / "d/f").read_text() == (out / "g").read_text() == "good"


def test_a_linked_worktree_and_packed_refs_are_understood(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    git(root, "pack-refs", "--all")
    git(root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    dirs = sterile.find_git(tmp_path / "side")
    assert dirs
    assert sterile.head(dirs) == ("side", git(root, "rev-parse", "HEAD").strip())
    taken = sterile.snapshot(tmp_path / "side", tmp_path / "s")
    assert sterile.read(taken, "a") == b"1"


def test_revisions_are_found_by_name(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    git(root, "tag", "v1")
    (root / "a").write_text("2")
    git(root, "commit", "-qam", "two")
    for revision in ("v1", "HEAD~1", "main~1", git(root, "rev-parse", "v1").strip()):
        taken = sterile.tree_of(root, tmp_path / "s", revision)
        assert sterile.read(taken, "a") == b"1"
    with pytest.raises(AcrError, match="no revision 'nope'"):
        sterile.tree_of(root, tmp_path / "s", "nope")


def test_a_plain_folder_and_an_empty_repository_work(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / "node_modules").mkdir(parents=True)
    (plain / "node_modules/x").write_text("x")
    (plain / "a").write_text("1")
    taken = sterile.snapshot(plain, tmp_path / "s")
    assert sterile.read(taken, "a") == b"1"
    assert sterile.read(taken, "node_modules/x") is None
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert sterile.changed(*[sterile.snapshot(empty, tmp_path / "e")] * 2) == ()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://user:pw@GitHub.com/o/r.git", "github.com/o/r"),
        ("git@github.com:o/r.git", "github.com/o/r"),
        ("ssh://git@github.com:22/o/r", "github.com/o/r"),
    ],
)
def test_clones_by_any_address_have_one_origin(git_repo: Repo, url: str, name: str) -> None:
    root = git_repo({"a": "1"})
    git(root, "remote", "add", "origin", url)
    dirs = sterile.find_git(root)
    assert dirs
    assert sterile.origin(dirs) == name


def test_without_git_the_message_says_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AcrError, match="install it"):
        sterile.snapshot(tmp_path, tmp_path / "s")
