"""Real agents through the gateway: a model for each step, money by who answered, no trace."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.agents import profiles
from acr.nouns import Price, Profile
from tests.gateway.conftest import tier_map, until
from tests.model_server import ModelServer, Step
from tests.real_agents.test_loop import FILES, FIX, acr, ask

Serve = Callable[..., ModelServer]
Repo = Callable[..., Path]

USAGE = {"input": 1000, "cached": 400, "output": 50, "reasoning": 0}
STEPS = (
    Step(shell="cat calc.py", usage=USAGE),
    Step(shell=FIX, usage=USAGE),
    Step(shell="cat calc.py", usage=USAGE),
    Step(message="Fixed the sign.", usage=USAGE),
)
TURNS = ["mock-big", "mock-tiny", "mock-mid", "mock-big"]
COST = (2 * (600 * 10 + 400 * 1 + 50 * 100) + 65.4 + 60 - 11.4 + 1140) / 1e6
"""USD of four requests with USAGE: two frontier, one minimal (600*.1+400*.01+50*1), one mid."""
MODELS = {"codex": "mock-big", "claude": "mock-big", "opencode": "mock/mock-big"}
AGENTS = pytest.mark.parametrize("agent", MODELS)


@pytest.fixture
def routed(home: Path) -> Path:
    """A tier map of the mock models, and a router that takes tiers in turn."""
    tier_map(home)
    (home / "config.toml").write_text('[gateway]\nrouter = "frontier,minimal,mid,frontier"\n')
    return home


def profile(agent: str) -> Profile:
    """A profile on the dearest mock model."""
    made = Profile(name=f"my-{agent}", agent=agent, model=MODELS[agent], tier="frontier")
    profiles.save(made)
    return made


def configs(root: Path) -> dict[str, str]:
    """Hash of every file below the agents' homes."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@AGENTS
def test_a_task_of_several_steps_is_done_with_a_model_for_each(
    agent: str, serve: Serve, git_repo: Repo, routed: Path
) -> None:
    server = serve(steps=STEPS)
    root = git_repo(FILES)
    made = profile(agent)
    told = ask("fix the failing test", "--gateway", "--profile", made.name, cwd=root)
    assert told["status"] == "pass"
    assert "a + b" in (root / "calc.py").read_text()
    assert [r.model for r in server.requests if r.tools] == TURNS
    (tried,) = told["attempts"]
    assert tried["attempt"]["cost_source"] == "gateway"
    assert tried["attempt"]["usage"]["requests"] == 4
    assert told["model"] == MODELS[agent]
    assert told["cost_usd"] == pytest.approx(COST)
    stats = json.loads(acr("stats", "--by", "profile", "--json", cwd=root).stdout)
    assert stats["total"]["cost_usd"] == pytest.approx(COST)
    steps = json.loads(acr("why", "--steps", "--json", told["run"], cwd=root).stdout)["steps"]
    assert [s["answered"] for s in steps] == TURNS
    assert [s["asked"] for s in steps] == ["mock-big"] * 4
    by_step = json.loads(acr("stats", "--by", "step", "--json", cwd=root).stdout)
    assert sum(row["cost_usd"] for row in by_step["rows"]) == pytest.approx(COST)
    assert {row["tier"]: row["steps"] for row in by_step["rows"]} == {
        "frontier": 2,
        "minimal": 1,
        "mid": 1,
    }


@AGENTS
def test_killing_the_gateway_amid_a_stream_leaves_no_trace(
    agent: str, serve: Serve, git_repo: Repo, routed: Path, agent_home: Path
) -> None:
    late = Step(message="late", waits_after=1)
    server = serve(steps=STEPS, by_prompt={"hang": (STEPS[0], late)})
    root = git_repo(FILES)
    made = profile(agent)
    before = configs(agent_home)
    asked = ("hang", "--gateway", "--profile", made.name, "--no-verify", "--quiet")
    child = _start(asked, root)
    until(lambda: any(r.prompt.endswith("hang") and r.step for r in server.requests), 60)
    (running,) = (routed / "gateway").glob("*.json")
    about = json.loads(running.read_text())
    os.kill(about["pid"], signal.SIGKILL)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=90)
    assert child.returncode != 0, said
    after = configs(agent_home)
    assert {path: after.get(path) for path in before} == before
    left = [p for p in agent_home.rglob("*") if p.is_file() and about["token"] in _text(p)]
    assert not left
    told = ask("fix the failing test", "--profile", made.name, "--no-verify", cwd=root)
    assert told["attempts"][0]["attempt"]["status"] == "done"
    assert "a + b" in (root / "calc.py").read_text()
    assert {r.model for r in server.requests[-4:]} == {"mock-big"}
    assert json.loads(acr("gateway", "status", "--json", cwd=root).stdout) == {"gateways": []}


def _start(args: tuple[str, ...], root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "acr", *args],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def price() -> Price:
    """What the profile says its model costs."""
    return Price(input=2.0, output=10.0, cached_input=0.2)


def test_the_profiles_own_price_counts_where_its_model_answered(
    serve: Serve, git_repo: Repo, home: Path, price: Price
) -> None:
    serve(steps=STEPS)
    root = git_repo(FILES)
    profiles.save(Profile("mine", "claude", "stranger", "mid", price=price))
    told = ask("fix the failing test", "--gateway", "--profile", "mine", cwd=root)
    assert told["cost_usd"] == pytest.approx(4 * (600 * 2.0 + 400 * 0.2 + 50 * 10.0) / 1e6)
