"""The opencode adapter drives the real opencode."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from acr.agents import get
from acr.nouns import Profile, Usage
from tests.model_server import Step
from tests.real_agents import checks
from tests.real_agents.conftest import Ask, Serve

PRICED = Profile("opencode-mock", "opencode", "mock/priced", "mid", effort="high")


def test_an_edit_is_made_and_tokens_and_cost_are_the_scripted_ones(
    serve: Serve, ask: Ask, folder: Path
) -> None:
    server = serve(steps=checks.WRITES)
    attempt = checks.run(ask(PRICED))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "hello.txt").read_text() == "hi\n"
    assert attempt.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)
    assert attempt.model == "mock/priced"
    assert attempt.message == "All done"
    assert attempt.cost_source == "agent"
    assert attempt.cost == pytest.approx((1700 * 2 + 1500 * 0.2 + 60 * 8) / 1e6)
    assert [asked.effort for asked in server.requests] == ["high", "high"]  # and no title


def test_a_model_without_a_price_has_no_cost(serve: Serve, ask: Ask) -> None:
    serve(steps=[Step(message="hi")])
    attempt = checks.run(ask(replace(PRICED, model="mock/mock-big", effort=None)))
    assert attempt.model == "mock/mock-big"
    assert attempt.cost is None


def test_a_resumed_session_counts_only_its_own_tokens(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.WRITES)
    first = checks.run(ask(PRICED))
    again = checks.run(ask(PRICED, "And again", resume=first.session))
    assert again.session == first.session
    assert again.usage == first.usage
    assert again.cost == pytest.approx(first.cost)


def test_sub_agents_are_counted_and_paid(serve: Serve, ask: Ask) -> None:
    task = {"description": "help", "prompt": "Do the SUBTASK", "subagent_type": "general"}
    usage = {"input": 900, "cached": 0, "output": 10, "reasoning": 0}
    serve(
        steps=[Step(tool="task", args=task), Step(message="done")],
        by_prompt={"SUBTASK": [Step(message="sub done", usage=usage)]},
    )
    attempt = checks.run(ask(PRICED))
    assert attempt.usage is not None
    assert (attempt.usage.requests, attempt.usage.subagent) == (3, 910)
    assert attempt.cost == pytest.approx((2900 * 2 + 400 * 0.2 + 78 * 8) / 1e6)


@pytest.mark.parametrize(("status", "words"), [(401, "auth login"), (404, "mock/priced")])
def test_an_api_error_is_one_line_that_says_what_to_do(
    serve: Serve, ask: Ask, status: int, words: str
) -> None:
    serve(steps=[Step(error=status, body="scripted refusal")])
    attempt = checks.run(ask(PRICED))
    assert attempt.status == "error"
    assert words in attempt.error
    assert "\n" not in attempt.error


def test_an_unknown_model_is_an_error_that_says_where_to_look(serve: Serve, ask: Ask) -> None:
    serve()
    attempt = checks.run(ask(replace(PRICED, model="mock/nosuch", effort=None)))
    assert attempt.status == "error"
    assert "opencode models" in attempt.error


@pytest.mark.parametrize("autonomy", ["ask", "edit"])
def test_a_refused_tool_is_a_denial_although_opencode_is_content(
    serve: Serve, ask: Ask, folder: Path, autonomy: str
) -> None:
    command = "printf 'hi\\n' >> hello.txt" if autonomy == "ask" else "touch /etc/acr-outside"
    serve(steps=[Step(shell=command), Step(message="done")])
    attempt = checks.run(ask(PRICED, autonomy=autonomy))
    assert attempt.exit_code == 0
    assert attempt.status == "denied"
    assert command[:6] in attempt.error
    assert not (folder / "hello.txt").exists()
    assert not Path("/etc/acr-outside").exists()


def test_full_autonomy_writes_outside_the_folder(serve: Serve, ask: Ask, folder: Path) -> None:
    serve(steps=[Step(shell="echo hi > ../outside.txt"), Step(message="done")])
    assert checks.run(ask(PRICED, autonomy="full")).status == "done"
    assert (folder.parent / "outside.txt").exists()


def test_a_timeout_leaves_no_process(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.HANGS)
    request = ask(PRICED, timeout=3.0)
    assert checks.run(request).status == "timeout"
    assert not checks.alive(request.attempt)


def test_a_signal_aborts_and_the_session_is_kept(serve: Serve, ask: Ask) -> None:
    serve(steps=checks.HANGS)
    request = ask(PRICED)
    attempt = checks.interrupted(request, signal.SIGINT)
    assert attempt.status == "aborted"
    assert attempt.session
    assert attempt.usage is not None  # the first request was answered and cost money
    assert attempt.usage.requests == 1
    assert not checks.alive(request.attempt)


def test_the_prompt_is_not_on_the_command_line(serve: Serve, ask: Ask) -> None:
    serve()
    command = get("opencode").command(ask(PRICED, checks.SECRET))
    assert not any(checks.SECRET in word for word in command.argv)


def test_opencode_is_detected_with_its_version(serve: Serve) -> None:
    serve()
    found = get("opencode").detect()
    assert (found.found, found.version) == (True, "1.18.33")
