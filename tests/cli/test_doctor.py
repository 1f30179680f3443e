"""The doctor tries every part; what is broken is a line with its fix, never a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acr.agents.profiles import load_all, sync
from acr.cli import doctor
from acr.cli.doctor import Finding, examine
from acr.cli.main import run
from acr.settings import Settings
from tests.cli.records import outcome, remember, task


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that has git and nothing else; returns its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    git = shutil.which("git")
    assert git
    (folder / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    for name in [n for n in os.environ if n.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def program(bare: Path) -> Any:
    """Puts a shell script on PATH."""

    def make(name: str, text: str = "echo 1.2.3") -> Path:
        path = bare / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return make


def look(name: str) -> list[Finding]:
    """The findings of one check."""
    check = next(c for c in doctor.CHECKS if c.__name__ == f"_{name}")
    return list(examine((check,)))


def test_nothing_installed_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = {c["name"]: c for c in told["checks"]}
    assert told["ok"]
    for name in ("python", "platform", "home", "settings", "git", "sqlite", "memory", "embedder"):
        assert found[name]["status"] == "ok", found[name]
    assert found["agents"]["status"] == "warning"
    assert "npm install" in found["agents"]["fix"]


def test_it_says_what_reads_prompts_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor", "--json"])
    found = {c["name"]: c["detail"] for c in json.loads(capsys.readouterr().out)["checks"]}
    assert re.search(r"by (llama\.cpp|numpy) \(.+\)$", found["orchestrator"])
    assert found["calibration"].startswith("none; acr calibrate")
    assert "language model" not in found


def test_a_chat_model_that_is_not_there_is_a_failure(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("[orchestrator]\ngguf = '/nowhere/chat.gguf'\n")
    assert run(["doctor"]) == 1
    assert "/nowhere/chat.gguf: No such file" in capsys.readouterr().out


def test_each_warning_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    for check in json.loads(capsys.readouterr().out)["checks"]:
        if check["status"] != "ok" and check["name"] != "llama":
            assert check["fix"].endswith((".", "700 " + os.environ["ACR_HOME"])), check


def test_the_report_is_plain_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "\x1b" not in said.out
    assert "✓ git" in said.out
    assert "0 failures" in said.out


def test_a_broken_config_is_a_failure_and_the_rest_is_still_looked_at(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("[agents]\nautonomy = 3\n")
    assert run(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert f"{home / 'config.toml'}:2" in shown
    assert "✓ embedder" in shown
    assert "1 failure," in shown


def test_a_check_that_raises_is_a_failure_with_its_text() -> None:
    def breaks(_: Settings) -> Iterator[Finding]:
        yield Finding("first", "ok", "well")
        raise ZeroDivisionError("by\nzero")

    first, broken = examine((breaks,))
    assert first.status == "ok"
    assert (broken.name, broken.status) == ("breaks", "failure")
    assert "ZeroDivisionError: by zero" in broken.detail


def test_a_damaged_memory_is_a_failure(home: Path) -> None:
    remember([outcome(task(), "pass")])
    assert "1 tasks, 1 outcomes" in look("memory")[0].detail
    with open(home / "memory.db", "r+b") as file:
        file.write(b"no database")
    (found,) = look("memory")
    assert found.status == "failure"
    assert "memory.db" in found.detail


def test_a_memory_that_is_not_there_is_not_made(home: Path) -> None:
    assert look("memory")[0].status == "ok"
    assert not home.exists()


def test_a_home_that_others_can_read_is_a_warning(home: Path) -> None:
    home.mkdir()
    home.chmod(0o755)
    (found,) = look("home")
    assert found.status == "warning"
    assert "chmod 700" in found.fix
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_a_home_that_cannot_be_a_folder_is_a_failure(home: Path) -> None:
    home.write_text("")
    (found,) = look("home")
    assert found.status == "failure"
    assert "ACR_HOME" in found.fix


def test_git_must_be_there_and_not_ancient(program: Any, bare: Path) -> None:
    (bare / "git").unlink()
    assert look("git")[0].status == "failure"
    program("git", "echo git version 1.8.3.1")
    (found,) = look("git")
    assert found.status == "failure"
    assert "2.25" in found.fix
    program("git", "echo nonsense")
    assert look("git")[0].status == "failure"


def test_an_agent_without_a_login_is_a_warning(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("codex")
    found = {f.name: f for f in look("agents")}
    assert found["agent codex"].status == "warning"
    assert "codex login" in found["agent codex"].fix
    assert "claude" in found["agents"].detail
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    (ready,) = (f for f in look("agents") if f.name == "agent codex")
    assert ready.status == "ok"
    assert "sk-secret" not in ready.detail


def test_profiles_count_for_agents_that_are_installed(program: Any) -> None:
    assert look("profiles")[0].status == "warning"
    program("codex")
    assert look("profiles")[0].status == "ok"


def test_a_broken_profile_is_a_failure_that_names_it(home: Path) -> None:
    (home / "profiles").mkdir(parents=True)
    (home / "profiles" / "mine.toml").write_text('agent = "codex"\n')
    (found,) = look("profiles")
    assert found.status == "failure"
    assert "mine.toml" in found.detail


def test_stale_codex_profiles_are_a_warning(tmp_path: Path) -> None:
    codex = tmp_path / "user-home" / ".codex"
    codex.mkdir()
    assert look("codex_profiles") == []
    sync(load_all().values(), codex)
    assert look("codex_profiles")[0].status == "ok"
    one = next(codex.glob("acr-*"))
    text = one.read_text() + "# changed\n"
    one.write_text(text)
    (found,) = look("codex_profiles")
    assert found.status == "warning"
    assert one.name in found.detail
    assert one.read_text() == text


def test_a_hook_that_is_no_program_is_a_warning(home: Path, program: Any) -> None:
    lint = program("lint")
    home.mkdir()
    config = '[[hooks.post_run]]\ncommand = ["{}"]\n[[hooks.post_run]]\ncommand = []\n'
    (home / "config.toml").write_text(config.format(lint))
    (found,) = look("hooks")
    assert found.status == "warning"
    assert "an empty command" in found.detail
    assert str(lint) not in found.detail


def test_tests_without_a_sandbox_are_a_warning(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[verifier]\nsandbox = "none"\n')
    (found,) = look("sandbox")
    assert found.status == "warning"
    assert "your own rights" in found.detail


def test_each_sandbox_that_fails_says_why_when_none_works() -> None:
    found = look("sandbox")
    if found[0].status == "ok":
        pytest.skip("a sandbox works here even with an empty PATH")
    assert [f.name for f in found] == ["sandbox docker", "sandbox bwrap"]
    assert all(f.status == "warning" and f.fix and f.detail for f in found)
