"""Usage is exact: what adapters read from recorded runs is what the model server says it served.

The runs are recorded by tests/real_agents/record.py: tool loops whose answers have several blocks,
resumed sessions, sub-agents, and servers that name another model than was asked for.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acr.agents import Report, get
from acr.nouns import Profile, Usage
from tests.agents import fakes

FOLDER = Path(__file__).parent / "golden" / "usage"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
AGENTS = ("claude", "codex", "gemini", "opencode", "qwen")
WRITES = ("claude", "codex")
"""Agents whose API tells cache writes apart from other input."""
REASONS = ("codex", "gemini", "opencode")
"""Agents that are told, and tell, reasoning apart from other output."""
COLUMNS = {
    "session": "id TEXT, parent_id TEXT, directory TEXT, time_updated INTEGER",
    "message": "id TEXT, session_id TEXT, time_created INTEGER, data TEXT",
}


def kept(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The report of a recorded run, with what it left on disk put back."""
    run, agent = kept(name), name.partition("-")[0]
    for variable in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_DATA_HOME", "GEMINI_CLI_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, rows in run["files"].items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if run["tables"]:
        _database(tmp_path / ".local/share/opencode/opencode.db", run["tables"])
    request = fakes.request(
        tmp_path,
        attempt=run["attempt"],
        profile=_profile(agent),
        resume=run["resume"],
        cwd=Path("/repo"),
        autonomy="full",
    )
    reader: Any = get(agent).reader(request)
    reader._started = run["started"]
    for line in run["stdout"]:
        reader.feed(line if isinstance(line, str) else json.dumps(line))
    report: Report = reader.finish(0, "")
    return report


def _profile(agent: str) -> Profile:
    from tests.real_agents import record

    every = (record.CODEX, record.CLAUDE, record.OPENCODE, record.GEMINI, record.QWEN)
    return next(profile for profile in every if profile.agent == agent)


def _database(path: Path, tables: Mapping[str, list[list[Any]]]) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, rows in tables.items():
            connection.execute(f"CREATE TABLE {name} ({COLUMNS[name]})")
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", rows)


def served(name: str, *, subagent: bool | None = None) -> Usage:
    """What the model server says it served, in the classes that the agent can tell."""
    agent, total = name.partition("-")[0], Usage()
    for one in kept(name)["served"]:
        if subagent in (None, one["subagent"]):
            written = one["written"] if agent in WRITES else 0
            total += Usage(
                input=one["input"] + one["written"] - written,
                cached_input=one["cached"],
                cache_write_5m=written,
                output=one["output"],
                reasoning=one["reasoning"] if agent in REASONS else 0,
                requests=1,
            )
    return total


def test_a_resumed_qwen_with_sub_agents_tells_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end counts the whole session, and sub-agents' tokens come without their classes."""
    run = kept("qwen-subagent")
    reader = get("qwen").reader(fakes.request(tmp_path, profile=_profile("qwen"), resume="s"))
    for line in run["stdout"]:
        reader.feed(json.dumps(line))
    assert reader.finish(0, "").usage is None


def test_every_agent_has_every_kind_of_run() -> None:
    kinds = ("loop", "renamed", "resumed", "subagent")
    assert [f"{agent}-{kind}" for agent in AGENTS for kind in kinds] == NAMES
    assert {kept(name)["status"] for name in NAMES} == {"done"}


def test_the_recorded_runs_do_repeat_themselves() -> None:
    """Claude writes a line for each block of an answer, all with the usage of the whole."""
    (rows,) = kept("claude-loop")["files"].values()
    ids = [row["message"]["id"] for row in rows if row.get("type") == "assistant"]
    assert len(ids) > len(set(ids)) == 5
    ended = [row for row in kept("codex-resumed")["stdout"] if row["type"] == "turn.completed"]
    assert ended[-1]["usage"]["output_tokens"] > served("codex-resumed").output  # cumulative


@pytest.mark.parametrize("name", NAMES)
def test_every_token_is_counted_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = read(name, tmp_path, monkeypatch)
    assert report.usage is not None
    expected = served(name)
    if name.startswith("qwen"):  # it tells of all tokens, but not of every request
        assert report.usage.requests <= expected.requests
        expected = replace(expected, requests=report.usage.requests)
    assert replace(report.usage, subagent=0) == expected
    if report.by_model:
        assert sum(report.by_model.values(), Usage()).total == expected.total


@pytest.mark.parametrize("name", [n for n in NAMES if n.endswith("subagent")])
def test_what_sub_agents_used_is_told_apart(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = read(name, tmp_path, monkeypatch)
    assert report.usage is not None
    assert report.usage.subagent == served(name, subagent=True).total > 0


@pytest.mark.parametrize("name", [n for n in NAMES if n.partition("-")[0] != "qwen"])
def test_each_request_is_known_by_itself_so_that_long_ones_can_be_priced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = read(name, tmp_path, monkeypatch)
    assert sum((u for _, u in report.requests), Usage()).total == served(name).total
    assert len(report.requests) == len(kept(name)["served"])


ASKED = ("codex", "opencode", "qwen")
"""Agents that name the model that was asked for, whichever answered."""


@pytest.mark.parametrize("name", [n for n in NAMES if n.endswith("renamed")])
def test_the_model_is_the_one_that_answered_as_far_as_the_agent_tells(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, agent = kept(name)["served"][-1], name.partition("-")[0]
    told = (read(name, tmp_path, monkeypatch).model or "").rpartition("/")[2]
    assert told == (one["asked"] if agent in ASKED else one["model"])
