"""Repositories are read through a sterile git dir: nothing of theirs runs, nothing changes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr import git as sterile
from acr.errors import AcrError
from tests.abuse.cases import case
from tests.conftest import git

Repo = Callable[..., Path]


def fingerprint(folder: Path) -> str:
    """Names, modes, times and bytes, those of git's objects included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        digest.update(f"{path} {about.st_mode} {about.st_mtime_ns}\n".encode())
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


CONFIG = (
    *("core.fsmonitor", "core.editor", "core.pager", "core.sshCommand", "core.askPass"),
    *("diff.external", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process"),
    *("diff.evil.textconv", "diff.evil.command", "merge.evil.driver", "alias.status"),
    *("alias.ls-files", "credential.helper", "gpg.program", "uploadpack.packObjectsHook"),
)
HOOKS = ("post-index-change", "post-checkout", "reference-transaction", "pre-commit")


def poison(root: Path, trap: Path) -> None:
    """Everything in a repository that could make git run a command touches `trap`."""
    script = root / ".git" / "evil"
    script.write_text(f"#!/bin/sh\ntouch '{trap}'\ncat\n")
    script.chmod(0o755)
    for key in CONFIG:
        git(root, "config", key, str(script))
    for hook in HOOKS:
        path = root / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch '{trap}'\n")
        path.chmod(0o755)
    git(root, "config", "core.hooksPath", str(root / ".git" / "hooks"))
    git(root, "config", "filter.evil.required", "true")
    git(root, "config", "core.worktree", str(trap.parent))


def use_all(root: Path, folder: Path) -> None:
    """Every function once, with a change between the snapshots."""
    dirs = sterile.find_git(root)
    assert dirs
    before = sterile.snapshot(root, folder / "s")
    sterile.is_dirty(root, dirs)
    list(sterile.list_files(root, dirs))
    commit = sterile.head(dirs)[1]
    assert commit
    sterile.root_commit(dirs, commit)
    after = sterile.snapshot(root, folder / "s")
    based = sterile.tree_of(root, folder / "r", "HEAD")
    for taken in (after, based):
        sterile.changed(before, taken)
        sterile.diff(before, taken)
        sterile.read(taken, "a")
        sterile.materialise(taken, folder / taken.git_dir.name / "out")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A file that exists once something of the repository has run."""
    return tmp_path / "ran"


@case(29)
def test_nothing_of_a_poisoned_repository_runs_and_nothing_in_it_changes(
    git_repo: Repo, tmp_path: Path, trap: Path
) -> None:
    root = git_repo({"a": "1", "b": "2", ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    (root / "new").write_text("untracked")
    (root / "b").write_text("changed")
    poison(root, trap)
    untouched = fingerprint(root)
    use_all(root, tmp_path)
    assert not trap.exists()
    assert fingerprint(root) == untouched


@case(29, 30)
@pytest.mark.parametrize("tracked", [True, False], ids=["submodule", "untracked"])
def test_nothing_of_a_poisoned_repository_inside_the_repository_runs(
    git_repo: Repo, tmp_path: Path, trap: Path, tracked: bool
) -> None:
    root = git_repo({"a": "1"})
    inner = git_repo({"x": "1"}, name="repo/inner")
    if tracked:
        (root / ".gitmodules").write_text(
            '[submodule "inner"]\npath = inner\nurl = ./inner\nignore = none\n'
        )
        git(root, "add", "-A")
        git(root, "commit", "-qm", "with a submodule")
    poison(inner, trap)
    git(root, "config", "diff.ignoreSubmodules", "none")
    git(root, "config", "status.submoduleSummary", "true")
    git(root, "config", "diff.submodule", "log")
    (inner / "x").write_text("2")
    untouched = fingerprint(root)
    use_all(root, tmp_path)
    assert not trap.exists()
    assert fingerprint(root) == untouched


def test_the_trap_of_these_tests_does_catch_plain_git(git_repo: Repo, trap: Path) -> None:
    root = git_repo({"a": "1", ".gitattributes": "* filter=evil\n"})
    poison(root, trap)
    git(root, "config", "--unset", "core.worktree")
    (root / "a").write_text("2")
    subprocess.run(["git", "diff"], cwd=root, capture_output=True, check=False)
    assert trap.exists()


def test_a_nested_repository_is_seen_by_its_commit(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    inner = git_repo({"x": "1"}, name="repo/inner")
    before = sterile.snapshot(root, tmp_path / "s")
    git(inner, "commit", "-q", "--allow-empty", "-m", "more")
    after = sterile.snapshot(root, tmp_path / "s")
    assert sterile.changed(before, after) == (("M", "inner"),)
    assert b"Subproject commit" in sterile.diff(before, after)
    assert sterile.read(after, "inner") is None


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "loose"])
@pytest.mark.parametrize("how", ["removed", "changed"])
def test_objects_that_were_tampered_with_are_never_believed(
    git_repo: Repo, tmp_path: Path, packed: bool, how: str
) -> None:
    root = git_repo({"test_a.py": "assert True  # the honest test\n"})
    if packed:
        git(root, "gc", "-q")
    before = sterile.snapshot(root, tmp_path / "s")
    blob = git(root, "rev-parse", "HEAD:test_a.py").strip()
    shutil.rmtree(root / ".git" / "objects")
    (root / ".git" / "objects" / blob[:2]).mkdir(parents=True)
    if how == "changed":
        forged = zlib.compress(b"blob 31\0assert 1 == 1  # the forged one")
        (root / ".git" / "objects" / blob[:2] / blob[2:]).write_bytes(forged)
    (root / "test_a.py").unlink()
    after = sterile.snapshot(root, tmp_path / "s")
    assert sterile.changed(before, after) == (("D", "test_a.py"),)
    with pytest.raises(AcrError, match="removed or changed after a snapshot"):
        sterile.read(before, "test_a.py")
    with pytest.raises(AcrError, match="removed or changed after a snapshot"):
        sterile.materialise(before, tmp_path / "out")
    with pytest.raises(AcrError, match="removed or changed after a snapshot"):
        sterile.diff(before, after)


def test_what_was_read_once_outlives_the_repository(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    taken = sterile.snapshot(root, tmp_path / "s")
    assert sterile.read(taken, "a") == b"1"
    shutil.rmtree(root)
    assert sterile.read(taken, "a") == b"1"


def test_files_that_turn_into_something_else_are_seen(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"d/x": "1", "f": "1", "l": "1", "p": "1", "run": "1"})
    before = sterile.snapshot(root, tmp_path / "s")
    shutil.copytree(root / "d", tmp_path / "elsewhere")
    shutil.rmtree(root / "d")
    (root / "d").symlink_to(tmp_path / "elsewhere")
    for name in ("f", "l", "p"):
        (root / name).unlink()
    (root / "f").mkdir()
    (root / "f" / "inside").write_text("2")
    (root / "l").symlink_to("run")
    os.mkfifo(root / "p")
    (root / "run").chmod(0o755)
    after = sterile.snapshot(root, tmp_path / "s")
    assert set(sterile.changed(before, after)) == {
        ("A", "d"),
        ("D", "d/x"),
        ("D", "f"),
        ("A", "f/inside"),
        ("T", "l"),
        ("D", "p"),
        ("M", "run"),
    }
    sterile.materialise(after, tmp_path / "out")
    assert os.readlink(tmp_path / "out/l") == "run"
    assert os.access(tmp_path / "out/run", os.X_OK)


def test_new_files_of_more_than_a_gigabyte_are_left_out(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    with open(root / "sparse", "wb") as file:
        file.truncate((1 << 30) + 1)
    taken = sterile.snapshot(root, tmp_path / "s")
    assert sterile.read(taken, "sparse") is None
    assert sterile.read(taken, "a") == b"1"


def test_many_new_files_come_through(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    for number in range(1200):
        (root / f"{number}").write_text(f"content {number}")
    taken = sterile.snapshot(root, tmp_path / "s")
    assert sterile.read(taken, "1199") == b"content 1199"
    assert sterile.changed(taken, sterile.snapshot(root, tmp_path / "s")) == ()


def test_tracked_files_stay_even_where_they_are_ignored(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"kept.log": "1"})
    (root / ".gitignore").write_text("*.log\n")
    (root / "other.log").write_text("2")
    before = sterile.snapshot(root, tmp_path / "s")
    (root / "kept.log").write_text("3")
    after = sterile.snapshot(root, tmp_path / "s")
    assert sterile.changed(before, after) == (("M", "kept.log"),)


def test_caches_of_a_test_run_are_no_changes(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a.py": "1"})
    before = sterile.snapshot(root, tmp_path / "s")
    for name in ("__pycache__/a.pyc", ".pytest_cache/v", ".venv/bin/python", "node_modules/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    assert sterile.changed(before, sterile.snapshot(root, tmp_path / "s")) == ()


def test_the_store_may_lie_inside_the_work_tree(
    git_repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = git_repo({"a": "1"})
    monkeypatch.setenv("ACR_HOME", str(root / "state"))
    store = root / "state" / "runs" / "snapshot.git"
    before = sterile.snapshot(root, store)
    (root / "state" / "memory.db").write_text("changes all the time")
    assert sterile.changed(before, sterile.snapshot(root, store)) == ()


def test_snapshots_in_two_stores_can_be_compared(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1\n"})
    before = sterile.snapshot(root, tmp_path / "one")
    (root / "a").write_text("2\n")
    after = sterile.snapshot(root, tmp_path / "two")
    assert sterile.changed(before, after) == (("M", "a"),)
    assert b"-1\n+2\n" in sterile.diff(before, after)


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "/etc/passwd", "d", "d/", "./a", "*"])
def test_what_is_no_file_of_the_tree_reads_as_none(
    git_repo: Repo, tmp_path: Path, path: str
) -> None:
    taken = sterile.snapshot(git_repo({"a": "1", "d/b": "2"}), tmp_path / "s")
    assert sterile.read(taken, path) is None


def test_a_repository_of_sha256_objects_works(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "--object-format=sha256")
    (root / "a").write_text("1")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    taken = sterile.snapshot(root, tmp_path / "s")
    assert sterile.read(taken, "a") == b"1"
    dirs = sterile.find_git(root)
    assert dirs
    assert not sterile.is_dirty(root, dirs)


@pytest.mark.parametrize("git_file", ["gitdir: /nowhere", "gitdir: ", "nonsense", "gitdir: \0", ""])
def test_a_git_file_that_leads_nowhere_makes_a_plain_folder(tmp_path: Path, git_file: str) -> None:
    (tmp_path / ".git").write_text(git_file)
    assert sterile.find_git(tmp_path) is None


def test_a_split_index_is_understood(git_repo: Repo) -> None:
    root = git_repo({"a": "1", "b": "2"})
    git(root, "update-index", "--split-index")
    dirs = sterile.find_git(root)
    assert dirs
    assert sorted(sterile.list_files(root, dirs)) == ["a", "b"]
    assert not sterile.is_dirty(root, dirs)


def test_the_history_of_a_shallow_clone_has_no_known_beginning(
    git_repo: Repo, tmp_path: Path
) -> None:
    root = git_repo({"a": "1"})
    git(root, "commit", "-q", "--allow-empty", "-m", "two")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    whole, cut = sterile.find_git(root), sterile.find_git(tmp_path / "shallow")
    assert whole
    assert cut
    commit = sterile.head(whole)[1]
    assert commit == sterile.head(cut)[1]
    assert commit
    assert sterile.root_commit(whole, commit) == git(root, "rev-parse", "HEAD~1").strip()
    assert sterile.root_commit(cut, commit) is None


names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20)
ours = names.filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
left_out = re.compile(r"\.git|__pycache__|venv|node_modules|target|\.DS_Store|\.[a-z]+_cache", re.I)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(st.dictionaries(ours.filter(lambda n: not left_out.search(n)), st.binary(), max_size=6))
def test_any_files_come_back_as_they_were(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "in", Path(folder) / "out"
        root.mkdir()
        for name, content in files.items():
            (root / name).write_bytes(content)
        sterile.materialise(sterile.snapshot(root, Path(folder) / "s"), out)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {
            path.name: path.read_bytes() for path in root.iterdir()
        }


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


def test_without_git_the_message_says_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AcrError, match="install it"):
        sterile.snapshot(tmp_path, tmp_path / "s")


def test_a_change_in_the_second_of_the_last_add_is_seen(git_repo: Repo) -> None:
    root = git_repo({"a.py": "x = 1\n"})
    stamp = 1_700_000_000
    os.utime(root / "a.py", (stamp, stamp))
    git(root, "update-index", "--refresh")
    (root / "a.py").write_text("x = 2\n")
    for path in (root / "a.py", root / ".git" / "index"):
        os.utime(path, (stamp, stamp))
    dirs = sterile.find_git(root)
    assert dirs
    assert sterile.is_dirty(root, dirs)
