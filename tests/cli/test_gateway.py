"""acr gateway; what acr why and acr stats show of steps; acr --gateway without an agent's help."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from acr import loop, settings
from acr.cli.main import run
from acr.settings import Settings
from tests.gateway.conftest import until
from tests.memory.makers import outcome, step, task
from tests.model_server import ModelServer


@pytest.fixture
def stored(home: Path) -> None:
    """A run of three steps."""
    with loop.open_memory(Settings()) as memory:
        memory.add_outcome(outcome(task("t1")))
        cheap = step("a-t1", 2, kind="", usage=None, cost=None, tier=None, seconds=90.0)
        memory.add_steps([step("a-t1", 1), cheap, step("a-t1", 3, answered="big", tier="frontier")])


@pytest.mark.usefixtures("stored")
def test_why_lists_the_steps_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "--steps", "t1"]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[0] == "  1  edit · minimal · tiny (for big) · 15 tokens · $0.25 · 1.5 s"
    assert lines[1].strip() == "a small edit"
    assert "tier unknown · tiny (for big) · tokens unknown · cost unknown · 90 s" in lines[2]
    assert lines[-1] == "3 model calls of run t1: $0.50, and 1 of unknown cost"
    assert run(["why", "--steps", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["run"] == "t1"
    assert [(s["n"], s["cost_usd"], s["tokens"]) for s in data["steps"]] == [
        (1, 0.25, 15),
        (2, None, None),
        (3, 0.25, 15),
    ]


@pytest.mark.usefixtures("stored")
def test_stats_add_steps_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats", "--by", "step"]) == 0
    told = capsys.readouterr().out
    assert "minimal" in told
    assert "unknown" in told
    assert run(["stats", "--by", "step", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(r["kind"], r["tier"], r["model"]): r["cost_usd"] for r in rows} == {
        ("edit", "minimal", "tiny"): 0.25,
        ("edit", "frontier", "big"): 0.25,
        (None, None, "tiny"): None,
    }
    assert run(["stats", "--by", "step", "--json", "--since", "1h"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []


def test_a_run_without_steps_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with loop.open_memory(Settings()) as memory:
        memory.add_outcome(outcome(task("t1")))
    assert run(["why", "--steps"]) == 0
    assert "no model call of it went through the gateway" in capsys.readouterr().err
    assert run(["stats", "--by", "step"]) == 0
    assert "no steps yet" in capsys.readouterr().err


def test_no_gateway_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gateway"]) == 0
    assert "no gateway runs" in capsys.readouterr().err
    assert run(["gateway", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"gateways": []}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--upstream", "x"], "--upstream x: give NAME=URL"),
        (["--upstream", "x=y"], "gateway.upstreams.x: 'y' is no http"),
        (["--router", "oracle"], "no router called 'oracle'"),
        (["--port", "99999"], "--port"),
    ],
)
def test_bad_options_are_named(
    args: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gateway", "run", *args]) in (1, 2)
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["gateway", "run", "--port", str(taken.getsockname()[1])]) == 1
    assert "cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_in_the_foreground_until_it_is_stopped(
    number: signal.Signals, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        argv = ["gateway", "run", "--json", "--upstream", f"anthropic={server.url}"]
        child = subprocess.Popen(
            [sys.executable, "-m", "acr", *argv], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout
        lines: list[str] = []
        until(lambda: lines.append(child.stdout.readline()) or lines[-1] == "}\n")  # type: ignore[func-returns-value, union-attr]
        told = json.loads("".join(lines))
        _ask(f"{told['env']['ANTHROPIC_BASE_URL']}/v1/messages")
        assert run(["gateway", "status"]) == 0
        assert "mock-big: 1 calls, unknown" in capsys.readouterr().out
        child.send_signal(number)
        assert child.wait(30) == 0
    (record,) = (home / "gateway").iterdir()
    (line,) = record.read_text().splitlines()
    assert json.loads(line)["asked"] == "mock-big"
    assert told["codex"][1].endswith('/openai"')


def _ask(url: str) -> None:
    import urllib.request

    body = json.dumps({"model": "mock-big", "messages": []}).encode()
    with urllib.request.urlopen(url, body) as answer:
        assert answer.status == 200


def test_the_settings_name_a_router_and_proxies(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text(
        '[gateway]\nrouter = "mid"\nsilence = 5\n[gateway.upstreams]\nopenai = "http://a/v1"\n'
    )
    found = settings.load().gateway
    assert found == replace(
        Settings().gateway, router="mid", silence=5.0, upstreams={"openai": "http://a/v1"}
    )


def test_an_agent_that_cannot_be_pointed_elsewhere_runs_as_ever(
    git_repo: Callable[..., Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from acr.agents import profiles
    from acr.nouns import Profile

    profiles.save(Profile("mine", "scripted", "none", "mid"))
    root = git_repo({"a.txt": "a"})
    args = ["do it", "--gateway", "--profile", "mine", "--no-verify", "--cwd", str(root)]
    run(args)
    assert "scripted cannot be pointed at the gateway here" in capsys.readouterr().err
