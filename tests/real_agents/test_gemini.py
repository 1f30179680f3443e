"""The gemini adapter drives the real Gemini CLI."""

from __future__ import annotations

from pathlib import Path

import pytest

from acr.nouns import Profile, Usage
from tests.model_server import Step
from tests.real_agents import checks
from tests.real_agents.conftest import Ask, Serve

PRO = Profile("gemini-mock", "gemini", "gemini-3.5-pro", "mid")


def test_an_edit_is_made_and_every_token_is_counted(serve: Serve, ask: Ask, folder: Path) -> None:
    server = serve(steps=checks.writes_by_tool(folder))
    attempt = checks.run(ask(PRO))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "hello.txt").read_text() == "hi\n"
    assert attempt.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)
    assert attempt.model == "gemini-3.5-pro"
    assert attempt.message == "All done"
    assert [asked.model for asked in server.requests] == ["gemini-3.5-pro"] * 2


@pytest.mark.parametrize(("status", "words"), [(401, "run `gemini`"), (404, "gemini-3.5-pro")])
def test_an_api_error_is_one_line_that_says_what_to_do(
    serve: Serve, ask: Ask, status: int, words: str
) -> None:
    serve(steps=[Step(error=status, body="scripted refusal")])
    attempt = checks.run(ask(PRO))
    assert attempt.status == "error"
    assert words in attempt.error
    assert "\n" not in attempt.error


def test_a_shell_command_is_refused_below_full_autonomy(
    serve: Serve, ask: Ask, folder: Path
) -> None:
    serve(steps=checks.RUNS_COMMAND)
    attempt = checks.run(ask(PRO))
    assert attempt.status == "denied"
    assert not (folder / "hello.txt").exists()


def test_full_autonomy_runs_shell_commands(serve: Serve, ask: Ask, folder: Path) -> None:
    serve(steps=checks.WRITES)
    assert checks.run(ask(PRO, autonomy="full")).status == "done"
    assert (folder / "hello.txt").exists()


def test_a_timeout_leaves_no_process(serve: Serve, ask: Ask) -> None:
    serve(steps=[Step(message="late", delay=600)])
    request = ask(PRO, timeout=5.0)
    assert checks.run(request).status == "timeout"
    assert not checks.alive(request.attempt)
