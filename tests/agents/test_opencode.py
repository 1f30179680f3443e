"""The opencode adapter: command lines, and what it reads from kept output."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, Request
from acr.agents.opencode import OpenCode, data
from acr.nouns import Autonomy, Event, Profile, Usage
from tests.agents import fakes, hostile, kept

PROFILE = Profile("opencode-mock", "opencode", "mock/priced", "mid", effort="high")
NAMES = ("opencode-edit", "opencode-denied", "opencode-401")
LINES = [line for name in NAMES for line in kept.lines(name)]
SCHEMA = """
create table session (id text, parent_id text, directory text, time_updated integer);
create table message (id text, session_id text, time_created integer, data text);
"""
NOW = 32_503_680_000_000
"""Milliseconds; after any start."""


def ask(tmp_path: Path, **fields: Any) -> Request:
    return fakes.request(tmp_path, **{"profile": PROFILE, "cwd": Path("/home/user/repo"), **fields})


def read(
    tmp_path: Path, name: str, exit_code: int = 0, **fields: Any
) -> tuple[Report, list[Event]]:
    reader = OpenCode().reader(ask(tmp_path, **fields))
    events = kept.feed(reader, name)
    return reader.finish(exit_code, ""), events


def session() -> str:
    """The session of the kept edit."""
    return str(json.loads(kept.lines("opencode-edit")[0])["sessionID"])


def message(model: str, tokens: int, cost: float) -> str:
    counted = {"input": tokens, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}
    found = {"role": "assistant", "providerID": "mock", "modelID": model}
    return json.dumps({**found, "tokens": counted, "cost": cost})


def store(*messages: tuple[str, str, int, str]) -> None:
    """Fills a database with the kept session, a sub-agent of it, and another session."""
    data().mkdir(parents=True)
    with closing(sqlite3.connect(data() / "opencode.db")) as connection, connection:
        connection.executescript(SCHEMA)
        rows = [
            (session(), None, "/home/user/repo", NOW),
            ("sub", session(), "/home/user/repo", NOW),
            ("deeper", "sub", "/home/user/repo", NOW),
            ("other", None, "/home/user/other", NOW),
        ]
        connection.executemany("insert into session values (?, ?, ?, ?)", rows)
        connection.executemany("insert into message values (?, ?, ?, ?)", messages)


def test_the_command_names_model_effort_and_a_title(tmp_path: Path) -> None:
    command = OpenCode().command(ask(tmp_path, args=("--thinking",)))
    assert " ".join(command.argv) == (
        "opencode run --format json -m mock/priced --auto --variant high"
        f" --title acr {fakes.ATTEMPT} --thinking"
    )
    assert command.stdin == "do it"


def test_resuming_names_the_session_and_keeps_its_title(tmp_path: Path) -> None:
    argv = OpenCode().command(ask(tmp_path, resume="ses_1")).argv
    assert argv[argv.index("-s") + 1] == "ses_1"
    assert "--title" not in argv


def test_a_prompt_that_starts_with_a_dash_is_no_option(tmp_path: Path) -> None:
    assert OpenCode().interactive(ask(tmp_path, prompt="-x")).argv[-1] == "--prompt=-x"


@pytest.mark.parametrize(
    ("autonomy", "auto", "permission"),
    [
        ("ask", False, {"edit": "ask", "bash": "ask"}),
        ("edit", True, {"external_directory": "deny"}),
        ("full", True, None),
    ],
)
def test_autonomy_is_mapped(
    tmp_path: Path, autonomy: Autonomy, auto: bool, permission: dict[str, str] | None
) -> None:
    command = OpenCode().command(ask(tmp_path, autonomy=autonomy))
    assert ("--auto" in command.argv) is auto
    config = json.loads(command.env.get("OPENCODE_CONFIG_CONTENT", "{}"))
    assert config.get("permission") == permission


def test_the_users_own_configuration_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"model": "a/b", "permission": {"bash": "deny", "external_directory": "allow"}}
    monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", json.dumps(own))
    config = json.loads(OpenCode().command(ask(tmp_path)).env["OPENCODE_CONFIG_CONTENT"])
    assert config == {
        "model": "a/b",
        "permission": {"bash": "deny", "external_directory": "deny"},
    }


def test_a_run_is_read_from_the_stream_alone(tmp_path: Path) -> None:
    report, events = read(tmp_path, "opencode-edit")
    assert (report.status, report.error) == ("done", "")
    assert report.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)
    assert report.cost == pytest.approx(0.00418)
    assert report.session == session()
    assert report.message == "All done"
    assert [e.kind for e in events] == ["start", "tool", "text"]


def test_the_database_tells_the_model_and_the_sub_agents(tmp_path: Path) -> None:
    store(
        ("m1", session(), NOW, message("other-model", 7, 0.1)),
        ("m2", "sub", NOW, message("small", 900, 0.25)),
        ("m3", "deeper", NOW, message("small", 100, 0.25)),
        ("m4", "sub", 1, message("small", 5000, 9.0)),  # of an earlier run
        ("m5", "other", NOW, message("small", 5000, 9.0)),
        ("m6", "sub", NOW, '{"role": "user"}'),
        ("m7", "sub", NOW, "not json"),
    )
    report, _ = read(tmp_path, "opencode-edit")
    assert report.model == "mock/other-model"
    main = Usage(1700, 1500, output=60, reasoning=5, requests=2)
    small = Usage(1000, requests=2, subagent=1000)
    assert report.by_model == {"mock/other-model": main, "mock/small": small}
    assert report.usage == main + small
    assert report.cost == pytest.approx(0.00418 + 0.5)


def test_an_unpriced_sub_agent_leaves_the_cost_unknown(tmp_path: Path) -> None:
    store(("m2", "sub", NOW, message("small", 900, 0)))
    report, _ = read(tmp_path, "opencode-edit")
    assert report.cost is None


def test_after_an_interactive_run_the_session_is_found_by_its_folder(tmp_path: Path) -> None:
    store(("m1", session(), NOW, message("priced", 7, 0.1)), ("m2", "sub", NOW, message("x", 5, 1)))
    report = OpenCode().reader(ask(tmp_path)).finish(0, "")
    assert report.session == session()
    assert report.usage == Usage(12, requests=2, subagent=5)
    assert report.cost == pytest.approx(1.1)


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0garbage"])
def test_a_database_that_cannot_be_read_is_done_without(tmp_path: Path, content: bytes) -> None:
    data().mkdir(parents=True)
    (data() / "opencode.db").write_bytes(content)
    report, _ = read(tmp_path, "opencode-edit")
    assert report.usage == Usage(1700, 1500, output=60, reasoning=5, requests=2)


def test_a_refused_tool_is_a_denial(tmp_path: Path) -> None:
    report, events = read(tmp_path, "opencode-denied")
    assert report.status == "denied"
    assert "touch /etc/acr-outside" in report.error
    assert "denied bash touch" in events[1].text


def test_an_api_error_says_what_to_do(tmp_path: Path) -> None:
    report, _ = read(tmp_path, "opencode-401", exit_code=1)
    assert report.status == "error"
    assert "`opencode auth login`" in report.error


def test_an_early_end_is_explained_by_stderr(tmp_path: Path) -> None:
    report = OpenCode().reader(ask(tmp_path)).finish(1, "\nError: no such option\n")
    assert "no such option" in report.error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(hostile.mutated(LINES), max_size=4))
def test_noise_never_raises(tmp_path: Path, lines: list[str]) -> None:
    reader = OpenCode().reader(ask(tmp_path))
    for line in lines:
        reader.feed(line)
    reader.finish(0, "")
