"""Caps hold over runs side by side: the calls that reach the model server are counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.agents import profiles
from acr.nouns import Price, Profile
from tests.model_server import ModelServer, Step

RUNS = 8
PAID = 3
"""Runs that the cap pays for."""
PER_RUN = 2
"""Requests of one run: a tool call, and the end."""
OUTPUT = 10.0
"""USD per million output tokens; input is not used."""
ASKED = ("fix the failing test", "--json", "--no-verify", "--max-tries", "1", "--seed", "1")


def acr(*args: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "acr", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("profile", "least"),
    [
        (Profile("mine", "codex", "mock-big", "mid", price=Price(0.0, OUTPUT, 0.0)), PAID),
        (Profile("mine", "claude", "claude-sonnet-5-5", "mid", provider="anthropic"), 1),
    ],
    ids=["codex", "claude"],
)
def test_eight_runs_side_by_side_make_no_more_calls_than_the_cap_pays_for(
    profile: Profile,
    least: int,
    serve: Callable[..., ModelServer],
    git_repo: Callable[..., Path],
    home: Path,
) -> None:
    """Each run costs just what is expected of it; a fourth would pass the cap.

    Claude is held to what is reserved, which is more than expected while there is room.
    """
    profiles.save(profile)
    config = '[pool]\nprofiles = ["mine"]\n[orchestrator]\nexploration = 0.0\n'
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(config)
    roots = [git_repo({"a.py": "x = 1\n"}, f"repo{number}") for number in range(RUNS)]
    told = acr("route", *ASKED[:2], cwd=roots[0]).communicate()[0]
    expected = json.loads(told)["decision"]["candidates"][0]["cost"]
    tokens = round(expected / OUTPUT * 1e6 / PER_RUN)
    usage = {"input": 0, "cached": 0, "output": tokens, "reasoning": 0}
    server = serve(steps=(Step(shell="true", usage=usage), Step(message="Done", usage=usage)))
    cap = (PAID + 0.5) * expected
    (home / "config.toml").write_text(f"{config}[budget]\nper_day = {cap}\n")
    running = [acr(*ASKED, cwd=root) for root in roots]
    ended = [(*child.communicate(timeout=240), child.returncode) for child in running]
    refused = [err for _, err, code in ended if code == 1]
    made = RUNS - len(refused)
    assert least <= made <= PAID, ended
    assert all("a day" in err and "budget.per_day" in err for err in refused)
    assert sum(json.loads(out)["cost_usd"] for out, _, code in ended if code == 0) <= cap
    assert len(server.requests) == made * PER_RUN
