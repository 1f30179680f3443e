"""Pins, pools, tries and budgets: what is allowed, and in words why the rest is not."""

from __future__ import annotations

import pytest

from acr.errors import BudgetError, NothingAllowedError, UsageError
from acr.nouns import Room
from acr.orchestrator.rules import Allowed, Pins, affordable, allowed, with_pinned_model
from acr.settings import PoolSettings
from tests.orchestrator.fakes import profile

SOL = profile("codex-sol", "gpt-6-sol", provider="openai")
HIGH = profile("codex-sol-high", "gpt-6-sol", provider="openai", effort="high")
OPUS = profile("claude-opus", "claude-opus-5-5", "claude", provider="anthropic")
SONNET = profile("claude-sonnet", "claude-sonnet-5-5", "claude", provider="anthropic")
GLM = profile("open-glm", "zai/glm-5", "opencode", provider="zai")
ALL = (SOL, HIGH, OPUS, SONNET, GLM)


def left(pool: PoolSettings | None = None, pins: Pins | None = None) -> tuple[str, ...]:
    return allowed(ALL, pool or PoolSettings(), pins or Pins()).names


def test_an_empty_pool_allows_everything() -> None:
    rules = allowed(ALL, PoolSettings(), Pins())
    assert rules.names == tuple(p.name for p in ALL)
    assert rules.rules == ()
    assert not rules.excluded


@pytest.mark.parametrize(
    ("pool", "names"),
    [
        (PoolSettings(profiles=("codex-*",)), ("codex-sol", "codex-sol-high")),
        (PoolSettings(agents=("claude",)), ("claude-opus", "claude-sonnet")),
        (PoolSettings(providers=("z*", "anthropic")), ("claude-opus", "claude-sonnet", "open-glm")),
        (PoolSettings(deny_profiles=("*-high", "claude-*")), ("codex-sol", "open-glm")),
        (PoolSettings(deny_agents=("codex", "claude")), ("open-glm",)),
        (PoolSettings(deny_providers=("openai", "anthropic")), ("open-glm",)),
        (PoolSettings(agents=("codex",), deny_profiles=("codex-sol",)), ("codex-sol-high",)),
    ],
)
def test_the_pool_allows_and_denies_by_pattern(pool: PoolSettings, names: tuple[str, ...]) -> None:
    assert left(pool) == names


def test_the_reason_names_the_rule() -> None:
    pool = PoolSettings(agents=("codex",), deny_profiles=("*-high",))
    rules = allowed(ALL, pool, Pins())
    assert rules.excluded["codex-sol-high"] == "pool denies profile *-high"
    assert rules.excluded["open-glm"] == "agent opencode is not in the pool"
    assert rules.rules == ("pool: 4 of 5 profiles not allowed",)


def test_a_pinned_profile_wins_over_the_pool() -> None:
    rules = allowed(ALL, PoolSettings(deny_agents=("claude",)), Pins(profile="claude-opus"))
    assert rules.names == ("claude-opus",)
    assert "the command line wins" in " ".join(rules.rules)
    assert rules.excluded["codex-sol"] == "left out by --profile claude-opus"


def test_a_pinned_agent_wins_over_the_pools_agents_but_keeps_its_denied_profiles_out() -> None:
    pool = PoolSettings(agents=("codex",), deny_profiles=("claude-opus",))
    assert left(pool, Pins(agent="claude")) == ("claude-sonnet",)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("gpt-6-sol", ("codex-sol", "codex-sol-high")),
        ("GPT-6-Sol", ("codex-sol", "codex-sol-high")),
        ("opus", ("claude-opus",)),
        ("anthropic/claude-opus-5.5", ("claude-opus",)),
        ("glm-5", ("open-glm",)),
    ],
)
def test_a_model_is_found_by_name_or_by_a_part_that_only_one_has(
    model: str, names: tuple[str, ...]
) -> None:
    assert left(pins=Pins(model=model)) == names
    assert with_pinned_model(ALL, Pins(model=model)) == ALL


def test_a_part_that_several_models_have_is_refused() -> None:
    with pytest.raises(UsageError, match="fits claude-opus-5-5, claude-sonnet-5-5"):
        left(pins=Pins(model="claude"))


def test_model_and_agent_narrow_together() -> None:
    both = (*ALL, profile("open-opus", "anthropic/claude-opus-5-5", "opencode"))
    rules = allowed(both, PoolSettings(), Pins(model="opus", agent="opencode"))
    assert rules.names == ("open-opus",)
    assert rules.rules == ("--agent opencode", "--model opus")


