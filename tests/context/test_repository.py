"""The repository around a folder, and how its tests are run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.context.repository import find
from acr.errors import AcrError
from acr.settings import RepositorySettings, Settings
from tests.conftest import git

Repo = Callable[..., Path]


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_command_of_the_settings_wins(git_repo: Repo) -> None:
    root = git_repo({"pytest.ini": ""})
    config = Settings(repositories={str(root): RepositorySettings(test="make quick")})
    found = find(root, config).test
    assert found
    assert found.argv == ("sh", "-c", "make quick")
    assert found.source == "set in config.toml"


def test_the_root_is_found_from_below(git_repo: Repo) -> None:
    root = git_repo({"a/b/c.py": "x = 1\n" * 100, "d.go": "package d\n"})
    found = find(root / "a" / "b", Settings())
    assert found.root == root
    assert found.branch == "main"
    assert found.files == 2
    assert found.languages[0][0] == "python"
    assert sum(share for _, share in found.languages) == pytest.approx(1)


def test_a_command_of_the_settings_is_found_for_a_linked_root(
    git_repo: Repo, tmp_path: Path
) -> None:
    root = git_repo({"pytest.ini": ""})
    (tmp_path / "link").symlink_to(root)
    config = Settings(repositories={str(root): RepositorySettings(test="make quick")})
    found = find(tmp_path / "link", config).test
    assert found
    assert found.kind == "custom"


def test_other_ways_to_run_tests_are_named(git_repo: Repo) -> None:
    root = git_repo({"pytest.ini": "", "Makefile": "test:\n\ttrue\n"})
    found = find(root, Settings())
    assert found.test
    assert found.test.kind == "pytest"
    assert "tests, not used: make test (Makefile target test)" in found.notes


def test_clones_have_one_id_and_moves_keep_it(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    clone = tmp_path / "clone"
    git(root, "clone", "-q", str(root), str(clone))
    git(clone, "remote", "remove", "origin")
    moved = tmp_path / "moved"
    first = find(root, Settings()).id
    shutil.move(root, moved)
    assert find(clone, Settings()).id == find(moved, Settings()).id == first


def test_new_commits_merges_and_branches_keep_the_id(git_repo: Repo) -> None:
    root = git_repo({"a": "1"})
    first = find(root, Settings()).id
    git(root, "checkout", "-q", "--orphan", "other")
    git(root, "commit", "-q", "-m", "another beginning")
    assert find(root, Settings()).id != first
    git(root, "checkout", "-q", "main")
    git(root, "merge", "-q", "--allow-unrelated-histories", "-m", "joined", "other")
    assert find(root, Settings()).id == first
    git(root, "commit", "-q", "--allow-empty", "-m", "more")
    assert find(root, Settings()).id == first


def test_another_repository_in_the_same_place_has_another_id(git_repo: Repo) -> None:
    root = git_repo({"a": "1"})
    first = find(root, Settings()).id
    shutil.rmtree(root)
    git_repo({"a": "2"})
    assert find(root, Settings()).id != first


def test_a_worktree_has_the_id_of_its_repository(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    git(root, "worktree", "add", "-q", str(tmp_path / "side"))
    assert find(tmp_path / "side", Settings()).id == find(root, Settings()).id


def test_a_shallow_clone_is_known_by_its_path(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    git(root, "commit", "-q", "--allow-empty", "-m", "two")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    found = find(tmp_path / "shallow", Settings())
    assert "identity: the folder's path" in found.notes
    assert found.id == find(tmp_path / "shallow", Settings()).id != find(root, Settings()).id


def test_nested_repositories_are_named_and_not_counted(git_repo: Repo) -> None:
    root = git_repo({"a": "1"})
    git_repo({"x": "1"}, name="repo/inner")
    found = find(root, Settings())
    assert found.files == 1
    assert "nested repositories, watched by their commit only: inner" in found.notes


def test_a_folder_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AcrError, match="is not a folder"):
        find(tmp_path / "nowhere", Settings())


def test_looking_leaves_the_repository_as_it_is(git_repo: Repo) -> None:
    root = git_repo({"a": "1"})
    before = {p: p.lstat().st_mtime_ns for p in root.rglob("*")}
    find(root, Settings())
    assert {p: p.lstat().st_mtime_ns for p in root.rglob("*")} == before


def test_the_user_and_password_of_an_origin_are_never_kept(git_repo: Repo) -> None:
    root = git_repo({"a": "1"})
    git(root, "remote", "add", "origin", "https://me:hunter2@example.com/o/r")
    assert "hunter2" not in repr(find(root, Settings()))


def test_a_plain_folder_is_a_repository_too(tmp_path: Path) -> None:
    root = make(tmp_path / "plain", {"a.rs": "fn main() {}", "node_modules/x.js": "y" * 999})
    found = find(root, Settings())
    assert not found.is_git
    assert found.languages == (("rust", 1.0),)


@pytest.mark.parametrize("name", ["with space", "new\nline", "-dash", "ünïcode"])
def test_a_root_of_any_name_works(git_repo: Repo, name: str) -> None:
    assert find(git_repo({"a": "1"}, name=name), Settings()).files == 1


def test_a_detached_head_and_an_empty_repository_work(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    git(root, "checkout", "-q", "--detach")
    assert find(root, Settings()).branch is None
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert find(empty, Settings()).head is None
