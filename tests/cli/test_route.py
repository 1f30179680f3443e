"""acr route decides, says why, stores only when asked, and runs nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from acr import loop, settings
from acr.cli.main import run

BUG = "fix the failing test in parser.py, it raises ValueError: bad token"
PROFILE = (
    'agent = "{agent}"\nmodel = "{model}"\ntier = "mid"\n[price]\ninput = {usd}\noutput = {usd}\n'
)


@pytest.fixture(autouse=True)
def pool(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two agents on PATH that do nothing, and a pool of two profiles of our own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("codex", "claude"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    (home / "profiles").mkdir(parents=True)
    for name, agent, model, usd in (
        ("strong", "claude", "claude-opus-4-6", 5),
        ("cheap", "codex", "MiniMax-M2.7", 1),
    ):
        text = PROFILE.format(agent=agent, model=model, usd=usd)
        (home / "profiles" / f"{name}.toml").write_text(text)
    (home / "config.toml").write_text(
        '[pool]\nprofiles = ["strong", "cheap"]\n[orchestrator]\nexploration = 0.0\n'
    )


def routed(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert run(["route", *args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_says_what_would_run_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["route", BUG]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    shown = r"bug_fixing · python · claude/claude-opus-4-6 · \d\d % · ~\$"
    assert re.match(shown, line)  # how probable is the shipped model's to say
    assert line.endswith(" — no outcomes yet; benchmark of claude-opus-4-6\n")


def test_json_holds_the_whole_decision(capsys: pytest.CaptureFixture[str]) -> None:
    data = routed(capsys, BUG)
    assert data["recorded"] is None
    assert data["task"]["prompt"] == BUG
    assert data["task"]["embedding"] is None
    assert data["classification"]["dimension"] == data["task"]["dimension"] == "bug_fixing"
    assert sum(data["classification"]["scores"].values()) == pytest.approx(1)
    assert data["decision"]["chosen"] == data["profile"]["name"] == "strong"
    assert {c["profile"] for c in data["decision"]["candidates"]} >= {"strong", "cheap"}


def test_nothing_is_stored_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    routed(capsys, BUG)
    with loop.open_memory(settings.load()) as memory:
        assert memory.tasks() == ()


def test_a_recorded_decision_can_be_reported_on(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = routed(capsys, BUG, "--record")["recorded"]
    assert run(["feedback", recorded, "--score", "0", "--cost", "0.5"]) == 0
    with loop.open_memory(settings.load()) as memory:
        outcome = memory.outcomes(recorded)[0]
    assert (outcome.attempt.profile, outcome.attempt.cost) == ("strong", 0.5)
    capsys.readouterr()
    assert run(["route", BUG, "--record"]) == 0
    said = capsys.readouterr().out
    assert "recorded as " in said
    assert "--score S --cost USD" in said


def test_a_similar_task_is_cited(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(9):
        recorded = routed(capsys, BUG, "--record", "--profile", "cheap")["recorded"]
        run(["feedback", recorded, "--score", "1", "--cost", "0.01"])
        capsys.readouterr()
    assert run(["route", BUG.replace("parser", "lexer")]) == 0
    assert capsys.readouterr().out.endswith(" — 9 similar tasks, 9 wins\n")


def test_explain_shows_votes_and_candidates(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["route", BUG, "--explain"]) == 0
    said = capsys.readouterr().out
    for words in ("Votes", "CodeRouterBench", "Candidates", "not in the pool", "same choice"):
        assert words in said


@pytest.mark.parametrize(
    ("args", "chosen"),
    [
        (("--profile", "cheap"), "cheap"),
        (("--model", "minimax"), "cheap"),
        (("--model", "claude-opus-4.6"), "strong"),
        (("--agent", "codex", "--model", "gpt-99"), "codex/gpt-99"),
        (("--profile", "codex/gpt-99"), "codex/gpt-99"),
    ],
)
def test_pins_decide(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], chosen: str
) -> None:
    data = routed(capsys, BUG, *args)
    assert data["decision"]["chosen"] == data["profile"]["name"] == chosen
    assert args[0] in " ".join(data["decision"]["rules"])


def test_a_named_dimension_overrides_the_classifier(capsys: pytest.CaptureFixture[str]) -> None:
    data = routed(capsys, BUG, "--dimension", "algorithm")
    assert data["task"]["dimension"] == "algorithm"
    assert data["classification"]["dimension"] == "bug_fixing"


def test_the_same_seed_gives_the_same_decision(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "config.toml").write_text("[orchestrator]\nexploration = 0.9\n")
    chosen = {routed(capsys, BUG, "--seed", "5")["decision"]["chosen"] for _ in range(5)}
    assert len(chosen) == 1


def test_the_prompt_may_come_from_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "ask.md").write_text(BUG)
    assert routed(capsys, "-f", str(tmp_path / "ask.md"))["task"]["prompt"] == BUG


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("",), 2, "is empty"),
        ((BUG, "--profile", "stron"), 2, "did you mean strong"),
        ((BUG, "--model", "nobody-has-this"), 2, "no profile has model"),
        ((BUG, "--dimension", "bugfixing"), 2, "did you mean bug_fixing"),
        ((BUG, "--cwd", "/no/such/folder"), 2, "no such folder"),
    ],
)
def test_what_cannot_be_is_one_line(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int, words: str
) -> None:
    assert run(["route", *args]) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_pool_that_allows_nothing_is_named(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "config.toml").write_text('[pool]\nagents = ["nobody"]\n')
    assert run(["route", BUG]) == 1
    assert "[pool] in config.toml allows none" in capsys.readouterr().err