@pytest.mark.parametrize(
    ("pins", "words"),
    [
        (Pins(profile="codex-sole"), "did you mean codex-sol"),
        (Pins(profile="xyzzy"), "known: claude-opus"),
        (Pins(agent="cladue"), "did you mean claude"),
        (Pins(model="gpt-6-sole"), "did you mean gpt-6-sol"),
        (Pins(profile="codex-sol", model="opus"), "has model gpt-6-sol, not opus"),
        (Pins(profile="codex-sol", agent="claude"), "has agent codex, not claude"),
    ],
)
def test_pins_that_fit_nothing_are_refused_with_a_suggestion(pins: Pins, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        allowed(ALL, PoolSettings(), pins)
    with pytest.raises(UsageError, match=words):
        with_pinned_model(ALL, pins)


def test_a_model_nobody_has_becomes_a_profile_of_the_pinned_agent() -> None:
    pins = Pins(model="gpt-7", agent="codex")
    made = with_pinned_model(ALL, pins)[-1]
    assert (made.name, made.agent, made.model) == ("codex/gpt-7", "codex", "gpt-7")
    assert (made.provider, made.tier) == ("openai", "mid")
    assert allowed((*ALL, made), PoolSettings(), pins).names == ("codex/gpt-7",)


def test_a_model_nobody_has_needs_no_agent_when_there_is_only_one() -> None:
    assert with_pinned_model((SOL, HIGH), Pins(model="gpt-7"))[-1].name == "codex/gpt-7"


def test_an_ad_hoc_profile_takes_the_tier_of_its_family() -> None:
    made = with_pinned_model((OPUS,), Pins(model="claude-sonnet-9"))[-1]
    assert made.tier == "mid"
    assert with_pinned_model((SOL,), Pins(model="claude-opus-9"))[-1].tier == "frontier"


def test_an_ad_hoc_profile_is_found_again_by_its_name() -> None:
    pins = Pins(profile="opencode/zai/glm-6")
    made = with_pinned_model(ALL, pins)[-1]
    assert (made.agent, made.model) == ("opencode", "zai/glm-6")
    assert allowed((*ALL, made), PoolSettings(), pins).names == (made.name,)


@pytest.mark.parametrize(
    ("pool", "pins", "tried", "words"),
    [
        (PoolSettings(agents=("nobody",)), Pins(), (), r"\[pool\] .* allows none of the 5"),
        (PoolSettings(), Pins(), tuple(p.name for p in ALL), "every allowed profile was tried"),
        (PoolSettings(), Pins(profile="open-glm"), ("open-glm",), "that --profile open-glm leaves"),
    ],
)
def test_the_rule_that_leaves_nothing_is_named(
    pool: PoolSettings, pins: Pins, tried: tuple[str, ...], words: str
) -> None:
    with pytest.raises(NothingAllowedError, match=words):
        allowed(ALL, pool, pins, tried)


def test_no_profile_at_all_says_what_to_do() -> None:
    with pytest.raises(NothingAllowedError, match="acr init"):
        allowed((), PoolSettings(), Pins())


def test_what_was_tried_is_out() -> None:
    rules = allowed(ALL, PoolSettings(), Pins(), ("codex-sol", "open-glm"))
    assert rules.names == ("codex-sol-high", "claude-opus", "claude-sonnet")
    assert rules.excluded["open-glm"] == "already tried"
    assert rules.rules == ("tried without success: codex-sol, open-glm",)


COSTS = {"a": 0.10, "b": 2.0, "c": None}
THREE = Allowed(("a", "b", "c"), {}, ())


def run_of(limit: float, spent: float = 0.0) -> Room:
    return Room("budget.per_run", "run", limit, spent)


def test_without_a_budget_every_cost_is_allowed() -> None:
    assert affordable(THREE, COSTS, ()) is THREE


def test_what_costs_more_than_is_left_is_out_and_an_unknown_cost_is_said() -> None:
    rules = affordable(THREE, COSTS, [run_of(1.0, 0.5)])
    assert rules.names == ("a", "c")
    assert rules.dear == ("b",)
    assert rules.excluded == {"b": "$2.00 expected, $0.50 left"}
    assert rules.rules == (
        "budget: $0.50 left, 1 of 3 profiles too dear",
        "cost unknown, so not held against the budget: c",
    )


def test_the_tightest_cap_holds_and_that_of_a_profile_for_it_alone() -> None:
    day = Room("budget.per_day", "day", 5.0, 2.0)
    own = Room("budget.profiles.a.per_month", "month", 1.0, 0.95, "a")
    rules = affordable(THREE, COSTS, [run_of(9.0), day, own])
    assert rules.names == ("b", "c")
    assert rules.rules[:2] == (
        "budget: $0.05 left of $1.00 a month for a, 1 of 1 profiles too dear",
        "budget: $3.00 left of $5.00 a day, 0 of 2 profiles too dear",
    )


@pytest.mark.parametrize(
    ("names", "room", "words"),
    [
        (("a", "b"), run_of(0.05), "pays for no allowed profile .cheapest: .0.10 expected"),
        (("a", "c"), run_of(1.0, 1.0), "budget of .1.00 a run is spent .*raise --budget"),
        (("a", "b"), run_of(0.0), "pays for no allowed profile"),
        (("c",), run_of(0.0), "its cost is unknown"),
        (("a",), Room("budget.per_day", "day", 2, 3), "a day is spent .*raise budget.per_day"),
    ],
)
def test_a_budget_that_pays_for_nothing_is_named(
    names: tuple[str, ...], room: Room, words: str
) -> None:
    with pytest.raises(BudgetError, match=words):
        affordable(Allowed(names, {}, ()), COSTS, [room])
    with pytest.raises(BudgetError, match=words):
        affordable(Allowed(names, {}, ()), COSTS, [room], "ask")


def test_at_the_cap_the_cheapest_may_go_on_where_the_settings_say_so() -> None:
    rules = affordable(THREE, COSTS, [run_of(1.0, 1.5)], "cheapest")
    assert (rules.names, rules.exceeded) == (("a",), True)
    assert rules.excluded == {"b": "$2.00 expected, $0.00 left", "c": "cost unknown, $0.00 left"}
    assert "is spent ($1.50, calls under way included); budget.at_cap leaves" in rules.rules[0]
    with pytest.raises(BudgetError):
        affordable(Allowed(("c",), {}, ()), COSTS, [run_of(1.0, 1.5)], "cheapest")


def test_what_is_on_a_plan_or_free_goes_on_when_the_money_is_spent() -> None:
    assert affordable(THREE, COSTS, [run_of(1.0, 1.0)], plans=["b"]).names == ("b",)
    assert affordable(THREE, {**COSTS, "a": 0.0}, [run_of(1.0, 1.0)]).names == ("a",)
