"""Pins, pools, tries and budgets: what is allowed, and in words why the rest is not."""

from __future__ import annotations

import pytest

from acr.errors import NothingAllowedError, UsageError
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


def test_without_a_budget_every_cost_is_allowed() -> None:
    assert affordable(THREE, COSTS, None, 100.0) is THREE


def test_what_costs_more_than_is_left_is_out_and_an_unknown_cost_is_said() -> None:
    rules = affordable(THREE, COSTS, 1.0, 0.5)
    assert rules.names == ("a", "c")
    assert rules.excluded == {"b": "$2.00 expected, $0.50 left"}
    assert rules.rules == (
        "budget: $0.50 left, 1 of 3 profiles too dear",
        "cost unknown, so not held against the budget: c",
    )


@pytest.mark.parametrize(
    ("names", "budget", "spent", "words"),
    [
        (("a", "b"), 0.05, 0.0, "pays for no allowed profile .cheapest: .0.10"),
        (("a", "c"), 1.0, 1.0, "budget of .1.00 is spent"),
        (("a", "b"), 0.0, 0.0, "pays for no allowed profile"),
    ],
)
def test_a_budget_that_pays_for_nothing_is_named(
    names: tuple[str, ...], budget: float, spent: float, words: str
) -> None:
    with pytest.raises(NothingAllowedError, match=words):
        affordable(Allowed(names, {}, ()), COSTS, budget, spent)
