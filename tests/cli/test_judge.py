"""Verdicts from outside override acr's own and can be given again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr import settings
from acr.cli.main import run
from acr.loop import open_memory
from acr.nouns import Outcome
from tests.cli.records import decision, outcome, remember, task


def latest() -> Outcome:
    with open_memory(settings.load()) as memory:
        return memory.outcomes(limit=1)[0]


def record() -> str:
    """A decision without an attempt, as `acr route --record` stores it; returns its id."""
    asked = task()
    with open_memory(settings.load()) as memory:
        memory.add_task(asked)
        memory.add_decision(decision(asked))
    return decision(asked).id


def test_good_overrides_the_latest_run_and_says_what_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remember([outcome(task(), "fail")])
    assert run(["good"]) == 0
    shown = capsys.readouterr().out
    assert "✗ fail → ✓ pass (your verdict)" in shown
    assert latest().human == "pass"
    assert latest().verdict.status == "fail"


def test_bad_takes_the_beginning_of_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    remember([outcome(task("aaaa000001"), "pass"), outcome(task("bbbb000002"), "pass")])
    assert run(["bad", "aaaa", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["run"], said["before"], said["status"]) == ("aaaa000001", "pass", "fail")


def test_a_report_does_not_change_what_a_person_said(capsys: pytest.CaptureFixture[str]) -> None:
    asked = outcome(task(), "fail")
    remember([asked])
    assert run(["bad"]) == run(["feedback", asked.task.id, "--score", "1"]) == 0
    assert "✗ fail → ✗ fail (your verdict)" in capsys.readouterr().out
    assert (latest().human, latest().verdict.score) == ("fail", 1.0)


@pytest.mark.parametrize("command", ["good", "bad"])
def test_there_must_be_something_to_judge(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == 1
    assert "acr demo" in capsys.readouterr().err


def test_a_run_that_acr_did_not_make_is_reported_with_feedback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record()
    assert run(["good"]) == 1
    assert "acr feedback" in capsys.readouterr().err


def test_feedback_stores_an_attempt_of_somebody_else() -> None:
    assert run(["feedback", record(), "--score", "0.8", "--cost", "0.12"]) == 0
    found = latest()
    assert found.attempt.agent == "external"
    assert found.attempt.model == "model-of-codex-sol"
    assert found.attempt.cost == 0.12
    assert (found.verdict.status, found.verdict.score, found.verdict.strength) == ("pass", 0.8, 1.0)
    assert "reported by the caller" in found.verdict.reason


def test_feedback_takes_the_id_of_a_run_too(capsys: pytest.CaptureFixture[str]) -> None:
    record()
    assert run(["feedback", "aaaa", "--score", "0.49", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["status"], said["before"], said["cost_usd"]) == ("fail", None, None)


def test_feedback_given_again_replaces_the_first() -> None:
    made = record()
    for score in ("1", "1", "0"):
        assert run(["feedback", made, "--score", score]) == 0
    with open_memory(settings.load()) as memory:
        (found,) = memory.outcomes()
        (sums,) = memory.statistics()
    assert found.verdict.status == "fail"
    assert (sums.n, sums.wins, sums.losses) == (1, 0, 1)


def test_feedback_on_an_attempt_of_acr_keeps_its_evidence() -> None:
    remember([outcome(task(), "fail")])
    for _ in range(2):
        assert run(["feedback", "aaaa", "--score", "1"]) == 0
    found = latest()
    assert found.verdict.status == "pass"
    assert [s.name for s in found.verdict.signals] == ["tests", "caller"]
    assert found.attempt.agent == "codex"
    assert found.attempt.cost == 0.25


def test_a_time_that_was_not_reported_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["feedback", record(), "--score", "1"]) == 0
    assert run(["stats", "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["total"]["median_time_s"] is None


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--score", "1.01"], 2, "from 0 to 1"),
        (["--score", "-1"], 2, "from 0 to 1"),
        (["--score", "nan"], 2, "from 0 to 1"),
        (["--score", "much"], 2, "--score"),
        (["--score", "1", "--cost", "-0.1"], 2, "0 or more"),
        (["--score", "1", "--cost", "inf"], 2, "0 or more"),
        ([], 2, "--score"),
        (["--score", "1"], 1, "no decision 'zzzz'"),
    ],
)
def test_wrong_feedback_is_refused(
    args: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["feedback", "zzzz", *args]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_memory_that_cannot_be_opened_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "memory.db").mkdir(parents=True)
    assert run(["good"]) == 1
    assert "memory.db" in capsys.readouterr().err
