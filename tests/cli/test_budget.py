"""Caps over several runs, as the command line shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acr.agents.profiles import save
from acr.cli.demo import PROFILES
from acr.cli.main import run
from acr.loop import Ask
from acr.loop import run as work
from acr.settings import load
from tests import scripted

DEAR = {"message": "It is in basket.py.", "usage": {"output": 100_000}}
"""$0.10 for demo-small, $2.50 for demo-large."""
ASKED = ("where are the prices added up?", "--no-verify", "--json", "--max-tries", "1")


@pytest.fixture
def repo(
    git_repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """A repository in which both models answer; the argument is added to config.toml."""

    def make(config: str) -> Path:
        scripted.install(tmp_path, {"models": {p.model: DEAR for p in PROFILES}}, config)
        root = git_repo(scripted.FILES)
        monkeypatch.chdir(root)
        return root

    return make


def asked(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any, str]:
    code = run([*ASKED, *args])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def test_a_day_is_spent_over_several_runs(
    repo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repo("[budget]\nper_day = 0.15\n")
    code, first, _ = asked(capsys)
    assert (code, first["profile"]) == (0, "demo-small")
    assert first["cost_usd"] == pytest.approx(0.1)
    code, nothing, err = asked(capsys)
    assert (code, nothing) == (1, None)
    assert "the $0.05 left of the budget of $0.15 a day pays for no allowed profile" in err
    assert err.count("\n") == 1
    assert run(["route", "where are the prices added up?"]) == 1
    assert "raise budget.per_day" in capsys.readouterr().err


def test_at_the_cap_the_cheapest_goes_on_and_it_is_said(
    repo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repo('[budget]\nper_day = 0.0\nat_cap = "cheapest"\n')
    code, told, err = asked(capsys)
    assert (code, told["profile"]) == (0, "demo-small")
    assert told["attempts"][0]["decision"]["budget"] == "exceeded"
    assert "beyond the budget" in err
    assert run(["why"]) == 0
    assert "budget.at_cap leaves the cheapest, demo-small" in capsys.readouterr().out


def test_where_nobody_can_be_asked_the_cap_stops(
    repo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repo('[budget]\nper_month = 0.0\nat_cap = "ask"\n')
    code, _, err = asked(capsys)
    assert code == 1
    assert "a month" in err


class Watcher:
    """An observer that keeps what it is told, and agrees to everything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.warnings: list[str] = []

    def decided(self, *_: object) -> None: ...
    def event(self, *_: object) -> None: ...
    def verifying(self, *_: object) -> None: ...
    def judged(self, *_: object) -> None: ...

    def warned(self, text: str) -> None:
        self.warnings.append(text)

    def confirm(self, text: str) -> bool:
        self.asked.append(text)
        return True


def test_who_is_asked_may_go_on_for_the_whole_run(repo: Callable[[str], Path]) -> None:
    root = repo('[budget]\nper_day = 0.0\nat_cap = "ask"\n')
    watcher = Watcher()
    result = work(Ask("where is it?", root, verify=False), load(), watcher)
    assert len(watcher.asked) == 1
    (outcome,) = result.outcomes
    assert outcome.decision
    assert outcome.decision.budget == "exceeded"
    assert "you said to go on" in outcome.decision.rules[-1]


def test_a_cap_of_one_profile_leaves_the_others(
    repo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repo("[budget.profiles.demo-small]\nper_day = 0.0\n")
    code, told, _ = asked(capsys)
    assert (code, told["profile"]) == (0, "demo-large")
    assert told["attempts"][0]["decision"]["budget"] == "decided"
    assert run(["why"]) == 0
    assert "the budget decided: without it demo-small would look best" in capsys.readouterr().out
    assert run(["route", ASKED[0]]) == 0
    assert "the budget decided; acr why says" in capsys.readouterr().out


def test_a_cap_of_a_profile_that_is_none_is_refused_with_a_suggestion(
    repo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repo("[budget.profiles.demo-smal]\nper_day = 1.0\n")
    assert run(["route", ASKED[0]]) == 1
    assert "budget.profiles.demo-smal: no such profile; did you mean demo-small?" in (
        capsys.readouterr().err
    )


def test_an_unknown_cost_is_set_aside_as_a_guess_and_that_is_said(
    repo: Callable[[str], Path],
) -> None:
    root = repo("[budget]\nper_day = 0.3\n")
    for profile in PROFILES:
        save(replace(profile, price=None, args=("--script", str(root.parent / "script.json"))))
    watcher = Watcher()
    work(Ask("where is it?", root, verify=False), load(), watcher)
    assert len(watcher.warnings) == 1
    assert "nobody knows what" in watcher.warnings[0]
    assert "a guess (acr prices)" in watcher.warnings[0]


def test_a_plan_goes_on_when_the_money_is_spent_and_is_marked(
    repo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = repo("[budget]\nper_day = 0.0\n")
    for profile in PROFILES:
        args = ("--script", str(root.parent / "script.json"))
        save(replace(profile, plan=True, args=args))
    code, told, err = asked(capsys)
    assert (code, told["plan"]) == (0, True)
    assert "plan —" in err
    for command, words in (
        (["runs", "show"], "$0.10 plan (override)"),
        (["runs"], "$0.10 plan"),
        (["why"], "cost $0.10 plan"),
        (["profiles", "show", "demo-small"], "plan = true"),
    ):
        assert run(command) == 0
        assert words in capsys.readouterr().out
