"""Ordinary sessions of the real agents, run without acr, are learned from through their hooks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr import hooksfile
from acr.nouns import Usage
from tests.model_server import Step
from tests.real_agents import hooked
from tests.real_agents.conftest import Serve
from tests.real_agents.test_loop import COST, FILES, FIX, FIXES, USAGE, Repo, acr, profile

MODELS = {"opencode": "mock/mock-big"}
WRITES = Step(shell="printf 'def add(a, b):\n    return a + b\n' > calc.py", usage=USAGE)
"""FIX for qwen, which lets no command edit a file that it has not read."""
SPAWNS = {
    "claude": Step(
        tool="Task",
        args={
            "description": "help",
            "prompt": "Do the SUBTASK",
            "subagent_type": "general-purpose",
            "run_in_background": False,
        },
    ),
    "opencode": Step(
        tool="task",
        args={"description": "help", "prompt": "Do the SUBTASK", "subagent_type": "general"},
    ),
    "codex": Step(tool="spawn_agent", args={"message": "Do the SUBTASK", "agent_type": "default"}),
}


@pytest.mark.parametrize("agent", ["codex", "claude", "opencode", "gemini", "qwen"])
def test_a_session_of_the_agent_itself_is_an_outcome_with_model_tokens_cost_and_verdict(
    agent: str, serve: Serve, git_repo: Repo, agent_home: Path
) -> None:
    serve(steps=(WRITES, FIXES[1]) if agent == "qwen" else FIXES)
    root, model = git_repo(FILES), MODELS.get(agent, "mock-big")
    hooked.install(agent)
    acr("hooks", "verify", "on", cwd=root)
    if agent in ("codex", "claude", "opencode"):
        profile(agent, f"my-{agent}")
    hooked.run(agent, "fix the failing test", root, model)
    (outcome,) = hooked.outcomes(1)
    assert outcome.task.prompt == "fix the failing test"
    assert outcome.task.dimension == "bug_fixing"
    assert (outcome.attempt.agent, outcome.attempt.status) == (agent, "done")
    assert outcome.attempt.model == model
    assert outcome.attempt.usage
    assert outcome.attempt.usage.requests == 2
    assert outcome.attempt.usage.total == 2 * (USAGE["input"] + USAGE["output"])
    assert (outcome.verdict.status, outcome.verdict.strength) == ("pass", 1.0), outcome.verdict
    assert outcome.verdict.tests
    assert len(outcome.verdict.tests.fixed) == 1
    (row,) = json.loads(acr("stats", "--by", "profile", "--json", cwd=root).stdout)["rows"]
    named = f"my-{agent}" if agent in ("codex", "claude", "opencode") else f"{agent}/{model}"
    assert (row["profile"], row["wins"], row["n"]) == (named, 1, 1)
    if named.startswith("my-"):
        assert row["cost_usd"] == pytest.approx(COST)
    else:
        assert row["cost_usd"] is None


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_each_turn_of_a_session_counts_its_own_tokens_and_a_complaint_lowers_the_one_before(
    agent: str, serve: Serve, git_repo: Repo, agent_home: Path
) -> None:
    tests = Step(shell="python3 -m unittest -q", usage=USAGE)
    serve(
        steps=(Step(shell=FIX, usage=USAGE), tests, Step(message="Fixed.", usage=USAGE)),
        by_prompt={"still fails": (Step(message="Sorry.", usage=USAGE),)},
    )
    root = git_repo(FILES)
    hooked.install(agent)
    hooked.run(agent, "fix the failing test", root, "mock-big")
    (first,) = hooked.outcomes(1)
    assert first.attempt.usage
    assert first.attempt.usage.requests == 3
    assert (first.verdict.status, first.verdict.strength) == ("pass", 0.2)  # the agent's own run
    again = ("resume", "--last") if agent == "codex" else ("--continue",)
    hooked.run(agent, "it still fails", root, "mock-big", *again)
    before, after = hooked.outcomes(2)
    assert after.attempt.session == before.attempt.session
    assert after.attempt.usage == Usage(600, 400, output=50, requests=1)
    assert before.attempt.usage == first.attempt.usage
    assert (before.verdict.status, before.verdict.score, before.verdict.strength) == (
        "pass",
        0.8,
        0.1,
    )


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_a_run_of_acr_itself_is_not_counted_twice(
    agent: str, serve: Serve, git_repo: Repo, agent_home: Path, home: Path
) -> None:
    serve(steps=FIXES)
    root = git_repo(FILES)
    hooked.install(agent)
    profile(agent, f"my-{agent}")
    trust = ("--", "--dangerously-bypass-hook-trust") if agent == "codex" else ()
    acr("fix the failing test", "--profile", f"my-{agent}", *trust, cwd=root)
    assert not (home / "spool").exists()
    acr("ingest", cwd=root)
    assert len(hooked.stored()) == 1


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_advice_reaches_the_model_only_when_it_is_on(
    agent: str, serve: Serve, git_repo: Repo, agent_home: Path, home: Path
) -> None:
    server = serve(steps=(Step(message="Done."),))
    root, said = git_repo(FILES), "acr, from measured outcomes: take the other"
    hooked.install(agent)
    (home / "cache").mkdir(exist_ok=True)
    table = {
        "words": {"bug_fixing": ["fix"]},
        "lines": {"bug_fixing": {"mock-big": said}},
        "models": {"claude": "mock-big"},
    }
    (home / "cache" / "advice.json").write_text(json.dumps(table))
    hooked.run(agent, "fix the failing test", root, "mock-big")
    assert not any(said in asked.raw.decode() for asked in server.requests)
    hooked.outcomes(1)
    hooksfile.change(advise=True)
    (home / "cache" / "advice.json").write_text(json.dumps(table))
    hooked.run(agent, "fix the failing test", root, "mock-big")
    assert any(said in asked.raw.decode() for asked in server.requests)
    hooked.outcomes(2)


@pytest.mark.parametrize(("agent", "model"), [("codex", "gpt-6-luna"), ("claude", "haiku")])
def test_a_sub_agent_gets_the_model_of_the_pool_and_its_tokens_are_the_turns(
    agent: str, model: str, serve: Serve, git_repo: Repo, agent_home: Path
) -> None:
    usage = {"input": 900, "cached": 0, "output": 10, "reasoning": 0}
    server = serve(
        steps=[SPAWNS[agent], Step(message="done", delay=3)],
        by_prompt={"SUBTASK": [Step(message="sub done", usage=usage)]},
    )
    root = git_repo(FILES)
    hooked.install(agent)
    acr("hooks", "subagents", "on", f"{agent}={model}", cwd=root)
    hooked.run(agent, "look around", root, "mock-big")
    asked = {r.model for r in server.requests if "SUBTASK" in r.prompt}
    assert asked == {"claude-haiku-5-5" if agent == "claude" else model}
    (outcome,) = hooked.outcomes(1)
    assert outcome.attempt.model == "mock-big"
    assert outcome.attempt.usage
    assert outcome.attempt.usage.subagent == 910


def test_sub_agents_of_opencode_are_no_turns_of_a_person(
    serve: Serve, git_repo: Repo, agent_home: Path
) -> None:
    usage = {"input": 900, "cached": 0, "output": 10, "reasoning": 0}
    serve(
        steps=[SPAWNS["opencode"], Step(message="done")],
        by_prompt={"SUBTASK": [Step(message="sub done", usage=usage)]},
    )
    root = git_repo(FILES)
    hooked.install("opencode")
    hooked.run("opencode", "look around", root, "mock/mock-big")
    hooked.until(lambda: bool(hooked.stored()))
    acr("ingest", cwd=root)
    (outcome,) = hooked.stored()
    assert outcome.task.prompt == "look around"
    assert outcome.attempt.usage
    assert outcome.attempt.usage.subagent == 910
