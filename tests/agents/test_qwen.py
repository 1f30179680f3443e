"""The qwen adapter: command lines, and what it reads from kept output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, Request
from acr.agents.qwen import Qwen
from acr.nouns import Autonomy, Event, Profile, Usage
from tests.agents import fakes, hostile, kept

PROFILE = Profile("qwen-coder", "qwen", "mock-big", "mid")
LINES = [line for name in ("edit", "denied", "401") for line in kept.lines(f"qwen-{name}")]


def ask(tmp_path: Path, **fields: Any) -> Request:
    return fakes.request(tmp_path, **{"profile": PROFILE, **fields})


def read(tmp_path: Path, name: str, exit_code: int = 0) -> tuple[Report, list[Event]]:
    reader = Qwen().reader(ask(tmp_path))
    events = kept.feed(reader, name)
    return reader.finish(exit_code, ""), events


def test_the_prompt_is_on_stdin_and_the_model_on_the_command_line(tmp_path: Path) -> None:
    command = Qwen().command(ask(tmp_path, args=("--debug",)))
    assert " ".join(command.argv) == (
        "qwen -m mock-big --approval-mode auto-edit --output-format stream-json --debug"
    )
    assert command.stdin == "do it"


@pytest.mark.parametrize(
    ("autonomy", "mode"), [("ask", "default"), ("edit", "auto-edit"), ("full", "yolo")]
)
def test_autonomy_is_mapped(tmp_path: Path, autonomy: Autonomy, mode: str) -> None:
    argv = Qwen().command(ask(tmp_path, autonomy=autonomy)).argv
    assert argv[argv.index("--approval-mode") + 1] == mode


def test_resuming_names_the_session(tmp_path: Path) -> None:
    argv = Qwen().command(ask(tmp_path, resume="s-1")).argv
    assert argv[argv.index("--resume") + 1] == "s-1"


def test_a_prompt_that_starts_with_a_dash_is_no_option(tmp_path: Path) -> None:
    assert Qwen().interactive(ask(tmp_path, prompt="-x")).argv[-1] == "--prompt-interactive=-x"


def test_a_run_is_read_with_cached_tokens_apart(tmp_path: Path) -> None:
    report, events = read(tmp_path, "qwen-edit")
    assert (report.status, report.error) == ("done", "")
    assert report.usage == Usage(1700, 1500, output=60, requests=2)
    assert report.model == "mock-big"
    assert report.message == "All done"
    assert report.session
    assert [e.kind for e in events] == ["tool", "text"]


def test_a_refused_tool_is_a_denial(tmp_path: Path) -> None:
    report, events = read(tmp_path, "qwen-denied")
    assert report.status == "denied"
    assert "run_shell_command" in report.error
    assert "--autonomy full" in report.error
    assert [e.kind for e in events] == ["tool", "text", "warning"]


def test_an_api_error_says_what_to_do(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "qwen-401", exit_code=1)
    assert report.status == "error"
    assert "run `qwen`" in report.error


def test_without_a_login_it_says_how_to_log_in(tmp_path: Path) -> None:
    said = "No auth type is selected. Please configure an auth type before running."
    report = Qwen().reader(ask(tmp_path)).finish(1, f"noise\n{said}\n")
    assert "run `qwen`" in report.error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(hostile.mutated(LINES), max_size=4))
def test_noise_never_raises(tmp_path: Path, lines: list[str]) -> None:
    reader = Qwen().reader(ask(tmp_path))
    for line in lines:
        reader.feed(line)
    reader.finish(0, "")
