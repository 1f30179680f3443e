"""Runs in places that are odd, huge, read-only or full: it works, or says why in one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acr.cli.demo import RIGHT
from acr.cli.main import run
from tests import scripted
from tests.conftest import git

NAMES = ("with space", "new\nline", "-dash", "ünïcode 中", os.fsdecode(b"\xff-bytes"), "a'b\"c")
HERE = ("--sandbox", "none", "--json", "--profile", "demo-large")


@pytest.fixture(autouse=True)
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted agents, and this Python for the tests of the repositories."""
    scripted.install(tmp_path)
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    monkeypatch.setenv("PATH", path)


def fix(root: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Has the bug in `root` fixed; returns what acr said."""
    assert run(["run", *HERE, "--cwd", str(root), "fix the failing test"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "pass", result["attempts"][0]["verdict"]["reason"]
    assert (root / "basket.py").read_text() == RIGHT
    return result


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("name", NAMES)
def test_a_path_of_any_name(
    git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    root = git_repo(scripted.FILES, name=name)
    fix(root, capsys)
    assert git(root, "status", "--porcelain") == " M basket.py\n"
    assert run(["why"]) == run(["runs", "show"]) == run(["runs", "diff"]) == run(["runs"]) == 0


@pytest.mark.parametrize(
    "name", ["with space.py", "new\nline.py", "-x.py", os.fsdecode(b"\xff.py")]
)
def test_files_of_any_name(
    git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    root = git_repo({**scripted.FILES, name: "a = 1\n"})
    (root / name).write_text("a = 2\n")
    assert fix(root, capsys)["attempts"][0]["verdict"]["changed"] == ["basket.py"]
    assert (root / name).read_text() == "a = 2\n"


def test_a_folder_without_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    for name, text in scripted.FILES.items():
        (root / name).write_text(text)
    fix(root, capsys)
    assert sorted(p.name for p in root.iterdir() if p.name != "__pycache__") == [
        "basket.py",
        "test_basket.py",
    ]


def test_a_detached_linked_worktree(
    git_repo: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = git_repo(scripted.FILES)
    git(main, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    fix(tmp_path / "tree", capsys)
    assert git(main, "status", "--porcelain") == ""


def test_a_repository_with_a_submodule(
    git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    inner = git_repo({"lib.py": "x = 1\n"}, name="inner")
    root = git_repo(scripted.FILES)
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "lib")
    git(root, "commit", "-q", "-m", "lib")
    (root / "lib" / "lib.py").write_text("x = 2\n")
    fix(root, capsys)
    assert (root / "lib" / "lib.py").read_text() == "x = 2\n"


def test_an_empty_repository_without_a_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    git(root, "init", "-q")
    assert run(["run", *HERE, "--cwd", str(root), "write basket.py"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "unverified"


def test_fifty_thousand_files_take_bounded_time(
    git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = git_repo(scripted.FILES)
    for number in range(500):
        folder = root / "data" / str(number)
        folder.mkdir(parents=True)
        for name in range(100):
            (folder / f"{name}.txt").write_text(f"{number} {name}\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "many")
    began = time.monotonic()
    fix(root, capsys)
    assert time.monotonic() - began < 120


def test_a_folder_without_git_that_holds_everything_is_not_copied(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "everything"
    for number in range(501):
        folder = root / str(number)
        folder.mkdir(parents=True)
        for name in range(100):
            (folder / f"{name}.txt").touch()
    assert run(["run", *HERE, "--cwd", str(root), "fix it"]) == 1
    assert f"{root} is no git repository and holds more than 50,000 files" in one_line(capsys)
    assert scripted.outcomes() == []
    assert not (home / "runs").exists()


def test_a_read_only_home_is_one_sentence(
    git_repo: Callable[..., Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = git_repo(scripted.FILES)
    with _mounted(home, "remount,ro") as mounted:
        assert run(["run", *HERE, "--cwd", str(root), "fix it"]) == 1
        assert str(mounted) in one_line(capsys)
    assert (root / "basket.py").read_text() != RIGHT


def test_a_full_disk_is_one_sentence_and_memory_stays_sound(
    git_repo: Callable[..., Path],
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = git_repo(scripted.FILES)
    with _mounted(home, "size=400m"):
        scripted.install(tmp_path)
        fix(root, capsys)
        _fill(home / "filler")
        (root / "basket.py").write_text(scripted.FILES["basket.py"])
        assert run(["run", *HERE, "--cwd", str(root), "fix it again"]) == 1
        said = one_line(capsys)
        assert "full" in said or "No space left" in said
        (home / "filler").unlink()
        assert [o.verdict.status for o in scripted.outcomes()] == ["pass"]
        fix(root, capsys)


def _fill(path: Path) -> None:
    """Writes until nothing more fits."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@contextlib.contextmanager
def _mounted(home: Path, options: str) -> Iterator[Path]:
    """A file system of its own at acr's home, while the context is open. Needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    size = options if options.startswith("size") else "size=64m"
    home.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "acr-test", str(home)], check=True)
    try:
        if options.startswith("remount"):
            subprocess.run(["mount", "-o", options, str(home)], check=True)
        yield home
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)
