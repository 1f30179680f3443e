"""The claude adapter drives the real Claude Code."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from acr.agents import get
from acr.agents.claude import sandboxed
from acr.nouns import Price, Profile, Usage
from tests.model_server import Step
from tests.real_agents import checks
from tests.real_agents.conftest import Ask, Serve

SONNET = Profile("claude-sonnet", "claude", "claude-sonnet-5-5", "mid", effort="high")


def test_an_edit_is_made_and_tokens_and_cost_are_the_scripted_ones(
    serve: Serve, ask: Ask, folder: Path
) -> None:
    server = serve(steps=checks.WRITES)
    attempt = checks.run(ask(SONNET))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "hello.txt").read_text() == "hi\n"
    assert attempt.usage == Usage(1700, 1500, output=60, requests=2)
    assert attempt.model == "claude-sonnet-5-5"
    assert attempt.message == "All done"
    assert attempt.cost_source == "agent"
    assert attempt.cost == pytest.approx((1700 * 2 + 1500 * 0.1 + 60 * 10) / 1e6)
    assert {asked.effort for asked in server.requests} == {"high"}


def test_cache_writes_are_counted_apart(serve: Serve, ask: Ask) -> None:
    serve(steps=[Step(message="hi", usage={"input": 1000, "cached": 100, "written": 300})])
    attempt = checks.run(ask(SONNET))
    assert attempt.usage == Usage(600, 100, cache_write_5m=300, output=34, requests=1)


def test_an_alias_is_resolved_to_the_model_that_answered(serve: Serve, ask: Ask) -> None:
    serve(steps=[Step(message="hi")])
    attempt = checks.run(ask(replace(SONNET, model="haiku", effort=None)))
    assert attempt.model == "claude-haiku-5-5"


def test_a_model_without_a_list_price_has_no_cost_unless_the_profile_tells_it(
    serve: Serve, ask: Ask
) -> None:
    serve(steps=checks.WRITES)
    unknown = replace(SONNET, model="mock-big", effort=None)
    assert checks.run(ask(unknown)).cost is None
    attempt = checks.run(ask(replace(unknown, price=Price(input=1, output=10))))
    assert attempt.cost_source == "override"
    assert attempt.cost == pytest.approx((3200 * 1 + 60 * 10) / 1e6)


def test_a_resumed_session_counts_only_its_own_tokens_and_money(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.WRITES)
    first = checks.run(ask(SONNET))
    again = checks.run(ask(SONNET, "And again", resume=first.session))
    assert again.session == first.session
    assert again.usage == first.usage
    assert again.cost == pytest.approx(first.cost)


def test_sub_agents_are_counted_and_paid(serve: Serve, ask: Ask) -> None:
    task = {
        "description": "help",
        "prompt": "Do the SUBTASK",
        "subagent_type": "general-purpose",
        "model": "haiku",
        "run_in_background": False,
    }
    usage = {"input": 900, "cached": 0, "output": 10}
    serve(
        steps=[Step(tool="Task", args=task), Step(message="done")],
        by_prompt={"SUBTASK": [Step(message="sub done", usage=usage)]},
    )
    attempt = checks.run(ask(SONNET))
    assert attempt.usage is not None
    assert (attempt.usage.requests, attempt.usage.subagent) == (3, 910)
    main = 2000 * 2 + 400 * 0.1 + 68 * 10
    assert attempt.cost == pytest.approx((main + 900 * 0.1 + 10 * 0.5) / 1e6)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "claude auth login"), (404, "claude-sonnet-5-5"), (429, "later")]
)
def test_an_api_error_is_one_line_that_says_what_to_do(
    serve: Serve, ask: Ask, status: int, words: str
) -> None:
    serve(steps=[Step(error=status, body="scripted refusal")])
    attempt = checks.run(ask(SONNET))
    assert attempt.status == "error"
    assert words in attempt.error
    assert "\n" not in attempt.error


def test_a_missing_login_is_an_error_that_names_the_command(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    attempt = checks.run(ask(SONNET))
    assert attempt.status == "error"
    assert "claude auth login" in attempt.error


def test_a_refused_tool_is_a_denial_although_claude_is_content(
    serve: Serve, ask: Ask, folder: Path
) -> None:
    serve(steps=checks.WRITES)
    attempt = checks.run(ask(SONNET, autonomy="ask"))
    assert attempt.exit_code == 0
    assert attempt.status == "denied"
    assert "Bash" in attempt.error
    assert not (folder / "hello.txt").exists()


def test_commands_run_in_the_sandbox_and_cannot_write_outside(
    serve: Serve, ask: Ask, folder: Path
) -> None:
    if not sandboxed():
        pytest.skip("claude's sandbox needs bwrap and socat")
    command = "python3 -c 'print(1)' > in.txt; touch ../outside.txt; true"
    serve(steps=[Step(shell=command), Step(message="done")])
    attempt = checks.run(ask(SONNET))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "in.txt").read_text() == "1\n"
    assert not (folder.parent / "outside.txt").exists()


def test_full_autonomy_works_for_root_too(serve: Serve, ask: Ask, folder: Path) -> None:
    serve(steps=[Step(shell="echo hi > ../outside.txt"), Step(message="done")])
    attempt = checks.run(ask(SONNET, autonomy="full"))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder.parent / "outside.txt").exists()


def test_the_budget_stops_claude(serve: Serve, ask: Ask) -> None:
    usage = {"input": 100_000, "cached": 0, "output": 1000}
    serve(steps=[Step(shell="true", usage=usage), Step(message="done")])
    attempt = checks.run(ask(SONNET, budget=0.01))
    assert attempt.status == "error"
    assert "--budget" in attempt.error
    assert attempt.cost == pytest.approx(0.21)


def test_a_timeout_leaves_no_process(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.HANGS)
    request = ask(SONNET, timeout=3.0)
    assert checks.run(request).status == "timeout"
    assert not checks.alive(request.attempt)


def test_a_command_that_hangs_is_killed_with_the_agent(serve: Serve, ask: Ask) -> None:
    command = "printf 'hi\\n' >> hello.txt; tail -f /dev/null"
    serve(steps=[Step(shell=command), Step(message="done")])
    request = ask(SONNET, autonomy="full")
    assert checks.interrupted(request).status == "aborted"
    assert not checks.alive(request.attempt)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_aborts_and_the_session_can_be_resumed(
    serve: Serve, ask: Ask, number: signal.Signals
) -> None:
    server = serve(steps=checks.HANGS, by_prompt={"go on": checks.WRITES})
    request = ask(SONNET)
    attempt = checks.interrupted(request, number)
    assert attempt.status == "aborted"
    assert attempt.usage == Usage(1000, 200, output=34, requests=1)
    assert attempt.cost_source == "price table"
    assert not checks.alive(request.attempt)
    again = checks.run(ask(SONNET, "go on", resume=attempt.session))
    assert again.status == "done"
    assert server.requests[-1].prompt.strip() == "go on"


def test_the_prompt_is_not_on_the_command_line(serve: Serve, ask: Ask) -> None:
    serve()
    command = get("claude").command(ask(SONNET, checks.SECRET))
    assert not any(checks.SECRET in word for word in command.argv)


def test_it_runs_inside_a_session_of_claude_code(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(steps=[Step(message="hi")])
    monkeypatch.setenv("CLAUDECODE", "1")
    assert checks.run(ask(SONNET)).status == "done"


def test_claude_is_detected_with_its_version(serve: Serve) -> None:
    serve()
    found = get("claude").detect()
    assert (found.found, found.version, found.auth) == (True, "2.1.330", "$ANTHROPIC_API_KEY")
