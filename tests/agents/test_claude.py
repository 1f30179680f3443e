"""The claude adapter: command lines, and what it reads from kept output."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, Request
from acr.agents.claude import Claude, sandboxed
from acr.nouns import Event, Profile, Usage
from tests.agents import fakes, hostile, kept

PROFILE = Profile("claude-sonnet", "claude", "sonnet", "mid", effort="high")
NAMES = ("claude-edit", "claude-subagent", "claude-denied", "claude-401")
LINES = [line for name in NAMES for line in kept.lines(name)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLAUDE_CONFIG_DIR."""
    folder = tmp_path / "claude"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    return folder


def ask(tmp_path: Path, **fields: Any) -> Request:
    return fakes.request(tmp_path, **{"profile": PROFILE, **fields})


def read(
    tmp_path: Path, name: str, exit_code: int = 0, **fields: Any
) -> tuple[Report, list[Event]]:
    reader = Claude().reader(ask(tmp_path, **fields))
    events = kept.feed(reader, name)
    return reader.finish(exit_code, ""), events


def test_the_command_names_model_effort_budget_and_session(tmp_path: Path) -> None:
    command = Claude().command(ask(tmp_path, budget=0.25, args=("--max-turns", "3")))
    line = " ".join(command.argv)
    assert line.startswith("claude -p --output-format stream-json --verbose --model sonnet")
    assert "--effort high" in line
    assert line.endswith("--max-budget-usd 0.2500 --max-turns 3")
    assert command.stdin == "do it"
    uuid.UUID(command.argv[command.argv.index("--session-id") + 1])


def test_the_session_of_an_attempt_is_always_the_same_and_its_own(tmp_path: Path) -> None:
    one, same, other = (Claude().command(ask(tmp_path, attempt=a)).argv for a in ("a", "a", "b"))
    assert one == same != other


def test_resuming_names_the_session(tmp_path: Path) -> None:
    argv = Claude().command(ask(tmp_path, resume="s1")).argv
    assert argv[argv.index("--resume") + 1] == "s1"
    assert "--session-id" not in argv


def test_edits_are_accepted_and_commands_sandboxed_where_that_is_possible(tmp_path: Path) -> None:
    argv = Claude().command(ask(tmp_path)).argv
    assert argv[argv.index("--permission-mode") + 1] == "acceptEdits"
    if sandboxed():
        sandbox = json.loads(argv[argv.index("--settings") + 1])["sandbox"]
        assert sandbox["enabled"]
        assert not sandbox["allowUnsandboxedCommands"]
    else:
        assert "--settings" not in argv


def test_asking_is_left_to_claude(tmp_path: Path) -> None:
    assert "--permission-mode manual" in " ".join(
        Claude().command(ask(tmp_path, autonomy="ask")).argv
    )


@pytest.mark.parametrize(
    ("user", "vouched", "expected"),
    [
        (1000, "", "--permission-mode bypassPermissions"),
        (0, "", "--permission-mode acceptEdits --allowedTools=Bash"),
        (0, "1", "--permission-mode bypassPermissions"),
    ],
)
def test_root_gets_full_autonomy_by_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, vouched: str, expected: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setenv("IS_SANDBOX", vouched)
    assert expected in " ".join(Claude().command(ask(tmp_path, autonomy="full")).argv)


def test_a_prompt_that_starts_with_a_dash_is_no_option(tmp_path: Path) -> None:
    assert Claude().interactive(ask(tmp_path, prompt="-x marks")).argv[-2:] == ("--", "-x marks")


def test_retries_are_few_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAUDE_CODE_MAX_RETRIES", raising=False)
    assert Claude().command(ask(tmp_path)).env["CLAUDE_CODE_MAX_RETRIES"] == "5"
    monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "9")
    assert "CLAUDE_CODE_MAX_RETRIES" not in Claude().command(ask(tmp_path)).env


def test_a_run_is_read_from_the_stream(tmp_path: Path) -> None:
    report, events = read(tmp_path, "claude-edit")
    assert (report.status, report.error) == ("done", "")
    assert report.usage == Usage(1700, 1500, output=60, requests=2)
    assert report.cost == pytest.approx(0.00415)
    assert report.model == "claude-sonnet-5-5"
    assert report.message == "All done"
    assert [e.kind for e in events] == ["start", "tool", "text"]
    assert events[1].text.startswith("Bash printf")


def test_a_resumed_run_counts_only_itself(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "claude-resumed", resume="s1")
    assert report.usage == Usage(1700, 1500, output=60, requests=2)
    assert report.cost == pytest.approx(0.00415)


