"""The gemini adapter: command lines, and what it reads from kept output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, Request
from acr.agents.gemini import Gemini
from acr.nouns import Autonomy, Event, Profile, Usage
from tests.agents import fakes, hostile, kept

PROFILE = Profile("gemini-pro", "gemini", "gemini-3.5-pro", "mid")
LINES = [line for name in ("edit", "denied", "401") for line in kept.lines(f"gemini-{name}")]


def ask(tmp_path: Path, **fields: Any) -> Request:
    return fakes.request(tmp_path, **{"profile": PROFILE, **fields})


def read(
    tmp_path: Path, name: str, exit_code: int = 0, stderr: str = ""
) -> tuple[Report, list[Event]]:
    reader = Gemini().reader(ask(tmp_path))
    events = kept.feed(reader, name)
    return reader.finish(exit_code, stderr), events


def test_the_prompt_is_on_stdin_and_the_model_on_the_command_line(tmp_path: Path) -> None:
    command = Gemini().command(ask(tmp_path, args=("--debug",)))
    assert " ".join(command.argv) == (
        "gemini -m gemini-3.5-pro --approval-mode auto_edit --skip-trust"
        " --output-format stream-json --debug"
    )
    assert command.stdin == "do it"


@pytest.mark.parametrize(
    ("autonomy", "mode"), [("ask", "default"), ("edit", "auto_edit"), ("full", "yolo")]
)
def test_autonomy_is_mapped(tmp_path: Path, autonomy: Autonomy, mode: str) -> None:
    argv = Gemini().command(ask(tmp_path, autonomy=autonomy)).argv
    assert argv[argv.index("--approval-mode") + 1] == mode


def test_resuming_names_the_session(tmp_path: Path) -> None:
    argv = Gemini().command(ask(tmp_path, resume="s-1")).argv
    assert argv[argv.index("--resume") + 1] == "s-1"


def test_a_prompt_that_starts_with_a_dash_is_no_option(tmp_path: Path) -> None:
    assert Gemini().interactive(ask(tmp_path, prompt="-x")).argv[-1] == "--prompt-interactive=-x"


def test_a_run_is_read_with_its_reasoning_tokens(tmp_path: Path) -> None:
    report, events = read(tmp_path, "gemini-edit")
    assert (report.status, report.error) == ("done", "")
    assert report.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)
    assert report.model == "gemini-3.5-pro"
    assert report.message == "All done"
    assert report.session
    assert [e.kind for e in events] == ["tool", "text"]


def test_a_withheld_tool_is_a_denial(tmp_path: Path) -> None:
    report, events = read(tmp_path, "gemini-denied")
    assert report.status == "denied"
    assert "--autonomy full" in report.error
    assert [e.kind for e in events] == ["tool", "warning", "text"]


def test_an_api_error_says_what_to_do(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "gemini-401", exit_code=145)
    assert report.status == "error"
    assert "run `gemini`" in report.error
    assert "\n" not in report.error


@pytest.mark.parametrize(
    ("exit_code", "stderr", "words"),
    [
        (41, "Invalid auth method selected.", "not logged in"),
        (1, "Error: no\n  at x\n  status: 404\n", "--model"),
        (1, "Error: slow down\n{\n  code: 429\n}\n", "try later"),
        (1, "", "without saying why"),
    ],
)
def test_an_early_end_is_explained_by_stderr(
    tmp_path: Path, exit_code: int, stderr: str, words: str
) -> None:
    report = Gemini().reader(ask(tmp_path)).finish(exit_code, stderr)
    assert report.status == "error"
    assert words in report.error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(hostile.mutated(LINES), max_size=4))
def test_noise_never_raises(tmp_path: Path, lines: list[str]) -> None:
    reader = Gemini().reader(ask(tmp_path))
    for line in lines:
        reader.feed(line)
    reader.finish(0, "")
