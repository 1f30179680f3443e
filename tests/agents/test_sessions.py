"""What the agents' own files tell of a turn, kept from real sessions of two commands each."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from acr.agents import opencode, sessions
from acr.agents.sessions import Ran, Told, Turn
from acr.nouns import Usage
from tests.agents import kept

AGENTS = ("claude", "codex", "gemini", "qwen")
STARTS = {
    "claude": 1795665655.0,
    "codex": 1795665653.0,
    "gemini": 1795665658.0,
    "qwen": 1795665664.0,
}
THREAD, TURN = "01a21603-704c-7593-8fb3-3834fd6688a9", "01a21603-706b-7c01-89f0-4104f1bca493"
RAN = (Ran("echo x >> a.txt; false", 1), Ran("echo ok", 0))


def turn(agent: str, folder: Path | None = None) -> Turn:
    """The turn in the kept session, or in the file of that name in `folder`."""
    return Turn(
        session=THREAD,
        start=STARTS[agent],
        id=TURN if agent == "codex" else "",
        transcript=(folder or kept.FOLDER) / f"{agent}-session.jsonl",
        message="All done",
    )


def read(agent: str, wanted: Turn | None = None) -> Told:
    return sessions.read(agent, wanted or turn(agent))


@pytest.mark.parametrize("agent", AGENTS)
def test_a_turn_is_read_with_its_model_tokens_and_commands(agent: str) -> None:
    told = read(agent)
    assert told.model == "mock-big"
    usage = told.by_model["mock-big"]
    reasoning = 0 if agent == "claude" else 24
    assert usage == Usage(3000, 600, output=102, reasoning=reasoning, requests=3)
    assert told.ran == RAN
    assert STARTS[agent] < told.acted < STARTS[agent] + 3
    assert told.complete


@pytest.mark.parametrize("agent", AGENTS)
def test_another_turn_of_the_session_counts_none_of_it(agent: str) -> None:
    for other in (
        replace(turn(agent), start=STARTS[agent] + 60, id="other"),
        replace(turn(agent), start=0.0, end=STARTS[agent], id="other"),
    ):
        told = read(agent, other)
        assert (told.by_model, told.ran, told.complete) == ({}, (), False)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_file_is_complete_only_with_the_agents_last_words(agent: str, tmp_path: Path) -> None:
    lines = kept.lines(f"{agent}-session")
    path = tmp_path / f"{agent}-session.jsonl"
    seen = []
    for end in range(len(lines) + 1):
        half = lines[end][: len(lines[end]) // 2] if end < len(lines) else ""
        path.write_text("\n".join([*lines[:end], half]))
        seen.append(read(agent, turn(agent, tmp_path)).complete)
    assert seen[-1]
    assert seen == sorted(seen)
    assert seen.count(True) <= 3  # costs and the like may follow


@pytest.mark.parametrize("agent", [*AGENTS, "opencode"])
@pytest.mark.parametrize("content", [None, b"", b'\xff\n{}\n[]\n{"type": []}\n' + b"[" * 50_000])
def test_a_file_that_is_missing_or_odd_tells_nothing(
    agent: str, content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "sessions" / "2026" / "11" / "23" / "odd.jsonl"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    told = sessions.read(agent, Turn(session="s", start=0.0, transcript=path, message="x"))
    assert told == Told()


def test_without_a_file_nobody_waits_for_one() -> None:
    assert sessions.read("claude", Turn("s", 0.0)) == Told(complete=True)
    assert sessions.read("another", Turn("s", 0.0)) == Told(complete=True)


def test_sub_agents_of_claude_count_for_the_turn(tmp_path: Path) -> None:
    (tmp_path / "claude-session.jsonl").write_text("\n".join(kept.lines("claude-session")))
    inner = tmp_path / "claude-session" / "subagents"
    inner.mkdir(parents=True)
    text = "\n".join(kept.lines("claude-session")).replace("mock-big", "mock-small")
    (inner / "agent-1.jsonl").write_text(text.replace("msg_", "sub_"))
    told = read("claude", turn("claude", tmp_path))
    assert told.model == "mock-big"
    assert told.by_model["mock-small"].subagent == 3702


def test_sub_agents_of_codex_count_for_the_turn_that_they_name(tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "2026" / "11" / "23"
    folder.mkdir(parents=True)
    main, text = folder / "rollout-1.jsonl", "\n".join(kept.lines("codex-session"))
    main.write_text(text)
    other = text.replace(f'"id": "{THREAD}"', f'"id": "sub", "parent_thread_id": "{THREAD}"')
    other = other.replace('"resp_', '"sub_').replace("mock-big", "mock-small")
    other = other.replace(f'"turn_id": "{TURN}"', '"turn_id": "inner"')
    (folder / "rollout-2.jsonl").write_text(other)
    wanted = replace(turn("codex"), transcript=main)
    assert read("codex", wanted).by_model["mock-small"].subagent == 3702
    stranger = other.replace(f'"root_turn_id": "{TURN}"', '"root_turn_id": "another"')
    (folder / "rollout-2.jsonl").write_text(stranger)
    assert list(read("codex", wanted).by_model) == ["mock-big"]


def test_opencodes_answers_belong_to_the_message_that_they_answer() -> None:
    opencode.data().mkdir(parents=True)
    answer = (
        '{"parentID": "%s", "role": "assistant", "cost": 0.002, "tokens": {"input": 1000,'
        ' "output": 26, "reasoning": 8, "cache": {"read": 200, "write": 0}}, "modelID": "priced",'
        ' "providerID": "mock", "finish": "%s"}'
    )
    call = (
        '{"type": "tool", "tool": "bash", "state": {"status": "completed",'
        ' "input": {"command": "pytest"}, "metadata": {"exit": 1}}}'
    )
    with sqlite3.connect(opencode.data() / "opencode.db") as db:
        db.execute("create table session (id, parent_id, directory, time_updated)")
        db.execute("create table message (id, session_id, time_created, data)")
        db.execute("create table part (session_id, time_created, data)")
        db.execute("insert into session values ('s', null, '/repo', 5000)")
        db.execute("insert into session values ('sub', 's', '/repo', 5000)")
        for number, (asked, finish) in enumerate(
            [("u1", "tool-calls"), ("u1", "stop"), ("u2", "")]
        ):
            row = (f"m{number}", "s", 5000 + number, answer % (asked, finish))
            db.execute("insert into message values (?, ?, ?, ?)", row)
        db.execute("insert into part values ('s', 5000, ?)", (call,))
    told = sessions.read("opencode", Turn("s", 5.0, id="u1"))
    assert told.by_model == {"mock/priced": Usage(2000, 400, output=68, reasoning=16, requests=2)}
    assert told.cost == pytest.approx(0.004)
    assert told.ran == (Ran("pytest", 1),)
    assert told.complete
    assert not told.inner
    assert not sessions.read("opencode", Turn("s", 5.0, id="u2")).complete
    assert sessions.read("opencode", Turn("sub", 5.0)).inner
