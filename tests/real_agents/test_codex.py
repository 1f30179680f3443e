"""The codex adapter drives the real Codex CLI."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from acr.agents import codex, get
from acr.nouns import Price, Profile, Usage
from tests.model_server import Step
from tests.real_agents import checks
from tests.real_agents.conftest import Ask, Serve

SOL = Profile("codex-mock", "codex", "mock-big", "mid", effort="high")
PRICED = Profile("codex-sol", "codex", "gpt-5.5", "frontier", provider="openai")


def test_an_edit_is_made_and_every_token_is_counted(serve: Serve, ask: Ask, folder: Path) -> None:
    server = serve(steps=checks.WRITES)
    attempt = checks.run(ask(SOL))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "hello.txt").read_text() == "hi\n"
    assert attempt.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)
    assert attempt.model == "mock-big"
    assert attempt.message == "All done"
    assert attempt.cost is None  # nobody knows what it costs
    assert attempt.session
    assert {asked.effort for asked in server.requests} == {"high"}
    assert {asked.model for asked in server.requests} == {"mock-big"}


def test_the_cost_follows_from_the_price_table(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.WRITES)
    attempt = checks.run(ask(PRICED))
    assert attempt.cost_source == "price table"
    assert attempt.cost == pytest.approx((1700 * 5 + 1500 * 0.5 + 60 * 30) / 1e6)


def test_a_resumed_session_counts_only_its_own_tokens(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.WRITES)
    first = checks.run(ask(SOL))
    again = checks.run(ask(SOL, "And again", resume=first.session))
    assert again.session == first.session
    assert again.usage == first.usage


def test_sub_agents_are_counted_and_priced_by_their_own_model(serve: Serve, ask: Ask) -> None:
    spawn = {"message": "Do the SUBTASK", "agent_type": "default", "model": "gpt-6-luna"}
    usage = {"input": 900, "cached": 0, "output": 10, "reasoning": 0}
    serve(
        steps=[Step(tool="spawn_agent", args=spawn), Step(message="done", delay=3)],
        by_prompt={"SUBTASK": [Step(message="sub done", usage=usage)]},
    )
    attempt = checks.run(ask(replace(SOL, price=Price(input=5, output=30, cached_input=0.5))))
    assert attempt.status == "done"
    assert attempt.usage is not None
    assert attempt.usage.subagent == 910
    main = attempt.usage - Usage(900, output=10)
    dear = main.input * 5 + main.cached_input * 0.5 + main.output * 30
    assert attempt.cost == pytest.approx((dear + 900 * 0.1 + 10 * 0.5) / 1e6)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "codex login"), (404, "mock-big"), (429, "try later")]
)
def test_an_api_error_is_one_line_that_says_what_to_do(
    serve: Serve, ask: Ask, status: int, words: str
) -> None:
    serve(steps=[Step(error=status, body="scripted refusal")])
    attempt = checks.run(ask(SOL))
    assert attempt.status == "error"
    assert words in attempt.error
    assert "\n" not in attempt.error


def test_a_missing_key_is_named(serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.delenv("MOCK_KEY")
    attempt = checks.run(ask(SOL))
    assert attempt.status == "error"
    assert "MOCK_KEY" in attempt.error


def test_a_refused_command_is_a_denial_although_codex_is_content(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.WRITES)
    attempt = checks.run(ask(SOL, autonomy="ask"))
    assert attempt.exit_code == 0
    assert attempt.status == "denied"
    assert "Read-only file system" in attempt.error


def test_full_autonomy_writes_outside_the_folder(serve: Serve, ask: Ask, folder: Path) -> None:
    serve(steps=[Step(shell="echo hi > ../outside.txt"), Step(message="done")])
    assert checks.run(ask(SOL, autonomy="full")).status == "done"
    assert (folder.parent / "outside.txt").exists()


def test_commands_run_although_the_home_is_a_temporary_folder(
    serve: Serve, ask: Ask, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(steps=checks.WRITES)
    home = tmp_path / "codex"
    home.mkdir()
    (home / "config.toml").write_text((codex.home() / "config.toml").read_text())
    monkeypatch.setenv("CODEX_HOME", str(home))
    attempt = checks.run(ask(SOL))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "hello.txt").exists()


def test_a_timeout_leaves_no_process(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.HANGS)
    request = ask(SOL, timeout=3.0)
    assert checks.run(request).status == "timeout"
    assert not checks.alive(request.attempt)


def test_a_command_that_hangs_is_killed_with_the_agent(serve: Serve, ask: Ask) -> None:
    command = "printf 'hi\\n' >> hello.txt; tail -f /dev/null"
    serve(steps=[Step(shell=command), Step(message="done")])
    request = ask(SOL, autonomy="full")
    assert checks.interrupted(request).status == "aborted"
    assert not checks.alive(request.attempt)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_aborts_and_the_session_is_kept(
    serve: Serve, ask: Ask, number: signal.Signals
) -> None:
    serve(steps=checks.HANGS)
    request = ask(SOL)
    attempt = checks.interrupted(request, number)
    assert attempt.status == "aborted"
    assert attempt.session
    assert attempt.usage is not None  # the first request was answered and cost money
    assert attempt.usage.requests == 1
    assert not checks.alive(request.attempt)


def test_the_prompt_is_not_on_the_command_line(serve: Serve, ask: Ask) -> None:
    serve()
    command = get("codex").command(ask(SOL, checks.SECRET))
    assert not any(checks.SECRET in word for word in command.argv)


def test_a_profile_file_of_acr_is_layered_and_the_model_still_wins(serve: Serve, ask: Ask) -> None:
    server = serve(steps=checks.WRITES)
    (codex.home() / "acr-codex-mock.config.toml").write_text(
        'model = "other"\nmodel_reasoning_summary = "none"\n'
    )
    assert checks.run(ask(SOL)).status == "done"
    assert {asked.model for asked in server.requests} == {"mock-big"}


def test_codex_is_detected_with_its_version(serve: Serve) -> None:
    serve()
    found = get("codex").detect()
    assert found.found
    assert found.version == "0.169.0"
    assert found.auth
