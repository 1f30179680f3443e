"""acr "PROMPT": what it prints, what it stores, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acr.cli.demo import RIGHT
from acr.cli.main import run
from acr.nouns import Event
from tests import scripted
from tests.conftest import git

HERE = ("--sandbox", "none")
"""These tests' tests are harmless."""


@pytest.fixture
def repo(git_repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a repository with a bug, and scripted agents to fix it."""
    scripted.install(tmp_path)
    root = git_repo(scripted.FILES)
    monkeypatch.chdir(root)
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    monkeypatch.setenv("PATH", path)
    return root


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON object on stdout."""
    return json.loads(capsys.readouterr().out)


def test_a_try_that_fails_is_followed_by_the_next_with_its_findings(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "fix the failing test"]) == 0
    said = capsys.readouterr()
    assert "scripted/scripted-small" in said.err
    assert "✗ fail" in said.err
    assert "✓ pass 2 tests fixed" in said.out
    assert "2 tries: demo-small (scripted-small)" in said.out
    assert "WITHOUT a sandbox" in said.err
    assert (repo / "basket.py").read_text() == RIGHT
    first, second = scripted.outcomes()
    assert (first.verdict.status, second.verdict.status) == ("fail", "pass")
    assert second.decision
    assert second.decision.tried == ("demo-small",)
    assert "2 tests still fail" in first.verdict.findings


