"""Chances of being the best: closed forms, sums, symmetry."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.orchestrator.exploration import chances


def test_of_two_the_chance_is_that_of_a_normal_difference() -> None:
    first, _ = chances([0.6, 0.5], [0.1, 0.1])
    assert first == pytest.approx(NormalDist().cdf(0.1 / math.sqrt(0.02)), abs=0.01)


def test_equals_have_equal_chances() -> None:
    assert chances([0.5] * 4, [0.2] * 4) == pytest.approx([0.25] * 4)


def test_without_width_the_first_best_has_all() -> None:
    assert chances([0.1, 0.7, 0.7], [0.0, 0.0, 0.0]) == [0.0, 1.0, 0.0]


def test_who_cannot_be_the_best_has_none() -> None:
    assert chances([0.9, 0.1, 0.89], [0.01, 0.01, 0.01])[1] == 0


def test_the_unsure_has_a_better_chance_than_the_sure_of_the_same_reward() -> None:
    _, sure, unsure = chances([0.6, 0.5, 0.5], [0.05, 0.02, 0.2])
    assert unsure > sure


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0, 1)), min_size=1, max_size=50))
def test_they_sum_to_one(candidates: list[tuple[float, float]]) -> None:
    found = chances([r for r, _ in candidates], [w for _, w in candidates])
    assert math.isclose(math.fsum(found), 1, abs_tol=1e-9)
    assert all(0 <= chance <= 1 for chance in found)
