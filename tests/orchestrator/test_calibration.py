"""A calibration corrects votes and shares, stands in the snapshot, and is ignored when broken."""

from __future__ import annotations

import json
import math
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr import loop, settings
from acr.cli.doctor import CHECKS
from acr.errors import AcrError
from acr.nouns import DIMENSIONS, Decision, Reading, Vote, from_json, to_json
from acr.orchestrator import calibration, model
from acr.orchestrator.calibration import NONE, Calibrated, Calibration, Correction
from acr.orchestrator.policy import decide, replay
from acr.settings import Settings
from tests.orchestrator.fakes import FakeMemory, profile, task

A, B = profile("a", "gpt-5.4"), profile("b", "GLM-5")
HALVED = Calibration(
    "c0ffee", 1.0, voters={"prior": Correction(0.5, 1.0, {"mid": -1.0})}, outcomes=80
)


def decided(used: Calibration = NONE) -> Decision:
    return decide(task(), (A, B), FakeMemory(), Settings(), prices={}, seed=3, calibration=used)


def test_a_vote_is_corrected_and_keeps_what_it_was() -> None:
    vote = Vote("prior", {"a": (0.5, 4.0), "b": (0.5, 4.0)}, "why")
    changed = HALVED.vote(vote, {"a": "mid", "b": "frontier"})
    assert changed.scores["a"][0] == pytest.approx(1 / (1 + math.e))
    assert changed.scores["a"][1] == 2.0
    assert changed.scores["b"] == (0.5, 2.0)
    assert changed.raw == vote.scores
    assert changed.reason == "why; calibrated"
    assert HALVED.vote(Vote("own", {"a": (0.5, 1.0)}, "x"), {}).raw == {}


def test_a_decision_names_its_calibration_and_replays() -> None:
    plain, shaped = decided(), decided(HALVED)
    assert shaped.snapshot == f"{plain.snapshot}+c0ffee"
    assert shaped.votes[0].raw == plain.votes[0].scores
    assert shaped.candidates[0].expected < plain.candidates[0].expected
    again = from_json(Decision, to_json(shaped))
    assert again == shaped
    assert replay(again) == shaped.chosen


@given(
    st.lists(st.floats(1e-6, 1.0), min_size=10, max_size=10),
    st.floats(0.2, 5.0),
    st.lists(st.floats(-3.0, 3.0), min_size=10, max_size=10),
)
def test_corrected_shares_are_shares(
    read: list[float], temperature: float, shifts: list[float]
) -> None:
    kinds = dict(zip(DIMENSIONS, shifts, strict=True))
    shares = {d: r / sum(read) for d, r in zip(DIMENSIONS, read, strict=True)}
    found = Calibration("x", 0.0, temperature=temperature, kinds=kinds).shares(shares)
    assert sum(found.values()) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in found.values())
    assert NONE.shares(shares) == pytest.approx(shares)


def test_a_text_that_says_nothing_stays_even() -> None:
    even = dict.fromkeys(DIMENSIONS, 0.1)
    assert Calibration("x", 0.0, kinds={"algorithm": 2.0}).shares(even) == even


def test_it_is_kept_and_undone_one_by_one() -> None:
    assert calibration.load() == NONE
    second = Calibration("bead", 2.0, temperature=2.0)
    calibration.add(HALVED)
    calibration.add(second)
    assert calibration.load() == second
    assert stat.S_IMODE((settings.home() / "calibration.json").stat().st_mode) == 0o600
    assert calibration.undo() == (second, HALVED)
    assert calibration.undo() == (HALVED, NONE)
    with pytest.raises(AcrError, match="nothing to undo"):
        calibration.undo()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "{}x",
        '[{"id": "x"}]',
        '[{"id": "x", "created": 1, "temperature": -1}]',
        '[{"id": "x", "created": 1, "temperature": NaN}]',
        '[{"id": "x", "created": 1, "voters": {"prior": {"strength": "much"}}}]',
        '[{"id": "x", "created": 1, "kinds": {"algorithm": 1e9}}]',
        '[{"id": 7, "created": 1}]',
    ],
)
def test_a_broken_file_calibrates_nothing_and_doctor_says_so(text: str) -> None:
    file = settings.folder() / "calibration.json"
    file.write_text(text)
    assert calibration.load() == NONE
    (found,) = next(c for c in CHECKS if c.__name__ == "_calibration")(Settings())
    assert found.status == "warning"
    assert "cannot be read" in found.detail
    assert "--undo" in found.fix
    with pytest.raises(AcrError, match="nothing is calibrated"):
        calibration.add(HALVED)
    assert file.read_text() == text
    assert calibration.undo() == (None, NONE)
    assert file.with_suffix(".broken").read_text() == text
    calibration.add(HALVED)


def test_the_shipped_reader_is_corrected_when_it_is_the_one_that_was_fitted() -> None:
    shipped = model.load()
    calibration.add(Calibration("x", 1.0, reader="another", temperature=2.0))
    assert loop.reader(Settings()) is shipped
    calibration.add(Calibration("y", 1.0, reader=shipped.id, temperature=2.0))
    found = loop.reader(Settings())
    assert isinstance(found, Calibrated)
    (plain,), (read,) = shipped.scores(["fix the bug"]), found.scores(["fix the bug"])
    assert max(read.dimensions.values()) < max(plain.dimensions.values())
    assert read.reason.endswith(", calibrated")
    assert isinstance(read, Reading)


def test_the_file_can_be_read_by_people() -> None:
    calibration.add(HALVED)
    (row,) = json.loads((settings.home() / "calibration.json").read_text())
    assert row["voters"]["prior"]["strength"] == 0.5
