"""The codex adapter: command lines, and what it reads from kept output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, Request, codex
from acr.agents.codex import Codex
from acr.nouns import Autonomy, Event, Profile, Usage
from tests.agents import fakes, hostile, kept

PROFILE = Profile("codex-mock", "codex", "mock-big", "mid", effort="high")
FULL = "--dangerously-bypass-approvals-and-sandbox"
REPOSITORY = Path("/home/user/repo")
LINES = [
    line for name in ("codex-edit", "codex-subagent", "codex-401") for line in kept.lines(name)
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CODEX_HOME."""
    folder = tmp_path / "codex"
    folder.mkdir()
    monkeypatch.setenv("CODEX_HOME", str(folder))
    return folder


def ask(tmp_path: Path, **fields: Any) -> Request:
    return fakes.request(tmp_path, **{"profile": PROFILE, "cwd": REPOSITORY, **fields})


def keep(home: Path, name: str) -> None:
    """Puts kept rollouts where codex leaves them, stamped with a time to come."""
    for number, rows in enumerate(json.loads((kept.FOLDER / f"{name}.rollouts.json").read_text())):
        folder = home / "sessions" / "2026" / "11" / "23"
        folder.mkdir(parents=True, exist_ok=True)
        later = [{**row, "timestamp": "2999-01-01T00:00:00Z"} for row in rows]
        path = folder / f"rollout-{number}-{rows[0]['payload']['id']}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in later))


def read(
    tmp_path: Path, name: str, exit_code: int = 0, **fields: Any
) -> tuple[Report, list[Event]]:
    reader = Codex().reader(ask(tmp_path, **fields))
    events = kept.feed(reader, name)
    return reader.finish(exit_code, ""), events


def test_the_model_and_effort_are_always_named(tmp_path: Path) -> None:
    command = Codex().command(ask(tmp_path))
    line = " ".join(command.argv)
    assert line.startswith("codex exec --json --skip-git-repo-check -s workspace-write")
    assert "-m mock-big -c model_reasoning_effort=high" in line
    assert "-p" not in command.argv
    assert (command.argv[-1], command.stdin) == ("-", "do it")


def test_a_profile_file_is_named_only_when_it_exists(tmp_path: Path, home: Path) -> None:
    (home / "acr-codex-mock.config.toml").touch()
    argv = Codex().command(ask(tmp_path)).argv
    assert argv[argv.index("-p") + 1] == "acr-codex-mock"
    assert "-m" in argv


@pytest.mark.parametrize(
    ("autonomy", "run", "screen"),
    [
        ("ask", "-s read-only", "-s read-only -a on-request"),
        ("edit", "-s workspace-write", "-s workspace-write -a on-request"),
        ("full", FULL, FULL),
    ],
)
def test_autonomy_is_mapped(tmp_path: Path, autonomy: Autonomy, run: str, screen: str) -> None:
    request = ask(tmp_path, autonomy=autonomy)
    assert run in " ".join(Codex().command(request).argv)
    assert screen in " ".join(Codex().interactive(request).argv)


def test_resuming_and_the_users_arguments(tmp_path: Path) -> None:
    profile = replace(PROFILE, args=("--search",))
    request = ask(tmp_path, profile=profile, resume="thread-1", args=("--add-dir", "/x"))
    assert " ".join(Codex().command(request).argv).endswith(
        "--search --add-dir /x resume thread-1 -"
    )


def test_the_screen_leaves_no_daemon_and_takes_a_prompt_that_starts_with_a_dash(
    tmp_path: Path,
) -> None:
    argv = Codex().interactive(ask(tmp_path, prompt="-x marks")).argv
    assert argv[:2] == ("codex", "--no-daemon")
    assert argv[-2:] == ("--", "-x marks")


def test_temporary_files_move_when_the_home_lies_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    moved = Path(Codex().command(ask(tmp_path)).env["TMPDIR"])
    assert moved.is_dir()
    assert not codex.home().is_relative_to(moved)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    assert not Codex().command(ask(tmp_path)).env


