"""acr "PROMPT" with the real agents: run, verdict in a sandbox, memory, escalation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acr.agents import profiles
from acr.nouns import Price, Profile
from tests.model_server import ModelServer, Step

Serve = Callable[..., ModelServer]
Repo = Callable[..., Path]

FILES = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "test_calc.py": (
        "import unittest\n\nfrom calc import add\n\n\n"
        "class Add(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n\n"
        "    def test_zero(self):\n        self.assertEqual(add(2, 0), 2)\n"
    ),
}
FIX = "sed -i 's/a - b/a + b/' calc.py"
USAGE = {"input": 1000, "cached": 400, "output": 50, "reasoning": 0}
FIXES = (Step(shell=FIX, usage=USAGE), Step(message="Fixed the sign.", usage=USAGE))
FAILS = (Step(shell="echo '# tried' >> calc.py", usage=USAGE), Step(message="Done", usage=USAGE))
PRICE = Price(input=2.0, output=10.0, cached_input=0.2)
COST = 2 * (600 * 2.0 + 400 * 0.2 + 50 * 10.0) / 1e6
"""USD of two requests with USAGE at PRICE."""
MODELS = {"codex": "mock-{}", "claude": "mock-{}", "opencode": "mock/mock-{}"}


def acr(*args: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "acr", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def ask(prompt: str, *args: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    done = acr(prompt, "--json", *args, cwd=cwd, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def profile(agent: str, name: str, model: str = "big", tier: str = "mid") -> Profile:
    made = Profile(
        name=name,
        agent=agent,
        model=MODELS[agent].format(model),
        tier=tier,  # type: ignore[arg-type]
        price=PRICE,
    )
    profiles.save(made)
    return made


@pytest.mark.parametrize("agent", ["codex", "claude", "opencode"])
def test_a_failing_test_is_fixed_verified_and_remembered(
    agent: str, serve: Serve, git_repo: Repo
) -> None:
    serve(steps=FIXES)
    root = git_repo(FILES)
    made = profile(agent, f"my-{agent}")
    told = ask("fix the failing test", "--profile", made.name, cwd=root)
    assert told["status"] == "pass"
    assert "a + b" in (root / "calc.py").read_text()
    (tried,) = told["attempts"]
    assert len(tried["verdict"]["tests"]["fixed"]) == 1
    assert tried["verdict"]["sandbox"]["engine"] in ("docker", "bwrap")
    assert tried["attempt"]["usage"]["requests"] >= 2
    assert told["cost_usd"] == pytest.approx(COST)
    why = json.loads(acr("why", "--json", cwd=root).stdout)
    assert why["task"]["id"] == told["run"]
    assert why["decisions"][0]["chosen"] == made.name
    stats = json.loads(acr("stats", "--by", "profile", "--json", cwd=root).stdout)
    assert [(r["profile"], r["wins"], r["n"]) for r in stats["rows"]] == [(made.name, 1, 1)]
    assert told["run"] in acr("runs", "show", cwd=root).stdout
    assert "+    return a + b" in acr("runs", "diff", cwd=root).stdout


def test_a_similar_task_cites_the_first_as_a_neighbour(serve: Serve, git_repo: Repo) -> None:
    serve(steps=FIXES)
    root = git_repo(FILES)
    profile("claude", "my-claude")
    first = ask("fix the failing test", "--profile", "my-claude", cwd=root)
    (root / "calc.py").write_text(FILES["calc.py"])
    second = ask("please fix this failing test", "--profile", "my-claude", cwd=root)
    near = second["attempts"][0]["decision"]["neighbours"]
    assert [n["task"] for n in near] == [first["run"]]


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_a_failed_try_is_followed_by_the_next_profile(
    agent: str, serve: Serve, git_repo: Repo, home: Path
) -> None:
    small, large = MODELS[agent].format("small"), MODELS[agent].format("large")
    server = serve(steps=FIXES, by_model={small: FAILS, large: FIXES})
    root = git_repo(FILES)
    profile(agent, "my-small", "small", "frontier")
    profile(agent, "my-large", "large", "minimal")
    (home / "config.toml").write_text(
        '[pool]\nprofiles = ["my-*"]\n[orchestrator]\nexploration = 0.0\n'
    )
    told = ask("fix the failing test", cwd=root)
    assert [t["verdict"]["status"] for t in told["attempts"]] == ["fail", "pass"]
    assert [t["attempt"]["profile"] for t in told["attempts"]] == ["my-small", "my-large"]
    assert told["cost_usd"] == pytest.approx(2 * COST)
    told_next = [r.prompt for r in server.requests if r.model == large]
    assert any("test_add" in prompt for prompt in told_next)


def test_an_api_error_is_no_verdict_and_exits_5(serve: Serve, git_repo: Repo) -> None:
    serve(steps=(Step(error=401, body="bad key"),))
    root = git_repo(FILES)
    profile("codex", "my-codex")
    told = ask("fix the failing test", "--profile", "my-codex", cwd=root, code=5)
    assert told["attempts"][0]["attempt"]["status"] == "error"
    assert told["status"] == "unverified"
    stats = json.loads(acr("stats", "--json", cwd=root).stdout)
    assert stats["total"]["n"] == 0


def test_a_timeout_ends_the_agent_and_is_stored(serve: Serve, git_repo: Repo) -> None:
    serve(steps=(Step(shell="echo '# x' >> calc.py"), Step(message="late", delay=600)))
    root = git_repo(FILES)
    profile("claude", "my-claude")
    args = ("--profile", "my-claude", "--timeout", "15")
    told = ask("fix the failing test", *args, cwd=root, code=4)
    assert told["attempts"][0]["attempt"]["status"] == "timeout"


def test_ctrl_c_is_stored_as_aborted(serve: Serve, git_repo: Repo) -> None:
    serve(steps=(Step(shell="echo '# x' >> calc.py"), Step(message="late", delay=600)))
    root = git_repo(FILES)
    profile("codex", "my-codex")
    child = subprocess.Popen(
        [sys.executable, "-m", "acr", "fix the failing test", "--profile", "my-codex"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "# x" not in (root / "calc.py").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 130, said
    shown = json.loads(acr("runs", "show", "--json", cwd=root).stdout)
    assert "aborted" in json.dumps(shown)
