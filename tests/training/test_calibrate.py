"""Fits find what is wrong with votes and shares, and say when there is nothing to find."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from acr.nouns import DIMENSIONS, TIERS, Outcome, VerdictStatus, Vote
from acr.training.calibrate import OUTCOMES, Tried, fit_kinds, fit_voters, tries
from tests.cli.records import outcome, task


def cases(n: int, chance: Callable[[float, float], float], seed: int = 5) -> list[Tried]:
    """Tries whose true chance follows from what the prior and the neighbours say."""
    rng = random.Random(seed)
    made = []
    for i in range(n):
        prior, near = rng.uniform(0.2, 0.9), rng.uniform(0.1, 0.9)
        won = float(rng.random() < chance(prior, near))
        votes = {"prior": (prior, 4.0), "neighbours": (near, 2.0)}
        made.append(Tried(votes, "mid" if i % 2 else "frontier", won, 1.0, float(i)))
    return made


def test_a_voter_that_knows_nothing_loses_strength_and_the_one_that_knows_gains() -> None:
    voters, held = fit_voters(cases(400, lambda _, near: near))
    assert voters["neighbours"].strength > 1.5
    assert voters["neighbours"].strength > 1.5 * voters["prior"].strength
    assert held.better
    assert held.n == 400
    assert held.held_out == 120
    assert held.log_loss[1] < held.log_loss[0]
    assert held.brier[1] < held.brier[0]


def test_a_prior_that_expects_too_much_is_moved_down_for_its_tier() -> None:
    voters, held = fit_voters(cases(400, lambda prior, near: 0.25 * (prior + near)))
    assert set(voters["prior"].bias) == set(TIERS)
    assert voters["prior"].bias["mid"] < -0.3
    assert voters["prior"].bias["minimal"] == 0
    assert voters["neighbours"].bias == {}
    assert held.better


def test_the_interval_tells_when_nothing_was_there_to_find() -> None:
    _, held = fit_voters(cases(200, lambda prior, near: (2 * prior + near) / 3))
    gain, low, high = held.gain
    assert low < gain < high
    assert low < 0
    assert abs(gain) < 0.03


def test_a_kind_that_is_read_too_often_is_moved_down() -> None:
    rng = random.Random(7)
    read, named = [], []
    for _ in range(120):
        truth = rng.choice(["bug_fixing", "code_refactoring"])
        told = 0.7 if truth == "bug_fixing" else 0.55  # refactorings look like bugs
        shares = dict.fromkeys(DIMENSIONS, 0.01)
        shares |= {"bug_fixing": told, "code_refactoring": 0.92 - told}
        read.append(shares)
        named.append(truth)
    temperature, kinds, held = fit_kinds(read, named)
    assert temperature < 1
    assert kinds["code_refactoring"] - kinds["bug_fixing"] > 0.3
    assert kinds["code_refactoring"] > kinds["data_science"]
    assert held.better


def test_only_verified_first_tries_with_votes_count() -> None:
    votes = (Vote("prior", {"codex-sol": (0.7, 2.0)}, "x", raw={"codex-sol": (0.9, 4.0)}),)

    def tried(number: int, status: VerdictStatus = "pass", **changes: Any) -> Outcome:
        one = outcome(task(f"run{number}"), status)
        assert one.decision
        return replace(one, decision=replace(one.decision, **{"votes": votes, **changes}))

    outcomes = [
        tried(1),
        tried(2, "unverified"),
        tried(3, tried=("other",)),
        tried(4, votes=()),
    ]
    found = tries(outcomes, {"codex-sol": "mid"})
    assert [(one.votes, one.tier, one.score) for one in found] == [
        ({"prior": (0.9, 4.0)}, "mid", 1.0)
    ]


@pytest.mark.parametrize("n", [OUTCOMES, OUTCOMES + 1])
def test_the_least_that_is_asked_for_is_enough(n: int) -> None:
    assert fit_voters(cases(n, lambda _, near: near))[1].n == n
