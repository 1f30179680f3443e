"""acr calibrate on a memory of its own: too little, enough, and back again."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from acr import settings
from acr.cli.main import run
from acr.loop import open_memory
from acr.nouns import Vote
from acr.orchestrator import calibration
from tests.cli.records import outcome, remember, task

KINDS = (
    ("fix the failing test", "bug_fixing"),
    ("rename this variable", "code_refactoring"),
    ("explain this function", "code_understanding"),
)


def learn(n: int) -> None:
    """Outcomes whose neighbours knew and whose prior did not."""
    rng = random.Random(2)
    made = []
    for i in range(n):
        near = rng.uniform(0.05, 0.95)
        one = outcome(task(f"run{i:04}"), "pass" if rng.random() < near else "fail")
        assert one.decision
        votes = (
            Vote("prior", {"codex-sol": (rng.uniform(0.3, 0.95), 4.0)}, "the benchmark"),
            Vote("neighbours", {"codex-sol": (near, 2.0)}, "similar tasks"),
        )
        made.append(replace(one, decision=replace(one.decision, votes=votes)))
    remember(made)


def name_kinds(n: int) -> None:
    """Prompts whose kind the user named."""
    with open_memory(settings.load()) as memory:
        for i in range(n):
            prompt, kind = KINDS[i % len(KINDS)]
            asked = task(f"named{i:04}", kind, f"{prompt} {i}")
            memory.add_task(replace(asked, confidence=1.0, runner_up=None))


def test_with_too_little_it_says_how_much_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    learn(3)
    assert run(["calibrate"]) == 1
    said = capsys.readouterr().err
    assert "3 verified first tries with votes (60 are needed)" in said
    assert "0 prompts whose kind you named with --dimension (40 are needed)" in said
    assert said.count("\n") == 1


def test_it_shows_before_and_after_and_is_undone(capsys: pytest.CaptureFixture[str]) -> None:
    learn(150)
    assert run(["calibrate"]) == 0
    said = capsys.readouterr().out
    assert "scores: 150 verified first tries; on the 45 newest, held out, log loss" in said
    assert "fitted anew to all, and used" in said
    assert "kinds: 0 prompts of a named kind, 40 are needed; left as they are" in said
    used = calibration.load()
    assert f"calibration {used.id} is in use" in said
    assert used.voters["neighbours"].strength > used.voters["prior"].strength
    assert run(["calibrate", "--undo"]) == 0
    assert f"calibration {used.id} is undone; none is in use" in capsys.readouterr().out
    assert calibration.load() == calibration.NONE
    assert run(["calibrate", "--undo"]) == 1
    assert "nothing to undo" in capsys.readouterr().err


def test_json_has_figures_with_n(capsys: pytest.CaptureFixture[str]) -> None:
    learn(150)
    name_kinds(42)
    assert run(["calibrate", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert set(first) == {"scores", "kinds", "calibration", "previous"}
    assert first["scores"]["n"] == 150
    assert first["scores"]["log_loss_after"] < first["scores"]["log_loss_before"]
    assert first["kinds"]["held_out"] == 13
    assert first["previous"] is None
    assert run(["calibrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["previous"] == first["calibration"]["id"]
    assert run(["calibrate", "--undo", "--json"]) == 0
    undone = json.loads(capsys.readouterr().out)
    assert undone["in_use"] == first["calibration"]["id"]


def test_what_it_fitted_shapes_the_next_decision(capsys: pytest.CaptureFixture[str]) -> None:
    learn(150)
    run(["calibrate"])
    used = calibration.load()
    capsys.readouterr()
    assert run(["route", "--record", "--json", "fix the failing test"]) == 0
    assert run(["why"]) == 0
    said = capsys.readouterr().out
    assert f"+{used.id} · seed" in said
    assert "; calibrated" in said
    assert "replays to the same choice" in said