def test_a_run_is_read_from_events_and_rollout(tmp_path: Path, home: Path) -> None:
    keep(home, "codex-edit")
    report, events = read(tmp_path, "codex-edit")
    assert (report.status, report.error) == ("done", "")
    assert report.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)
    assert report.model == "mock-big"
    assert report.message == "All done"
    assert [e.kind for e in events] == ["start", "warning", "tool", "text"]
    assert "printf" in events[2].text


def test_without_rollouts_the_turns_own_figures_count(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "codex-edit")
    assert report.usage == Usage(1700, 1500, output=60, reasoning=5)
    assert report.model is None


def test_cumulative_figures_of_a_resumed_session_are_not_trusted(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "codex-edit", resume="some-thread")
    assert report.usage is None


def test_what_was_there_before_the_run_does_not_count(tmp_path: Path, home: Path) -> None:
    keep(home, "codex-edit")
    for path in home.glob("sessions/*/*/*/*.jsonl"):
        path.write_text(path.read_text().replace("2999", "2001"))
    report, _ = read(tmp_path, "codex-edit", resume="some-thread")
    assert report.usage is None


def test_sub_agents_have_their_own_model_and_are_marked(tmp_path: Path, home: Path) -> None:
    keep(home, "codex-subagent")
    report, events = read(tmp_path, "codex-subagent")
    assert report.usage is not None
    assert report.usage.subagent == 910
    assert report.by_model["gpt-6-luna"] == Usage(900, output=10, requests=1, subagent=910)
    assert sum(report.by_model.values(), Usage()) == report.usage
    assert any("spawn_agent: Do the SUBTASK" in e.text for e in events)


def test_after_an_interactive_run_the_session_is_found_by_its_folder(
    tmp_path: Path, home: Path
) -> None:
    keep(home, "codex-subagent")
    report = Codex().reader(ask(tmp_path)).finish(0, "")
    assert report.session
    assert report.usage is not None
    assert report.usage.subagent == 910
    elsewhere = Codex().reader(ask(tmp_path, cwd=Path("/home/user/other"))).finish(0, "")
    assert (elsewhere.session, elsewhere.usage) == (None, None)


def test_a_refused_last_command_is_a_denial(tmp_path: Path, home: Path) -> None:
    keep(home, "codex-denied")
    report, _ = read(tmp_path, "codex-denied", autonomy="ask")
    assert report.status == "denied"
    assert "hello.txt: Read-only file system" in report.error


def test_a_sandbox_that_cannot_start_is_an_error(tmp_path: Path, home: Path) -> None:
    keep(home, "codex-no-sandbox")
    report, _ = read(tmp_path, "codex-no-sandbox")
    assert report.status == "error"
    assert "bwrap: execvp codex-linux-sandbox" in report.error
    assert "--autonomy full" in report.error


def test_an_api_error_says_what_to_do(tmp_path: Path) -> None:
    report, events = read(tmp_path, "codex-401", exit_code=1)
    assert report.status == "error"
    assert "`codex login`" in report.error
    assert "bad key" in events[-1].text


def test_a_turn_without_tokens_was_blocked(tmp_path: Path) -> None:
    reader = Codex().reader(ask(tmp_path))
    reader.feed('{"type":"turn.completed","usage":{"input_tokens":0,"output_tokens":0}}')
    report = reader.finish(0, "")
    assert report.status == "denied"
    assert "hook" in report.error


def test_an_early_end_is_explained_by_stderr(tmp_path: Path) -> None:
    report = Codex().reader(ask(tmp_path)).finish(2, "warning: x\nerror: unknown option -z\n")
    assert report.status == "error"
    assert "unknown option -z" in report.error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(hostile.mutated(LINES), max_size=4))
def test_noise_never_raises(tmp_path: Path, lines: list[str]) -> None:
    reader = Codex().reader(ask(tmp_path))
    for line in lines:
        reader.feed(line)
    reader.finish(0, "")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_rollout_never_raises(tmp_path: Path, home: Path, data: st.DataObject) -> None:
    keep(home, "codex-subagent")
    for path in home.glob("sessions/*/*/*/*.jsonl"):
        damage = data.draw(st.lists(hostile.mutated(path.read_text().splitlines()), max_size=3))
        with path.open("a", errors="replace") as file:
            file.writelines(f"{line}\n" for line in damage)
    read(tmp_path, "codex-subagent")
