"""acr verify and acr sandbox, as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.cli import main
from tests.conftest import git

TESTS = """import unittest
from calc import add


class TestAdd(unittest.TestCase):
    def test_add(self):
        print("said \\x1b]0;title\\x07 <b>[bold]")
        self.assertEqual(add(1, 2), 3)
"""
GOOD, BAD = "def add(a, b):\n    return a + b\n", "def add(a, b):\n    return a - b\n"


@pytest.fixture
def project(git_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    return git_repo({"calc.py": GOOD, "test_calc.py": TESTS})


def verify(project: Path, *args: str) -> int:
    return main.run(["verify", "--cwd", str(project), "--sandbox", "bwrap", *args])


def test_a_broken_test_fails_with_code_4_and_json(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "calc.py").write_text(BAD)
    assert verify(project, "--json") == 4
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "fail"
    assert told["tests"]["broken"] == ["test_calc.TestAdd.test_add"]
    assert told["sandbox"]["engine"] == "bwrap"
    assert told["sandbox"]["enforced"]["network"] == "none"
    assert told["changed"] == ["calc.py"]
    assert {"score", "signals", "tampering", "reason", "findings"} <= set(told)


def test_the_report_says_what_ran_where_and_what_changed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "calc.py").write_text(GOOD + "# more\n")
    assert verify(project, "--show-output") == 0
    said = capsys.readouterr().out
    assert said.startswith("pass · 1 test")
    for part in ("calc.py", "unittest", "bwrap", "network none", "wall 600 s", "output of the run"):
        assert part in said
    assert "<b>[bold]" in said
    assert "\x1b" not in said


def test_nothing_changed_is_unverified_and_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(project) == 0
    assert "unverified · nothing was changed: 1 pass, 0 fail" in capsys.readouterr().out


def test_a_revision_can_be_the_base(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "calc.py").write_text(BAD)
    git(project, "commit", "-qam", "break it")
    assert verify(project) == 0
    capsys.readouterr()
    assert verify(project, "--base", "HEAD~1", "--json") == 4
    assert json.loads(capsys.readouterr().out)["base"] == "HEAD~1"


def test_the_tree_the_index_and_git_are_as_before(project: Path) -> None:
    (project / "calc.py").write_text(BAD)
    (project / "new.py").write_text("x = 1\n")

    def state() -> dict[str, tuple[bytes, int]]:
        files = [p for p in project.rglob("*") if p.is_file()]
        return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}

    before = state()
    verify(project)
    assert state() == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--base", "no-such-revision"), "no revision 'no-such-revision'"),
        (("--base", "--upload-pack=x"), "no revision"),
        (("--cwd", "/nowhere"), "no such folder"),
    ],
)
def test_bad_input_is_one_sentence(
    project: Path, args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(project, *args) in (1, 2)
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_plain_folder_has_no_revision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain").mkdir()
    assert main.run(["verify", "--cwd", str(tmp_path / "plain")]) == 1
    assert "not a git repository" in capsys.readouterr().err


def test_without_the_asked_engine_nothing_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{project}/nothing.sock")
    assert main.run(["verify", "--cwd", str(project), "--sandbox", "docker"]) == 1
    assert "Tests were not run" in capsys.readouterr().err


def test_none_is_named_in_the_report(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "calc.py").write_text(GOOD + "# more\n")
    assert main.run(["verify", "--cwd", str(project), "--sandbox", "none"]) == 0
    said = capsys.readouterr().out
    assert "no sandbox: your own rights" in said
    assert "not held     network, filesystem" in said


def test_sandbox_status_tells_each_engine_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    for words in (["sandbox"], ["sandbox", "status"]):
        assert main.run(words) == 0
        said = capsys.readouterr().out
        assert "docker" in said
        assert "Start Docker or Podman" in said
    assert main.run(["sandbox", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["engines"]) == ["docker", "bwrap", "none"]
    assert told["engines"]["docker"]["ok"] is False
    assert told["engines"]["docker"]["fix"]
    assert told["engines"]["docker"]["grade"] == "container"
    assert told["used"] in ("bwrap", None)