def test_json_is_one_object_on_stdout_and_progress_goes_to_stderr(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--json", "--profile", "demo-large", "fix the failing test"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert (result["status"], result["profile"], result["tries"]) == ("pass", "demo-large", 1)
    assert result["cost_usd"] == pytest.approx((2400 * 5 + 160 * 25) / 1e6)
    assert result["attempts"][0]["verdict"]["tests"]["fixed"]
    assert "scripted/scripted-large" in said.err


def test_quiet_says_only_the_summary(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*HERE, "--quiet", "--profile", "demo-large", "fix it"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("✓ pass")


def test_the_limit_of_tries_ends_with_the_verdict_and_exit_code_4(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--max-tries", "1", "--json", "fix the failing test"]) == 4
    result = told(capsys)
    assert (result["status"], result["tries"]) == ("fail", 1)
    assert "limit of tries" in result["stopped"]


def test_a_budget_ends_the_tries(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*HERE, "--budget", "0.2", "--json", "fix the failing test"]) == 4
    result = told(capsys)
    assert result["tries"] == 1
    assert "budget" in result["stopped"]


def test_a_dry_run_decides_and_changes_nothing(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--dry-run", "--json", "fix the failing test"]) == 0
    shown = told(capsys)
    assert shown["decision"]["chosen"] == "demo-small"
    assert shown["task"]["embedding"] is None
    assert scripted.outcomes() == []
    assert git(repo, "status", "--porcelain") == ""


def test_without_verification_the_run_is_unverified_and_said(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--no-verify", "--profile", "demo-large", "fix it"]) == 0
    assert "? unverified not verified, as asked" in capsys.readouterr().out
    assert scripted.outcomes()[0].verdict.strength == 0


@pytest.mark.parametrize(
    ("pin", "chosen"),
    [
        (("--profile", "demo-large"), "demo-large"),
        (("--model", "scripted-large"), "demo-large"),
        (("--agent", "scripted"), "demo-small"),
    ],
)
def test_pins_are_kept(
    repo: Path, capsys: pytest.CaptureFixture[str], pin: tuple[str, str], chosen: str
) -> None:
    assert run(["--dry-run", "--json", *pin, "fix it"]) == 0
    assert told(capsys)["decision"]["chosen"] == chosen


def test_a_profile_that_does_not_exist_is_answered_with_the_nearest(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--dry-run", "--profile", "demo-larg", "fix it"]) == 2
    assert "did you mean demo-large?" in capsys.readouterr().err


def test_without_an_agent_nothing_runs_and_the_exit_code_is_5(
    repo: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "profiles")
    (home / "config.toml").write_text('[pool]\nagents = ["codex"]\n')
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert run([*HERE, "fix it"]) == 5
    said = capsys.readouterr().err
    assert "codex is not installed" in said
    assert "npm install" in said
    assert scripted.outcomes() == []


def test_an_agent_that_fails_is_no_verdict_and_exits_with_5(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.install(tmp_path, scripted.both({"error": "no credit left"}))
    assert run([*HERE, "--json", "fix it"]) == 5
    result = told(capsys)
    assert result["status"] == "unverified"
    assert [a["attempt"]["error"] for a in result["attempts"]] == ["no credit left"] * 2


def test_the_agent_gets_the_arguments_after_two_dashes(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--max-tries", "1", "--json", "fix it", "--", "--extra", "word"]) == 4
    attempt = told(capsys)["attempts"][0]["attempt"]
    folder = scripted.run_folder(attempt["task"])
    start = json.loads((folder / attempt["transcript"]).read_text().splitlines()[0])
    assert start["argv"][-2:] == ["--extra", "word"]


@pytest.mark.parametrize("source", ["file", "stdin", "editor"])
def test_the_prompt_may_come_from_elsewhere(repo: Path, tmp_path: Path, source: str) -> None:
    (tmp_path / "prompt.md").write_text("explain basket.py\n")
    args = ("--file", str(tmp_path / "prompt.md")) if source == "file" else ("-",)
    if source != "editor":
        wanted = ("run", "--dry-run", "--json", *args)
        done = scripted.acr(*wanted, cwd=repo, stdin="explain basket.py")
    else:  # which opens on a terminal only
        line = f"{sys.executable} -m acr run --dry-run --json"
        editor = f"cp {tmp_path / 'prompt.md'}"
        done = subprocess.run(
            ["script", "-qec", line, "/dev/null"],
            env={**os.environ, "EDITOR": editor},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout[done.stdout.index("{") :]
    assert json.loads(shown)["task"]["prompt"] == "explain basket.py"


def test_what_was_changed_before_is_not_the_agents_doing(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / "notes.txt").write_text("mine\n")
    (repo / "test_basket.py").write_text((repo / "test_basket.py").read_text() + "# mine\n")
    git(repo, "add", "notes.txt")
    index = (repo / ".git" / "index").read_bytes()
    assert run([*HERE, "--json", "--profile", "demo-large", "fix the failing test"]) == 0
    assert told(capsys)["attempts"][0]["verdict"]["changed"] == ["basket.py"]
    assert (repo / "notes.txt").read_text() == "mine\n"
    assert (repo / ".git" / "index").read_bytes() == index


def test_a_later_run_goes_on_in_the_same_session(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--json", "--profile", "demo-large", "fix the failing test"]) == 0
    first = told(capsys)
    assert run(["continue", *HERE, "--json", "and", "again"]) in (1, 2)  # "and" is no run
    capsys.readouterr()
    assert run(["continue", *HERE, "--json", first["run"], "explain", "it"]) == 0
    again = told(capsys)
    assert again["attempts"][0]["attempt"]["session"] == first["attempts"][0]["attempt"]["session"]
    assert again["profile"] == "demo-large"


def test_without_a_run_it_is_the_latest_one_here(
    repo: Path, git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--json", "--profile", "demo-large", "fix the failing test"]) == 0
    first = told(capsys)
    other = git_repo(scripted.FILES, name="other")
    assert run([*HERE, "--quiet", "--profile", "demo-large", "--cwd", str(other), "fix it"]) == 0
    assert run(["route", "--record", "decided last, not run"]) == 0
    capsys.readouterr()
    assert run(["continue", *HERE, "--json", "explain it"]) == 0
    again = told(capsys)
    assert again["task"]["root"] == str(repo)
    assert again["attempts"][0]["attempt"]["session"] == first["attempts"][0]["attempt"]["session"]
    assert run(["continue", *HERE, "and", "add", "a test"]) == 1
    assert "goes in quotes" in capsys.readouterr().err


def test_where_nothing_was_run_nothing_goes_on(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--quiet", "--profile", "demo-large", "fix the failing test"]) == 0
    monkeypatch.chdir(tmp_path)
    assert run(["continue", *HERE, "explain it"]) == 1
    assert f"no run in {tmp_path} kept a session" in capsys.readouterr().err


def test_the_agents_own_screen_has_the_terminal_for_itself(repo: Path) -> None:
    line = f"{sys.executable} -m acr --sandbox none -i --profile demo-large 'fix the failing test'"
    done = subprocess.run(
        ["script", "-qec", line, "/dev/null"],
        env={**os.environ, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "until you close it" in done.stdout
    screen = done.stdout[done.stdout.index('{"type": "start"') : done.stdout.index("fixed")]
    assert "\x1b[2K" not in screen  # no moving status line below it
    assert "is at work" not in done.stdout
    assert scripted.outcomes()[0].verdict.status == "pass"


def test_without_a_terminal_there_is_no_screen(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = scripted.acr("-i", *HERE, "fix it", cwd=repo)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert scripted.outcomes() == []


def test_a_human_verdict_changes_what_stats_say(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*HERE, "--quiet", "--profile", "demo-large", "fix the failing test"]) == 0
    assert run(["bad"]) == 0
    capsys.readouterr()
    assert run(["stats", "--json"]) == 0
    (row,) = told(capsys)["rows"]
    assert (row["wins"], row["losses"]) == (0, 1)


def test_one_acr_at_a_time_works_in_a_repository(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from acr import lock

    with lock.hold(repo, "the other task"):
        assert run([*HERE, "fix it"]) == 1
    said = capsys.readouterr().err
    assert f"process {os.getpid()}, 'the other task'" in said
    assert "wait for it" in said
    assert run([*HERE, "--quiet", "--profile", "demo-large", "fix it"]) == 0


def test_the_clock_going_backwards_disturbs_nothing(
    repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run([*HERE, "--quiet", "--profile", "demo-large", "fix the failing test"]) == 0
    now = time.time() - 90_000
    monkeypatch.setattr(time, "time", lambda: now)
    assert run([*HERE, "--json", "--profile", "demo-large", "fix the failing test again"]) == 0
    capsys.readouterr()
    assert run(["stats"]) == 0
    assert run(["why"]) == 0
    assert len(scripted.outcomes()) == 2


def test_events_are_one_line_each(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from acr.cli.live import Live
    from acr.settings import Settings

    Live(Settings(), quiet=False, verbose=False).event(Event("tool", "a\n\x1b[31mb"))
    assert capsys.readouterr().err == "  a �[31mb\n"
