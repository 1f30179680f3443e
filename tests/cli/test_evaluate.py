"""acr gateway evaluate: what it refuses, what it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr import loop
from acr.cli.evaluate import Job, limits_with, read_tasks
from acr.cli.main import run
from acr.errors import SettingsError, UsageError
from acr.settings import GatewaySettings, Settings
from tests.memory.makers import outcome, step, task


def test_tasks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"prompt": "fix it"}\n\n{"prompt": "x", "commit": "v1", "dimension": null}\n')
    assert read_tasks(path) == [Job("fix it"), Job("x", "v1")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "0 tasks"),
        ("{", ":1: give"),
        ("[1]", ":1: give"),
        ('{"prompt": ""}', ":1: give"),
        ('{"prompt": 3}', ":1: give"),
        ('{"prompt": "x"}\n{"promt": "y"}', ":2: give"),
        ('{"prompt": "x", "commit": "--upload-pack=x"}', "is no commit"),
        ('{"prompt": "x", "dimension": "cooking"}', "cooking"),
        ('{"prompt": "x"}\n' * 1001, "1001 tasks"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_tasks(path)


def test_a_missing_file_a_missing_budget_and_a_missing_profile_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = str(tmp_path / "none")
    assert run(["gateway", "evaluate", none]) == 2
    assert run(["gateway", "evaluate", none, "--budget", "1"]) == 2
    assert "--profile" in capsys.readouterr().err
    assert run(["gateway", "evaluate", none, "--budget", "1", "--profile", "x"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_savings_are_told_only_with_both_arms(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gateway", "savings"]) == 0
    assert "no verdicts" in capsys.readouterr().err
    with loop.open_memory(Settings()) as memory:
        for n in range(6):
            memory.add_outcome(outcome(task(f"t{n}"), cost=0.25))
            memory.add_steps([step(f"a-t{n}")])
    assert run(["gateway", "savings"]) == 0
    told = capsys.readouterr().out
    assert "steps     6/6 passed [61%, 100%], $0.25 a run" in told
    assert "too few runs to speak of savings" in told
    with loop.open_memory(Settings()) as memory:
        for n in range(5):
            memory.add_outcome(outcome(task(f"p{n}"), cost=1.0))
    assert run(["gateway", "savings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["dimensions"]["bug_fixing"]
    assert found["saving"][0] == 0.75
    assert found["arms"]["as-asked"]["n"] == 5


def test_tiers_are_read_and_checked() -> None:
    found = limits_with(GatewaySettings(tiers={"max": "frontier"}), ["max=mid", "edit=mid"])
    assert found.tiers == {"max": "mid", "edit": "mid"}
    with pytest.raises(UsageError, match="NAME=TIER"):
        limits_with(GatewaySettings(), ["mid"])
    with pytest.raises(SettingsError, match="no tier called"):
        limits_with(GatewaySettings(), ["max=big"])
