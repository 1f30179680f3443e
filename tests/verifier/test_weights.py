"""The weights of the signals: one table, which the settings may change; shares sum to 1."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from acr import settings
from acr.errors import SettingsError
from acr.nouns import DIMENSIONS, Signal
from acr.verifier.weights import weighed, weights

SAID = [
    Signal("tests", 1.0, 0.0, ""),
    Signal("rules", 0.5, 0.0, ""),
    Signal("judge", None, 0.0, ""),
]


@pytest.mark.parametrize("dimension", [*DIMENSIONS, "one of the user's"])
def test_the_shares_of_the_signals_that_could_be_had_sum_to_1(dimension: str) -> None:
    every = [Signal(name, 1.0, 0.0, "") for name in weights("default")]
    shares, score = weighed(dimension, every)
    assert math.isclose(sum(s.weight for s in shares), 1, abs_tol=1e-3)
    assert math.isclose(score, 1)
    few, _ = weighed(dimension, SAID)
    assert math.isclose(sum(s.weight for s in few), 1, abs_tol=1e-3)
    assert few[2].weight == 0


def test_the_user_s_weights_come_before_the_table(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text(
        "[verifier.weights.bug_fixing]\ntests = 1\nrules = 3\n"
        "[verifier.weights.default]\njudge = 0.2\n"
    )
    own = settings.load().verifier.weights
    shares, score = weighed("bug_fixing", SAID, own)
    assert [s.weight for s in shares] == [0.25, 0.75, 0.0]
    assert score == 0.625
    assert weights("bug_fixing", own)["judge"] == 0.2
    assert weights("algorithm", own)["tests"] == weights("algorithm")["tests"]


@pytest.mark.parametrize("line", ["tests = -1", "tests = inf", "tests = 'much'", "test = 1"])
def test_a_weight_that_is_none_is_refused(home: Path, line: str) -> None:
    home.mkdir()
    (home / "config.toml").write_text(f"[verifier.weights.bug_fixing]\n{line}\n")
    with pytest.raises(SettingsError, match=r"config\.toml:2"):
        settings.load()
