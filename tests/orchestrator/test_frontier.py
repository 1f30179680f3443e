"""The frontier: dearest first, only what some weight of cost makes best, in ranges that join."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from acr.nouns import Candidate, Decision
from acr.orchestrator.frontier import along


def decision(*points: tuple[float, float | None], excluded: str = "") -> Decision:
    made = tuple(
        Candidate(f"p{n}", "codex", "m", expected, 1.0, cost, 0.0, 0.0)
        for n, (expected, cost) in enumerate(points)
    )
    made = tuple(replace(c, excluded="no") if c.profile == excluded else c for c in made)
    return Decision("d", "t", 0.0, "p0", made, (), (), (), False, (1.0, -0.1), 0, "s")


def test_ranges_join_from_the_dearest_to_the_cheapest() -> None:
    found = along(decision((0.9, 2.0), (0.5, 0.1), (0.8, 1.0)))
    assert [p.profile for p in found] == ["p0", "p2", "p1"]
    assert found[0].epsilon_from == 0
    assert found[0].epsilon_to == found[1].epsilon_from
    assert found[-1].epsilon_to is None


def test_what_is_dearer_and_no_better_is_left_out() -> None:
    assert [p.profile for p in along(decision((0.9, 1.0), (0.9, 2.0), (0.4, 1.5)))] == ["p0"]


def test_excluded_and_unpriced_candidates_have_no_place() -> None:
    found = along(decision((0.9, None), (0.5, 0.1), (0.8, 1.0), excluded="p2"))
    assert [p.profile for p in found] == ["p1"]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 10)), min_size=1, max_size=12),
    st.floats(0.001, 50),
)
def test_at_any_weight_the_point_of_that_range_has_the_best_reward(
    points: list[tuple[float, float]], weight: float
) -> None:
    best = max(expected - weight * cost for expected, cost in points)
    mine = next(
        p
        for p in along(decision(*points))
        if p.epsilon_from <= weight and (p.epsilon_to is None or weight <= p.epsilon_to)
    )
    assert abs(mine.expected - weight * mine.cost - best) < 1e-6 * (1 + weight * 10)