def older(name: str) -> list[str]:
    """Output without the figures since the last result, as earlier versions printed it."""
    rows = [json.loads(line) for line in kept.lines(name)]
    return [json.dumps({k: v for k, v in r.items() if "since_last" not in k}) for r in rows]


def test_an_older_version_is_read_too(tmp_path: Path) -> None:
    fresh, resumed = Claude().reader(ask(tmp_path)), Claude().reader(ask(tmp_path, resume="s1"))
    for one, two in zip(older("claude-edit"), older("claude-resumed"), strict=True):
        fresh.feed(one)
        resumed.feed(two)
    assert fresh.finish(0, "").cost == pytest.approx(0.00415)
    report = resumed.finish(0, "")
    assert report.usage == Usage(1700, 1500, output=60, requests=2)
    assert report.cost is None  # all it tells is the whole session's


def test_sub_agents_are_counted_in_and_marked(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "claude-subagent")
    assert report.usage is not None
    assert report.usage.subagent == 910
    assert report.by_model["claude-haiku-5-5"].total == 910
    assert report.cost == pytest.approx(0.00472 + 0.000095)
    assert report.model == "claude-sonnet-5-5"
    assert report.message == "done"


def test_a_guessed_price_is_no_price(tmp_path: Path) -> None:
    reader = Claude().reader(ask(tmp_path))
    for line in kept.lines("claude-edit"):
        reader.feed(line.replace('"costBasis": "list"', '"costBasis": "unknown"'))
    report = reader.finish(0, "")
    assert report.cost is None
    assert report.usage is not None


def test_a_refused_tool_is_a_denial(tmp_path: Path) -> None:
    report, events = read(tmp_path, "claude-denied")
    assert report.status == "denied"
    assert "1 tool calls (Bash)" in report.error
    assert any(e.kind == "warning" and "denied Bash" in e.text for e in events)


def test_an_api_error_says_what_to_do_and_retries_are_told(tmp_path: Path) -> None:
    report, events = read(tmp_path, "claude-401", exit_code=1)
    assert report.status == "error"
    assert "`claude auth login`" in report.error
    assert (report.usage, report.cost, report.model) == (Usage(), 0, None)
    assert any("trying again (1/1)" in e.text for e in events)


@pytest.mark.parametrize(
    ("subtype", "words"), [("error_max_budget_usd", "--budget"), ("error_max_turns", "--max-turns")]
)
def test_limits_are_named(tmp_path: Path, subtype: str, words: str) -> None:
    reader = Claude().reader(ask(tmp_path))
    reader.feed(json.dumps({"type": "result", "is_error": True, "subtype": subtype}))
    assert words in reader.finish(1, "").error


def test_a_run_that_was_cut_off_is_read_from_the_session_files(tmp_path: Path, home: Path) -> None:
    session = "5c6e012e-ff36-47dc-882f-dca8ed3483d4"
    folder = home / "projects" / "-home-user-repo"
    agents = folder / session / "subagents"
    agents.mkdir(parents=True)
    stale = entry("m0", 999, "2001-01-01T00:00:00Z")
    partial, whole = entry("m1", 1), entry("m1", 40)
    (folder / f"{session}.jsonl").write_text("\n".join((stale, partial, whole, "{broken")))
    (agents / "agent-1.jsonl").write_text(entry("m2", 7))
    report = Claude().reader(ask(tmp_path, resume=session)).finish(-15, "")
    assert report.usage == Usage(200, output=47, requests=2, subagent=107)
    assert (report.cost, report.session) == (None, session)


def entry(key: str, output: int, timestamp: str = "2999-01-01T00:00:00Z") -> str:
    usage = {"input_tokens": 100, "output_tokens": output}
    message = {"id": key, "model": "claude-sonnet-5-5", "usage": usage}
    return json.dumps({"type": "assistant", "timestamp": timestamp, "message": message})


def test_an_early_end_is_explained_by_stderr(tmp_path: Path) -> None:
    report = Claude().reader(ask(tmp_path)).finish(1, "x\nNot logged in\n")
    assert "`claude auth login`" in report.error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(hostile.mutated(LINES), max_size=4))
def test_noise_never_raises(tmp_path: Path, lines: list[str]) -> None:
    reader = Claude().reader(ask(tmp_path, profile=replace(PROFILE, effort=None)))
    for line in lines:
        reader.feed(line)
    reader.finish(0, "")
