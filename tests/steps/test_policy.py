"""Which tier a step gets, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.errors import SettingsError
from acr.nouns import TIERS, Price, Tier
from acr.settings import GatewaySettings
from acr.steps.kind import KINDS
from acr.steps.policy import Rules, View, choose, rules_of, step_cost
from tests.steps.requests import ALL

WIDE: dict[Tier, Price] = {
    "minimal": Price(0.1, 0.5, 0.01),
    "efficient": Price(1.0, 5.0, 0.05),
    "mid": Price(2.0, 10.0, 0.1),
    "frontier": Price(10.0, 50.0, 1.0),
}
WARM = dict.fromkeys(ALL, 20_000)


def view(kind: str = "search_read", **fields: Any) -> View:
    """A step that is surely of this kind, every cache warm."""
    base = View({kind: 1.0}, ALL, "frontier", 20_000, WARM, WIDE, last="mid", run=9)
    return replace(base, **fields)


def tier(seen: View, **rules: Any) -> Tier | None:
    """What is chosen."""
    return choose(seen, Rules(**rules))[0]


def test_looking_is_cheap_and_the_first_plan_is_not() -> None:
    assert TIERS.index(tier(view()) or "frontier") < TIERS.index("mid")
    assert tier(view("bookkeeping")) == "minimal"
    assert tier(view("plan", first=True, difficulty=0.8)) == "frontier"
    assert tier(view("plan", first=True, difficulty=0.2), caution=0.0) != "frontier"


def test_a_hard_edit_costs_more_than_an_easy_one() -> None:
    easy, hard = (tier(view("edit", difficulty=d)) or "frontier" for d in (0.0, 1.0))
    assert TIERS.index(easy) <= TIERS.index(hard)
    assert tier(view("edit"), caution=1000.0) == "frontier"
    assert tier(view("edit"), caution=0.0) == "minimal"


def test_a_cold_cache_is_paid_for() -> None:
    near = {"minimal": Price(1, 5, 0.1), "frontier": Price(1.5, 7.5, 0.15)}
    cold = view(prices=near, offered=tuple(near), cached={"frontier": 20_000}, last="frontier")
    assert tier(cold) == "frontier"
    assert tier(replace(cold, cached=WARM), caution=0.0) == "minimal"
    assert step_cost(cold, "minimal") > step_cost(cold, "minimal", warm=True)


def test_failures_go_tiers_up_and_come_back() -> None:
    best = TIERS.index(tier(view("repair", failures=1)) or "frontier")
    raised = TIERS.index(tier(view("repair", failures=2)) or "minimal")
    assert raised == min(best + 1, 3)
    assert tier(view("repair", failures=4)) == "frontier"
    assert tier(view("search_read", failures=4)) != "frontier"
    assert tier(view("search_read", stalls=True)) == "frontier"
    assert tier(view("search_read", last="frontier", run=3)) != "frontier"


def test_a_tier_is_kept_for_a_while() -> None:
    assert tier(view("bookkeeping", last="mid", run=1)) == "mid"
    assert tier(view("bookkeeping", last="mid", run=2)) == "minimal"


def test_never_dearer_than_asked_unless_allowed() -> None:
    assert tier(view("plan", asked="mid", first=True, difficulty=0.8)) == "mid"
    assert (
        tier(view("plan", asked="mid", first=True, difficulty=0.8), most="frontier") == "frontier"
    )
    assert tier(view("plan", first=True, difficulty=0.8), most="efficient") == "efficient"


def test_floors_pins_and_the_budget() -> None:
    assert tier(view("bookkeeping", dimension="algorithm"), floors={"algorithm": "mid"}) == "mid"
    assert tier(view("edit"), pins={"edit": "frontier"}) == "frontier"
    assert tier(view("edit", left=1e-6)) == "minimal"
    assert tier(view("edit", left=100.0)) == tier(view("edit"))


def test_thinking_that_was_refused_stays_with_its_model() -> None:
    assert tier(view("bookkeeping", bound=True)) is None


def test_bad_credit_is_careful() -> None:
    poor = Rules(credit={"bug_fixing": 50.0})
    assert choose(view("edit", dimension="bug_fixing"), poor)[0] == "frontier"


@pytest.mark.parametrize(
    ("tiers", "told"),
    [
        ({"max": "huge"}, "no tier called 'huge'"),
        ({"cook": "mid"}, "no 'cook'"),
        ({"min": "frontier", "max": "mid"}, "dearer than max"),
    ],
)
def test_rules_that_cannot_be_are_refused(tiers: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        rules_of(GatewaySettings(tiers=tiers))


def test_rules_are_read_from_the_settings() -> None:
    tiers = {"max": "mid", "edit": "mid", "algorithm": "efficient"}
    rules = rules_of(GatewaySettings(tiers=tiers))
    assert (rules.most, rules.pins, rules.floors["algorithm"]) == (
        "mid",
        {"edit": "mid"},
        "efficient",
    )


@given(
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(ALL), unique=True).map(lambda t: tuple(sorted(t, key=TIERS.index))),
    st.none() | st.sampled_from(ALL),
    st.none() | st.sampled_from(ALL),
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_tier_is_one_that_is_offered_and_not_too_dear(
    kind: str,
    offered: tuple[Tier, ...],
    asked: Tier | None,
    last: Tier | None,
    failures: int,
    first: bool,
    context: int,
) -> None:
    seen = view(
        kind,
        offered=offered,
        asked=asked,
        last=last,
        failures=failures,
        first=first,
        context=context,
    )
    chosen, reason = choose(seen, Rules())
    assert reason
    assert chosen is None or chosen in offered
    if chosen and asked:
        assert TIERS.index(chosen) <= TIERS.index(asked)
