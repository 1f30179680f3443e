"""What failures leave of the others: less, and least of kin; bounds, order, what is learned."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.nouns import Profile, Tried
from acr.orchestrator.escalation import after, gain
from acr.orchestrator.evidence import gather
from acr.settings import OrchestratorSettings
from tests.orchestrator.fakes import FakeMemory, Row, profile, task

A, B, C = profile("a", "gpt-x"), profile("b", "gpt-x", effort="high"), profile("c", "gpt-y")


def outlook(
    *tried: Tried, rows: tuple[Row, ...] = (), profiles: tuple[Profile, ...] = (A, B, C)
) -> dict[str, float]:
    memory = FakeMemory(list(rows))
    evidence = gather(task(), profiles, memory, OrchestratorSettings())
    expected = dict.fromkeys((p.name for p in profiles), 0.6)
    left = after(tried, expected, evidence, memory.together("bug_fixing"))
    return {name: score for name, (score, _) in left.items()}


def test_without_a_try_nothing_changes() -> None:
    assert outlook() == pytest.approx({"a": 0.6, "b": 0.6, "c": 0.6})


def test_a_failure_lowers_the_others_and_kin_the_most() -> None:
    left = outlook(Tried("a", 0.0))
    assert 0 < left["b"] < left["c"] < 0.6


def test_each_failure_lowers_what_is_left() -> None:
    one, two = outlook(Tried("a", 0.0)), outlook(Tried("a", 0.0), Tried("b", 0.0))
    assert 0 < two["c"] < one["c"]


def test_a_near_success_raises_the_others() -> None:
    assert outlook(Tried("a", 0.95))["c"] > 0.6


def test_a_try_without_a_score_or_of_another_profile_says_nothing() -> None:
    assert outlook(Tried("a"), Tried("stranger", 0.0))["c"] == pytest.approx(0.6)


def test_models_that_were_seen_to_differ_are_held_less_against_each_other() -> None:
    """Where one solved just what the other did not, a failure of one speaks for the other."""
    opposite = tuple(
        Row(name, float((n % 2 == 0) == (name == "a")), task=f"t{n}", model=model)
        for n in range(200)
        for name, model in (("a", "gpt-x"), ("c", "gpt-y"))
    )
    assert outlook(Tried("a", 0.0), rows=opposite)["c"] > 0.6


def test_tries_that_only_followed_failures_say_nothing_about_correlation() -> None:
    followed = tuple(
        row
        for n in range(100)
        for row in (
            Row("a", float(n % 2), task=f"t{n}", model="gpt-x"),
            *((Row("c", float(n % 4 == 0), task=f"t{n}", model="gpt-y"),) if n % 2 == 0 else ()),
        )
    )
    assert outlook(Tried("a", 0.0), rows=followed)["c"] == pytest.approx(
        outlook(Tried("a", 0.0))["c"], abs=0.1
    )


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), max_size=5),
)
def test_outlooks_stay_rates(expected: list[float], tries: list[tuple[int, float]]) -> None:
    profiles = tuple(profile(f"p{n}") for n in range(len(expected)))
    evidence = gather(task(), profiles, FakeMemory(), OrchestratorSettings())
    tried = [Tried(f"p{n}", score) for n, score in dict(tries).items()]
    left = after(tried, {f"p{n}": e for n, e in enumerate(expected)}, evidence, ())
    assert all(0 <= score <= 1 and variance > 0 for score, variance in left.values())


def test_the_gain_over_nothing_is_what_is_expected() -> None:
    assert gain(0.3, 0.3 * 0.7, 0.0) == pytest.approx(0.3)


def test_the_gain_over_a_full_score_is_none() -> None:
    assert gain(0.9, 0.05, 1.0) == 0


@given(st.floats(0, 1), st.floats(0.005, 0.25), st.floats(0, 1), st.floats(0, 1))
def test_a_better_best_leaves_less_to_gain(
    expected: float, variance: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert gain(expected, variance, low) >= gain(expected, variance, high) - 1e-12
    assert 0 <= gain(expected, variance, high) <= min(expected, 1 - high) + 1e-12
    assert math.isfinite(gain(expected, variance, low))
