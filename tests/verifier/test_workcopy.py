"""The private copy: what is in it, what is not, and that it can always be removed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git
from acr.errors import SandboxError
from acr.settings import Limits
from acr.verifier import workcopy
from acr.verifier.sandbox.engine import NOBODY
from tests.abuse.cases import case

LIMITS = Limits(copy=8)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree with space"
    (root / "sub").mkdir(parents=True)
    (root / "file").write_text("text")
    (root / "sub" / "run.sh").write_text("#!/bin/sh")
    (root / "sub" / "run.sh").chmod(0o755)
    return root


def test_files_links_modes_and_times_are_copied(tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to("file")
    (tree / "outside").symlink_to("/etc/passwd")
    os.utime(tree / "file", (1, 1))
    copy = workcopy.copy(tree, tmp_path / "run", LIMITS)
    assert (copy / "file").read_text() == "text"
    assert (copy / "file").stat().st_mtime == 1
    assert (copy / "sub" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (copy / "link").readlink() == Path("file")
    assert (copy / "outside").readlink() == Path("/etc/passwd")


def test_it_is_private_and_of_the_user_that_tests_run_as(tree: Path, tmp_path: Path) -> None:
    (tree / "file").chmod(0o400)
    copy = workcopy.copy(tree, tmp_path / "run", LIMITS)
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        owners = {p.lstat().st_uid for p in [copy, *copy.rglob("*")]}
        assert owners == {NOBODY}
    assert (copy / "file").stat().st_mode & 0o600 == 0o600
    assert (tree / "file").stat().st_mode & 0o777 == 0o400


def test_hard_links_never_reach_the_users_files(tree: Path, tmp_path: Path) -> None:
    os.link(tree / "file", tmp_path / "elsewhere")
    copy = workcopy.copy(tree, tmp_path / "run", LIMITS)
    assert (copy / "file").stat().st_nlink == 1
    (copy / "file").write_text("changed")
    assert (tree / "file").read_text() == "text"


def test_git_data_sockets_and_fifos_are_left_out(tree: Path, tmp_path: Path) -> None:
    (tree / ".git").mkdir()
    (tree / "sub" / ".git").mkdir()
    (tree / "sub" / ".git" / "config").write_text("[core]")
    os.mkfifo(tree / "fifo")
    os.mkfifo(tree / "sub" / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tree / "sock"))
        copy = workcopy.copy(tree, tmp_path / "run", LIMITS)
    names = {str(p.relative_to(copy)) for p in copy.rglob("*")}
    assert names == {"file", "sub", "sub/run.sh"}


@case(38)
def test_strange_names_are_copied(tmp_path: Path) -> None:
    root = tmp_path / "-leading\ndash"
    root.mkdir()
    names = [b"-n", b"new\nline", b"not\xffutf8", b" "]
    for name in names:
        (root / os.fsdecode(name)).write_text("x")
    copy = workcopy.copy(root, tmp_path / "run", LIMITS)
    assert sorted(os.listdir(os.fsencode(copy))) == sorted(names)


def test_too_large_a_tree_is_refused_in_a_sentence(tree: Path, tmp_path: Path) -> None:
    (tree / "big").write_bytes(b"x" * (9 << 20))
    with pytest.raises(SandboxError, match="too large for a private copy"):
        workcopy.copy(tree, tmp_path / "run", LIMITS)
    assert not (tmp_path / "run").exists()


def test_the_home_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="holds your home folder"):
        workcopy.copy(Path.home().resolve(), tmp_path / "run", LIMITS)


def test_a_folder_that_cannot_be_read_or_written_is_a_sentence(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="No such file"):
        workcopy.copy(tmp_path / "nowhere", tmp_path / "run", LIMITS)
    (tmp_path / "run").write_text("a file")
    with pytest.raises(SandboxError, match="no private copy could be made"):
        workcopy.copy(tree, tmp_path / "run", LIMITS)


def test_it_is_removed_though_tests_locked_it(tree: Path, tmp_path: Path) -> None:
    copy = workcopy.copy(tree, tmp_path / "run", LIMITS)
    (copy / "sub").chmod(0)
    copy.chmod(0o500)
    workcopy.remove(copy)
    assert list((tmp_path / "run").iterdir()) == []


def test_copies_of_a_dead_acr_are_swept_and_those_of_a_living_one_are_not(
    tree: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "one" / "verify"
    alive = workcopy.copy(tree, folder, LIMITS)
    dead = folder / "copy-4194999-x" / "tree"
    dead.mkdir(parents=True)
    results, verify = folder / "results-4194999-x", tmp_path / "runs" / "verify-4194999-x"
    mine = tmp_path / "runs" / f"verify-{os.getpid()}-x"
    for one in (results, verify, mine):
        one.mkdir()
    workcopy.sweep(tmp_path / "runs")
    assert alive.exists()
    assert mine.exists()
    assert not any(one.exists() for one in (dead.parent, results, verify))


def test_rewinding_restores_and_deletes_without_following_links(
    git_repo: Callable[..., Path], tmp_path: Path
) -> None:
    root = git_repo({"tests/test_a.py": "base", "src.py": "base"})
    before = git.snapshot(root, tmp_path / "git")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "test_a.py").write_text("precious")
    (outside / "test_new.py").write_text("precious")
    (root / "tests" / "test_a.py").unlink()
    (root / "tests").rmdir()
    (root / "tests").symlink_to(outside)
    copy = workcopy.copy(root, tmp_path / "run", LIMITS)
    workcopy.rewind(copy, before, ["tests/test_a.py"], ["tests/test_new.py"])
    assert (copy / "tests" / "test_a.py").read_text() == "base"
    assert [p.read_text() for p in outside.iterdir()] == ["precious", "precious"]
    if os.geteuid() == 0:
        assert (copy / "tests" / "test_a.py").stat().st_uid == NOBODY


def test_installed_packages_have_a_fingerprint_that_caches_do_not_change(tree: Path) -> None:
    (tree / "node_modules" / "dep").mkdir(parents=True)
    (tree / "node_modules" / ".cache").mkdir()
    first = workcopy.installed(tree)
    assert set(first) == {"node_modules"}
    (tree / "file").write_text("changed")
    (tree / "node_modules" / ".cache" / "x").write_text("x")
    assert workcopy.installed(tree) == first
    (tree / "node_modules" / "dep" / "index.js").write_text("x")
    assert workcopy.installed(tree) != first


def test_what_python_compiled_stays_behind_but_for_packages(tree: Path, tmp_path: Path) -> None:
    for place in ("pkg/__pycache__", ".venv/lib/__pycache__"):
        (tree / place).mkdir(parents=True)
        (tree / place / "a.pyc").write_text("x")
    copy = workcopy.copy(tree, tmp_path / "run", LIMITS)
    assert not (copy / "pkg" / "__pycache__").exists()
    assert (copy / ".venv" / "lib" / "__pycache__" / "a.pyc").exists()


def test_sources_are_made_newer_than_what_may_have_been_built(tmp_path: Path) -> None:
    for name in ("source", "built", "old"):
        (tmp_path / name).write_text(name)
    os.utime(tmp_path / "built", (4e9, 4e9))
    os.utime(tmp_path / "old", (1e9, 1e9))
    (tmp_path / "link").symlink_to("built")
    workcopy.freshen(tmp_path, ["source", "gone"])
    times = {path.name: path.lstat().st_mtime for path in tmp_path.iterdir()}
    assert times["source"] > times["built"] > times["old"] == 1e9
