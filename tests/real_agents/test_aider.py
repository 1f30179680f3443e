"""The aider adapter drives the real aider, installed in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acr.nouns import Profile, Usage
from tests.conftest import git
from tests.model_server import Step
from tests.real_agents import checks
from tests.real_agents.conftest import INSTALL, Ask, Serve

MOCK = Profile("aider-mock", "aider", "openai/mock-big", "mid")
EDIT = "hello.txt\n```\n<<<<<<< SEARCH\n=======\nhi\n>>>>>>> REPLACE\n```\n"


@pytest.fixture(autouse=True)
def aider(monkeypatch: pytest.MonkeyPatch) -> None:
    """aider first on PATH."""
    programs = Path(os.environ.get("ACR_TEST_AIDER", "")) / "bin"
    if not (programs / "aider").exists():
        reason = f"ACR_TEST_AIDER names no environment with aider; `{INSTALL}` makes one"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_an_edit_is_made_and_nothing_else_is_left_in_the_repository(
    serve: Serve, ask: Ask, folder: Path
) -> None:
    git(folder, "init", "-q")
    config = (folder / ".git" / "config").read_bytes()
    serve(no_tools=Step(message=EDIT, usage={"input": 1500, "cached": 0, "output": 40}))
    attempt = checks.run(ask(MOCK))
    assert (attempt.status, attempt.error) == ("done", "")
    assert (folder / "hello.txt").read_text() == "hi\n"
    assert attempt.usage == Usage(1500, output=40, requests=1)
    assert attempt.model == "openai/mock-big"
    assert attempt.cost is None  # nobody knows what it costs
    assert sorted(p.name for p in folder.iterdir()) == [".git", "hello.txt"]
    assert (folder / ".git" / "config").read_bytes() == config


def test_an_api_error_is_one_line_that_says_what_to_do(serve: Serve, ask: Ask) -> None:
    serve(no_tools=Step(error=401, body="scripted refusal"))
    attempt = checks.run(ask(MOCK))
    assert attempt.status == "error"
    assert "OPENAI_API_KEY" in attempt.error
    assert "\n" not in attempt.error


def test_a_timeout_leaves_no_process(serve: Serve, ask: Ask) -> None:
    serve(no_tools=Step(message="late", delay=600))
    request = ask(MOCK, timeout=10.0)
    assert checks.run(request).status == "timeout"
    assert not checks.alive(request.attempt)
