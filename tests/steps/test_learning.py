"""What verdicts say of routed runs beside plain ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.nouns import DIMENSIONS, RoutedRun
from acr.steps.learning import BOUNDS, ENOUGH, compare, credit


def runs(routed: bool, wins: int, n: int, cost: float | None = 1.0) -> list[RoutedRun]:
    """Runs of one arm."""
    return [RoutedRun("bug_fixing", "p", routed, i < wins, cost) for i in range(n)]


def test_without_both_arms_nothing_is_said() -> None:
    (arms,) = compare(runs(True, 20, 20))
    assert arms.saving is None
    assert arms.factor == 1.0
    assert credit(runs(True, 0, 20) + runs(False, 4, ENOUGH - 1)) == {}


def test_savings_are_signed_and_have_an_interval() -> None:
    (arms,) = compare(runs(True, 9, 10, 0.25) + runs(False, 9, 10, 1.0))
    assert arms.saving == pytest.approx((0.75, 0.75, 0.75))
    (dearer,) = compare(runs(True, 9, 10, 2.0) + runs(False, 9, 10, 1.0))
    assert dearer.saving is not None
    assert dearer.saving[0] == pytest.approx(-1.0)


def test_unknown_cost_is_not_zero() -> None:
    (arms,) = compare(runs(True, 9, 10, None) + runs(False, 9, 10))
    assert arms.saving is None
    assert arms.comparable


def test_losses_make_the_policy_careful_and_wins_bold() -> None:
    assert credit(runs(True, 2, 10) + runs(False, 9, 10))["bug_fixing"] > 1.5
    assert credit(runs(True, 9, 10) + runs(False, 9, 10))["bug_fixing"] == 1.0
    assert credit(runs(True, 10, 10) + runs(False, 5, 10))["bug_fixing"] == BOUNDS[0]


@given(
    st.lists(
        st.builds(
            RoutedRun,
            st.sampled_from(DIMENSIONS),
            st.just("p"),
            st.booleans(),
            st.booleans(),
            st.none() | st.floats(0, 100),
        ),
        max_size=60,
    )
)
def test_every_run_is_in_one_arm_and_factors_are_bounded(made: list[RoutedRun]) -> None:
    found = compare(made)
    assert sum(len(a.routed) + len(a.plain) for a in found) == len(made)
    for arms in found:
        assert BOUNDS[0] <= arms.factor <= BOUNDS[1]
        if arms.saving:
            assert arms.saving[1] <= arms.saving[0] <= arms.saving[2]
