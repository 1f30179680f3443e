"""The repository around a folder, and how its tests are run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.context.repository import detect_tests, find
from acr.settings import RepositorySettings, Settings
from tests.conftest import git

Repo = Callable[..., Path]

CASES = [
    ({"pytest.ini": "", "a.py": ""}, "pytest", ("python3", "-m", "pytest")),
    ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "pytest", ("python3", "-m", "pytest")),
    ({"tests/test_a.py": "def test_a(): pass\n"}, "pytest", ("python3", "-m", "pytest")),
    ({"test_a.py": "import unittest\n"}, "unittest", ("python3", "-m", "unittest", "-v")),
    (
        {"test_a.py": "import unittest\n", "setup.cfg": "[options]\ntests = pytest\n"},
        "pytest",
        ("python3", "-m", "pytest"),
    ),
    ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm", ("npm", "test")),
    (
        {"package.json": '{"scripts": {"test": "x"}}', "pnpm-lock.yaml": ""},
        "pnpm",
        ("pnpm", "test"),
    ),
    ({"package.json": '{"scripts": {"test": "x"}}', "yarn.lock": ""}, "yarn", ("yarn", "test")),
    (
        {"package.json": '{"scripts": {"test": "x"}}', "bun.lockb": ""},
        "bun",
        ("bun", "run", "test"),
    ),
    ({"go.mod": "module m\n"}, "go", ("go", "test", "-json", "./...")),
    ({"Cargo.toml": ""}, "cargo", ("cargo", "test", "--offline")),
    ({"pom.xml": ""}, "maven", ("mvn", "-o", "-q", "test")),
    ({"pom.xml": "", "mvnw": ""}, "maven", ("./mvnw", "-o", "-q", "test")),
    ({"build.gradle.kts": ""}, "gradle", ("gradle", "--offline", "test")),
    ({"Makefile": "all:\ntest: all\n\ttrue\n"}, "make", ("make", "test")),
]


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(("files", "kind", "argv"), CASES)
def test_the_test_command_is_found(
    tmp_path: Path, files: dict[str, str], kind: str, argv: tuple[str, ...]
) -> None:
    found = detect_tests(make(tmp_path / "r", files))
    assert found
    assert (found.kind, found.argv) == (kind, argv)
    assert found.source.split()[0].rstrip(",") in files


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "{broken"},
        {"package.json": '{"scripts": {"test": 3}}'},
        {"Makefile": "all:\n"},
        {"pyproject.toml": "broken ["},
    ],
)
def test_where_there_are_no_tests_none_are_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert detect_tests(make(tmp_path, files)) is None


def test_the_projects_own_interpreter_runs_its_tests(tmp_path: Path) -> None:
    root = make(tmp_path, {"pytest.ini": "", ".venv/bin/python": ""})
    found = detect_tests(root)
    assert found
    assert found.argv[0] == str(root / ".venv/bin/python")


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


def test_clones_have_one_id_and_moves_keep_it(git_repo: Repo, tmp_path: Path) -> None:
    root = git_repo({"a": "1"})
    clone = tmp_path / "clone"
    git(root, "clone", "-q", str(root), str(clone))
    git(clone, "remote", "remove", "origin")
    moved = tmp_path / "moved"
    first = find(root, Settings()).id
    shutil.move(root, moved)
    assert find(clone, Settings()).id == find(moved, Settings()).id == first


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
