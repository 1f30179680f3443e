"""A decision weighs evidence, pays for cost, explores openly and can be replayed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.errors import NothingAllowedError
from acr.nouns import Candidate, Decision, Price, Profile, Room, Task, Tried, from_json, to_json
from acr.orchestrator.policy import decide, replay
from acr.orchestrator.rules import Pins
from acr.settings import BudgetSettings, OrchestratorSettings, Settings
from tests.orchestrator.fakes import DAY, FakeMemory, Row, profile, task

GREEDY = Settings(orchestrator=OrchestratorSettings(exploration=0.0))
ONE_USD = Price(input=1.0, output=1.0)
A, B, C = profile("a"), profile("b"), profile("c")


def choose(
    *rows: Row,
    about: Task | None = None,
    settings: Settings = GREEDY,
    prices: dict[str, Price] | None = None,
    pins: Pins | None = None,
    tried: tuple[str, ...] = (),
    rooms: tuple[Room, ...] = (),
    seed: int | None = 7,
    profiles: tuple[Profile, ...] = (A, B, C),
) -> Decision:
    return decide(
        about or task(),
        profiles,
        FakeMemory(list(rows)),
        settings,
        prices=prices or {},
        pins=pins or Pins(),
        tried=[Tried(name, 0.0) for name in tried],
        rooms=rooms,
        seed=seed,
    )


def seen(decision: Decision, name: str) -> Candidate:
    return next(c for c in decision.candidates if c.profile == name)


def test_without_outcomes_the_benchmark_decides() -> None:
    opus, cheap = profile("opus", "claude-opus-4-6"), profile("cheap", "MiniMax-M2.7")
    decision = choose(profiles=(cheap, opus))
    assert decision.chosen == "opus"
    assert decision.reason == "no outcomes yet; benchmark of claude-opus-4-6"


def test_own_outcomes_outweigh_the_benchmark() -> None:
    opus, cheap = profile("opus", "claude-opus-4-6"), profile("cheap", "MiniMax-M2.7")
    lost = [Row("opus", 0.0) for _ in range(10)]
    won = [Row("cheap", 1.0) for _ in range(10)]
    decision = choose(*lost, *won, profiles=(opus, cheap))
    assert decision.chosen == "cheap"
    assert decision.reason == "10 outcomes in bug_fixing, 10 wins"


def test_twenty_failures_are_not_routed_to_again() -> None:
    assert choose(*[Row("a", 0.0) for _ in range(20)]).chosen != "a"


def test_unverified_attempts_neither_help_nor_hurt() -> None:
    expected = seen(choose(), "a").expected
    unverified = [Row("a", 0.0, weight=0.0) for _ in range(20)]
    assert seen(choose(*unverified), "a").expected == pytest.approx(expected)


def test_an_outcome_in_this_repository_counts_more_than_one_elsewhere() -> None:
    here = seen(choose(*[Row("a", 1.0)] * 5), "a").expected
    elsewhere = seen(choose(*[Row("a", 1.0, repository="other")] * 5), "a").expected
    other_kind = seen(choose(*[Row("a", 1.0, dimension="algorithm")] * 5), "a").expected
    nothing = seen(choose(), "a").expected
    assert here > elsewhere > nothing
    assert here > other_kind > nothing


def test_an_old_outcome_counts_less_than_a_recent_one() -> None:
    old = seen(choose(*[Row("a", 1.0, age=90 * DAY)] * 5), "a").expected
    recent = seen(choose(*[Row("a", 1.0)] * 5), "a").expected
    assert recent > old > seen(choose(), "a").expected


def test_similar_tasks_correct_the_average() -> None:
    average = [Row("a", 1.0) for _ in range(30)] + [Row("b", 0.8) for _ in range(30)]
    similar = [
        Row(name, score, task=f"t{i}", vector=(1.0, 0.0))
        for i in range(1, 10)
        for name, score in (("a", 0.0), ("b", 1.0))
    ]
    about = task(embedding=(1.0, 0.0), embedder="e")
    assert choose(*average).chosen == "a"
    decision = choose(*average, *similar, about=about)
    assert decision.chosen == "b"
    assert decision.reason == "9 similar tasks, 9 wins"
    assert len(decision.neighbours) == 18


def test_another_effort_of_the_same_model_shares_some_evidence() -> None:
    low, high = profile("low", "gpt-x", effort="low"), profile("high", "gpt-x", effort="high")
    other = profile("other", "gpt-y")
    decision = choose(*[Row("low", 1.0)] * 8, profiles=(low, high, other))
    expected = {c.profile: c.expected for c in decision.candidates}
    assert expected["low"] > expected["high"] > expected["other"]


def test_cost_decides_between_equals() -> None:
    dear = Price(input=50.0, output=100.0)
    assert choose(prices={"a": dear, "b": ONE_USD, "c": dear}).chosen == "b"


def test_an_unknown_cost_is_not_free() -> None:
    decision = choose(prices={"a": ONE_USD})
    assert seen(decision, "b").cost is None
    assert seen(decision, "b").reward == pytest.approx(seen(decision, "a").reward)


def test_own_cost_replaces_the_assumed_one() -> None:
    rows = [Row("a", 1.0, cost=3.0) for _ in range(50)]
    cost = seen(choose(*rows, prices={"a": ONE_USD}), "a").cost
    assert cost == pytest.approx(3.0, rel=0.05)
    assert seen(choose(*rows), "a").cost == pytest.approx(3.0)


def test_the_reward_is_score_and_cost_weighed_by_epsilon() -> None:
    decision = choose(prices={"a": ONE_USD})
    a = seen(decision, "a")
    assert a.cost is not None
    assert a.reward == pytest.approx(a.expected - 0.1 * a.cost)
    assert decision.epsilon == (1.0, -0.1)


def test_a_profile_that_failed_is_out_and_the_rest_is_expected_to_do_worse() -> None:
    first, second = choose(), choose(tried=("a",))
    third = choose(tried=("a", "b"))
    assert (first.chosen, second.chosen, third.chosen) == ("a", "b", "c")
    assert third.tried == ("a", "b")
    assert seen(second, "a").excluded == "already tried"
    expected = [seen(d, "c").expected for d in (first, second, third)]
    assert expected[0] > expected[1] > expected[2]
    assert second.reason.startswith("after a failed; ")


def test_it_stops_when_no_further_profile_is_worth_its_cost() -> None:
    dear = Price(input=500.0, output=500.0)
    prices = {"a": ONE_USD, "b": dear, "c": dear}
    with pytest.raises(NothingAllowedError, match="worth its cost"):
        choose(prices=prices, tried=("a",))


HALF_A_DOLLAR = (Room("budget.per_run", "run", 1.0, 0.5),)


def test_a_profile_dearer_than_the_budget_left_is_excluded() -> None:
    prices = {"a": Price(input=50.0, output=50.0), "b": ONE_USD}
    decision = choose(prices=prices, rooms=HALF_A_DOLLAR)
    assert seen(decision, "a").excluded.endswith("$0.50 left")
    assert seen(decision, "a").propensity == 0
    assert any("cost unknown" in rule and "c" in rule for rule in decision.rules)


def test_a_decision_says_when_the_budget_made_it() -> None:
    dear = {"a": Price(input=5.0, output=25.0), "b": ONE_USD, "c": ONE_USD}
    won = [Row("a", 1.0) for _ in range(40)]
    tight = (Room("budget.per_day", "day", 5.0, 4.5),)
    assert choose(*won, prices=dear).budget == ""
    decided = choose(*won, prices=dear, rooms=tight)
    assert decided.budget == "decided"
    assert "the budget decided: without it a would look best" in decided.rules
    cheapest = replace(GREEDY, budget=BudgetSettings(at_cap="cheapest"))
    spent = (Room("budget.per_day", "day", 5.0, 5.5),)
    exceeded = choose(*won, prices=dear, rooms=spent, settings=cheapest)
    assert (exceeded.budget, exceeded.chosen) == ("exceeded", "b")


def test_a_plan_is_marked_and_not_held_against_the_budget() -> None:
    prices = {"a": Price(input=50.0, output=50.0)}
    decision = choose(prices=prices, rooms=HALF_A_DOLLAR, profiles=(replace(A, plan=True),))
    assert decision.chosen == "a"
    assert seen(decision, "a").plan
    assert seen(decision, "a").cost


def test_an_unsure_dimension_mixes_in_the_runner_up() -> None:
    rows = [Row("a", 1.0, dimension="algorithm", repository="other") for _ in range(9)]
    sure = seen(choose(*rows), "a").expected
    unsure = seen(choose(*rows, about=task(confidence=0.1)), "a").expected
    assert unsure > sure
    decision = choose(about=task(confidence=0.1))
    assert any("60% bug_fixing and 40% algorithm" in rule for rule in decision.rules)


def test_a_profile_is_explored_as_often_as_it_may_be_the_best() -> None:
    settings = Settings(orchestrator=OrchestratorSettings(exploration=0.5))
    rows = [Row("a", 0.7), Row("b", 0.6), Row("c", 0.0)] * 10
    decisions = [choose(*rows, settings=settings, seed=seed) for seed in range(1000)]
    chance = {c.profile: c.propensity for c in decisions[0].candidates}
    assert chance["a"] > chance["b"] > chance["c"]
    explored = [d for d in decisions if d.explored]
    assert len(explored) == pytest.approx(1000 * (1 - chance["a"]), abs=50)
    assert all(d.chosen != "a" for d in explored)
    assert "an exploration instead of a" in explored[0].reason


def test_without_exploration_the_best_is_always_taken() -> None:
    rows = [Row("a", 0.7), Row("b", 0.69)]
    assert {choose(*rows, seed=seed).chosen for seed in range(100)} == {"a"}


def test_exploration_fades_with_evidence() -> None:
    settings = Settings(orchestrator=OrchestratorSettings(exploration=0.5))
    chances = [
        choose(*[Row(n, s) for n, s in (("a", 0.8), ("b", 0.6), ("c", 0.6))] * times,
               settings=settings).candidates[0].propensity
        for times in (1, 10, 300)
    ]  # fmt: skip
    assert chances == sorted(chances)
    assert chances[-1] > 0.999


def test_a_new_profile_gets_a_small_chance_whatever_is_expected_of_it() -> None:
    settings = Settings(orchestrator=OrchestratorSettings(exploration=0.35))
    rows = [Row("a", 1.0), Row("b", 1.0)] * 100
    assert seen(choose(*rows, settings=settings), "c").propensity > 0.01
    known = [Row("c", 0.0)] * 20
    assert seen(choose(*rows, *known, settings=settings), "c").propensity == 0


def test_a_try_that_says_nothing_about_the_task_lowers_nothing() -> None:
    silent = decide(task(), (A, B, C), FakeMemory(), GREEDY, prices={}, tried=[Tried("a")], seed=7)
    assert seen(silent, "b").expected == pytest.approx(seen(choose(), "b").expected)
    assert silent.handicap == pytest.approx(0, abs=1e-9)


def test_a_failure_after_others_is_held_less_against_a_profile() -> None:
    """What was expected less because others had failed is added to the score in averages."""
    after = choose(tried=("a",))
    chosen = seen(after, after.chosen)
    assert after.handicap == pytest.approx(
        seen(choose(), chosen.profile).expected - chosen.expected
    )
    assert after.handicap > 0
    assert choose().handicap == 0


def test_a_half_solved_task_makes_further_tries_worth_less() -> None:
    def reward(score: float) -> float:
        tried = [Tried("a", score)]
        made = decide(task(), (A, B, C), FakeMemory(), GREEDY, prices={}, tried=tried, seed=7)
        return made.candidates[0].reward

    with pytest.raises(NothingAllowedError, match="worth its cost"):
        reward(1.0)
    assert reward(0.0) > 0


def test_a_model_that_has_become_bad_is_noticed() -> None:
    models = {"a": A.model, "b": B.model}
    long_ago = [Row(n, 1.0, model=m) for _ in range(60) for n, m in models.items()]
    lately = [Row("a", 0.0, model=A.model) for _ in range(25)]
    decision = choose(*long_ago, *lately)
    assert decision.chosen == "b"
    assert any(rule.startswith("a has changed: -") for rule in decision.rules)


@pytest.mark.parametrize("seed", range(100))
def test_a_stored_decision_replays_to_the_same_profile(seed: int) -> None:
    settings = Settings(orchestrator=OrchestratorSettings(exploration=0.5))
    rows = [Row("abc"[(seed + i) % 3], (i % 3) / 2) for i in range(seed % 17)]
    decision = choose(*rows, settings=settings, seed=None if seed % 2 else seed)
    stored = from_json(Decision, to_json(decision))
    assert stored == decision
    assert replay(stored) == decision.chosen


def test_the_same_memory_and_seed_give_the_same_decision() -> None:
    settings = Settings(orchestrator=OrchestratorSettings(exploration=0.5))
    for seed in range(20):
        one, two = (choose(Row("b", 1.0), settings=settings, seed=seed) for _ in range(2))
        assert replace(one, id="", created=0) == replace(two, id="", created=0)


OUTCOMES = st.lists(
    st.builds(
        Row,
        profile=st.sampled_from("abcd"),
        score=st.floats(0, 1),
        dimension=st.sampled_from(["bug_fixing", "algorithm", "mine"]),
        repository=st.sampled_from(["here", "there"]),
        weight=st.floats(0, 1),
        cost=st.none() | st.floats(0, 100),
    ),
    max_size=30,
)


@given(OUTCOMES, st.floats(0, 1), st.floats(0, 1), st.integers())
def test_scores_stay_in_bounds_and_propensities_sum_to_one(
    rows: list[Row], confidence: float, exploration: float, seed: int
) -> None:
    settings = Settings(orchestrator=OrchestratorSettings(exploration=exploration))
    decision = choose(*rows, about=task(confidence=confidence), settings=settings, seed=seed)
    assert math.isclose(math.fsum(c.propensity for c in decision.candidates), 1, abs_tol=1e-12)
    assert all(0 <= c.expected <= 1 and 0 <= c.propensity <= 1 for c in decision.candidates)
    assert seen(decision, decision.chosen).propensity > 0
    assert replay(decision) == decision.chosen


@given(OUTCOMES)
def test_one_more_win_never_lowers_the_expected_score(rows: list[Row]) -> None:
    before = seen(choose(*rows), "a").expected
    after = seen(choose(*rows, Row("a", 1.0)), "a").expected
    assert after >= before - 1e-9


def test_what_is_muted_is_not_heard() -> None:
    rows = [Row("a", 1.0) for _ in range(10)]
    settings = replace(GREEDY, orchestrator=OrchestratorSettings(exploration=0, mute=("own",)))
    decision = choose(*rows, settings=settings)
    assert "own" not in {vote.voter for vote in decision.votes}
    assert seen(decision, "a").expected < seen(choose(*rows), "a").expected
