"""The aider adapter: command lines, what it reads, and what it takes away again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, Request
from acr.agents.aider import LOG, Aider
from acr.nouns import Event, Profile, Usage
from tests.agents import fakes, kept

PROFILE = Profile("aider-mock", "aider", "openai/mock-big", "mid", effort="high")


def ask(tmp_path: Path, **fields: Any) -> Request:
    made = fakes.request(tmp_path, **{"profile": PROFILE, **fields})
    made.run_dir.mkdir(parents=True, exist_ok=True)
    return made


def read(
    tmp_path: Path, name: str, log: list[object] | None = None, exit_code: int = 0
) -> tuple[Report, list[Event]]:
    request = ask(tmp_path)
    reader = Aider().reader(request)
    lines = (kept.FOLDER / f"{name}.txt").read_text().splitlines()
    events = [event for line in lines for event in reader.feed(line)]
    if log is not None:
        (request.run_dir / LOG).write_text("\n".join(map(json.dumps, log)) + "\nnot json\n")
    return reader.finish(exit_code, ""), events


def sent(prompt: int, completion: int, cost: object = 0) -> dict[str, object]:
    found = {"prompt_tokens": prompt, "completion_tokens": completion, "cost": cost}
    return {"event": "message_send", "properties": found}


def test_the_prompt_is_on_stdin_and_nothing_is_left_in_the_repository(tmp_path: Path) -> None:
    command = Aider().command(ask(tmp_path, args=("--map-tokens", "0")))
    said = " ".join(command.argv)
    assert command.stdin == "do it"
    assert "do it" not in said
    assert said.startswith("aider --model openai/mock-big --reasoning-effort high ")
    assert said.endswith(" --edit-format diff --map-tokens 0")
    for option in ("--no-auto-commits", "--no-analytics", "--no-gitignore", "--no-git"):
        assert option in command.argv
    assert command.argv[command.argv.index("--chat-history-file") + 1] == "/dev/null"


def test_asking_changes_nothing(tmp_path: Path) -> None:
    argv = Aider().command(ask(tmp_path, autonomy="ask")).argv
    assert argv[argv.index("--edit-format") + 1] == "ask"
    assert "--dry-run" in argv


def test_a_repository_without_an_author_is_told_one_for_this_run_alone(
    git_repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    command = Aider().command(ask(tmp_path, cwd=git_repo({"a.py": ""})))
    assert "--no-git" not in command.argv
    assert command.env["GIT_CONFIG_COUNT"] == "2"
    assert command.env["GIT_CONFIG_KEY_0"] == "user.name"


def test_usage_is_summed_over_the_messages_it_sent(tmp_path: Path) -> None:
    report, events = read(tmp_path, "aider-edit", [sent(1500, 40, 0.25), sent(100, 2, 0.5)])
    assert (report.status, report.error) == ("done", "")
    assert report.usage == Usage(1600, output=42, requests=2)
    assert report.cost == pytest.approx(0.75)
    assert report.model == "openai/mock-big"
    assert [e.text for e in events if e.kind == "tool"] == ["edit hello.txt"]


@pytest.mark.parametrize("cost", [0, None, "1", float("nan"), -1])
def test_an_unknown_price_is_unknown_and_not_zero(tmp_path: Path, cost: object) -> None:
    report, _ = read(tmp_path, "aider-edit", [sent(1500, 40, 0.25), sent(100, 2, cost)])
    assert report.cost is None
    assert report.usage


def test_without_its_log_usage_is_unknown(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "aider-edit")
    assert (report.usage, report.cost) == (None, None)


def test_an_api_error_is_a_failure_although_aider_is_content(tmp_path: Path) -> None:
    report, events = read(tmp_path, "aider-401")
    assert report.status == "error"
    assert "OPENAI_API_KEY" in report.error
    assert "error" in [e.kind for e in events]


def test_its_cache_is_taken_away_but_one_that_was_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".aider.tags.cache.v3").mkdir()
    reader = Aider().reader(ask(tmp_path))
    (tmp_path / ".aider.tags.cache.v4").mkdir()
    reader.finish(0, "")
    assert (tmp_path / ".aider.tags.cache.v3").exists()
    assert not (tmp_path / ".aider.tags.cache.v4").exists()


def test_an_early_end_is_explained_by_stderr(tmp_path: Path) -> None:
    report = Aider().reader(ask(tmp_path)).finish(2, "usage\naider: error: no such option\n")
    assert "no such option" in report.error


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(), max_size=5))
def test_noise_never_raises(tmp_path: Path, lines: list[str]) -> None:
    reader = Aider().reader(ask(tmp_path))
    for line in lines:
        reader.feed(line)
    reader.finish(0, "")
