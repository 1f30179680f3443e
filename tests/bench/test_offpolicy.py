"""Off-policy estimates against cases worked out by hand, simulations, and logs that cannot tell."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from acr.bench import offpolicy
from acr.bench.offpolicy import (
    Estimate,
    Logged,
    Policy,
    always,
    as_logged,
    estimate,
    greedy,
    logged,
    uniform,
)
from acr.memory.store import Memory
from acr.nouns import Candidate, Outcome, Profile, VerdictStatus
from acr.orchestrator.policy import decide
from acr.settings import Settings
from tests.memory import makers

PROFILES = ("cheap", "mid", "best")


def one(
    chosen: str = "a",
    score: float | None = 1.0,
    cost: float | None = 1.0,
    chances: Mapping[str, float] | None = None,
    dimension: str = "algorithm",
    expected: Mapping[str, tuple[float, float | None]] | None = None,
) -> Logged:
    chances = {"a": 0.5, "b": 0.5} if chances is None else chances
    expected = expected or dict.fromkeys(chances or ("a", "b"), (0.5, 0.1))
    return Logged(chances, chosen, score, cost, expected, dimension)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers even from a handful of tasks."""
    monkeypatch.setattr(offpolicy, "LEAST_ESS", 0.0)


# ---- worked out by hand


HAND = (
    one("a", 1.0, 1.0, {"a": 0.5, "b": 0.5}),
    one("b", 0.0, 2.0, {"a": 0.5, "b": 0.5}),
    one("a", 0.0, 3.0, {"a": 0.25, "b": 0.75}),
    one("b", 1.0, 4.0, {"a": 0.25, "b": 0.75}),
)


@pytest.mark.usefixtures("few")
def test_inverse_propensity_scores_by_hand() -> None:
    """Weights of always a: 2, 0, 4, 0."""
    found = estimate(HAND, always("a"))
    assert found.score["ips"].mean == pytest.approx(2 * 1 / 4)
    assert found.score["snips"].mean == pytest.approx(2 * 1 / 6)
    assert found.cost["ips"].mean == pytest.approx((2 * 1 + 4 * 3) / 4)
    assert found.cost["snips"].mean == pytest.approx((2 * 1 + 4 * 3) / 6)
    assert found.reward["snips"].mean == pytest.approx((2 * 0.9 + 4 * -0.3) / 6)


@pytest.mark.usefixtures("few")
def test_effective_sample_size_by_hand() -> None:
    """The weights that were met, or those to be expected: what is less."""
    met, foreseen = 6**2 / (2**2 + 4**2), 4**2 / (2 + 2 + 4 + 4)
    assert estimate(HAND, always("a")).ess == pytest.approx(min(met, foreseen)) == foreseen
    log = [HAND[0]] * 3 + [HAND[2]]
    met, foreseen = 10**2 / (3 * 2**2 + 4**2), 4**2 / (3 * 2 + 4)
    assert estimate(log, always("a")).ess == pytest.approx(foreseen)
    log = [HAND[0]] + [HAND[1]] * 3
    met, foreseen = 2**2 / 2**2, 4**2 / (4 * 2)
    assert estimate(log, always("a")).ess == pytest.approx(met)


@pytest.mark.usefixtures("few")
def test_doubly_robust_by_hand() -> None:
    """k = 5 outcomes; every task is left out of its own direct model.

    Task 1 (a, 1): mean of the rest 1/3; a: (0 + 5/3) / (1 + 5) = 5/18; in the dimension
    (0 + 25/18) / 6 = 25/108. The others alike; of b in tasks 2 and 4 nothing is needed.
    """
    third = 1 / 3
    q1 = (0 + 5 * (0 + 5 * third) / 6) / 6
    q2 = (1 + 5 * (1 + 5 * 2 * third) / 7) / 7
    q3 = (1 + 5 * (1 + 5 * 2 * third) / 6) / 6
    q4 = (1 + 5 * (1 + 5 * third) / 7) / 7
    found = estimate(HAND, always("a"))
    terms = (q1 + 2 * (1 - q1), q2, q3 + 4 * (0 - q3), q4)
    assert found.score["dr"].mean == pytest.approx(math.fsum(terms) / 4)


@pytest.mark.usefixtures("few")
def test_random_weighs_each_choice_by_its_own_chance() -> None:
    log = [one("a", 1.0, chances={"a": 0.8, "b": 0.2}), one("b", 0.0, chances={"a": 0.8, "b": 0.2})]
    found = estimate(log * 2, uniform())
    assert found.score["ips"].mean == pytest.approx(2 * 0.5 / 0.8 / 4)
    assert found.score["snips"].mean == pytest.approx((0.5 / 0.8) / (0.5 / 0.8 + 0.5 / 0.2))


def test_the_log_s_own_policy_is_the_plain_mean() -> None:
    log = [one("a", 1.0, 2.0)] * 30 + [one("b", 0.0, 1.0)] * 20
    found = estimate(log, as_logged())
    for name in ("ips", "snips"):
        assert found.score[name].mean == pytest.approx(0.6)
        assert found.cost[name].mean == pytest.approx(1.6)
        assert found.reward[name].mean == pytest.approx(0.6 - 0.16)
    assert found.score["dr"].mean == pytest.approx(0.5, abs=0.01)  # a was drawn more by luck
    assert found.n == 50
    assert found.ess == pytest.approx(50)
    assert found.overlap == pytest.approx(1)


def test_a_hundred_wins_are_no_certainty() -> None:
    log = [one("a" if n % 2 else "b", 1.0) for n in range(100)]
    for value in estimate(log, always("a")).score.values():
        assert value.low < 0.97


@pytest.mark.parametrize("freedom", [(19, 2.093), (50, 2.009), (1000, 1.962)])
def test_student_s_quantile(freedom: tuple[float, float]) -> None:
    assert offpolicy._quantile(freedom[0]) == pytest.approx(freedom[1], abs=1e-3)


# ---- simulations whose truth is known


RATES = {"algorithm": (0.2, 0.5, 0.8), "bug_fixing": (0.6, 0.5, 0.7)}
LOGGING = {"algorithm": (0.1, 0.2, 0.7), "bug_fixing": (0.6, 0.3, 0.1)}
COSTS = (0.02, 0.1, 0.5)
RUNS = 300


def _simulated(seed: int, n: int = 400) -> Iterator[Logged]:
    rng = random.Random(seed)
    for _ in range(n):
        dimension = rng.choice(sorted(RATES))
        chances = LOGGING[dimension]
        arm = rng.choices(range(3), chances)[0]
        expected = dict(zip(PROFILES, zip(RATES[dimension], COSTS, strict=True), strict=True))
        yield Logged(
            dict(zip(PROFILES, chances, strict=True)),
            PROFILES[arm],
            float(rng.random() < RATES[dimension][arm]),
            COSTS[arm] * rng.uniform(0.5, 1.5),
            expected,
            dimension,
        )


def _truth(arms: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """(score, cost) of choosing by these chances per dimension."""
    each = [
        (
            math.fsum(p * s for p, s in zip(arms[d], RATES[d], strict=True)),
            math.fsum(p * c for p, c in zip(arms[d], COSTS, strict=True)),
        )
        for d in RATES
    ]
    return math.fsum(s for s, _ in each) / 2, math.fsum(c for _, c in each) / 2


@pytest.mark.parametrize(
    ("policy", "arms"),
    [
        (always("cheap"), dict.fromkeys(RATES, (1, 0, 0))),
        (always("mid"), dict.fromkeys(RATES, (0, 1, 0))),
        (always("best"), dict.fromkeys(RATES, (0, 0, 1))),
        (uniform(), dict.fromkeys(RATES, (1 / 3, 1 / 3, 1 / 3))),
        (greedy(-0.5), {"algorithm": (0, 0, 1), "bug_fixing": (1, 0, 0)}),
        (as_logged(), LOGGING),
    ],
    ids=lambda value: value.name if isinstance(value, Policy) else "",
)
def test_intervals_cover_the_truth(policy: Policy, arms: Mapping[str, Sequence[float]]) -> None:
    score, cost = _truth(arms)
    truth = {"score": score, "cost": cost, "reward": score - 0.1 * cost}
    runs = [estimate(list(_simulated(seed)), policy) for seed in range(RUNS)]
    assert not any(run.why_not for run in runs)
    for what, true in truth.items():
        for name in ("ips", "snips", "dr"):
            values = [getattr(run, what)[name] for run in runs]
            covered = sum(v.low <= true <= v.high for v in values)
            assert covered >= 0.9 * RUNS, (what, name)
            assert math.fsum(v.mean for v in values) / RUNS == pytest.approx(true, abs=0.02)


def test_doubly_robust_and_self_normalised_are_sharper_than_plain() -> None:
    values = estimate(list(_simulated(1, 2000)), always("best")).score
    widths = {name: value.high - value.low for name, value in values.items()}
    assert widths["dr"] < widths["ips"]
    assert widths["snips"] < widths["ips"]


def test_the_same_log_gives_the_same_answer() -> None:
    log = list(_simulated(7))
    assert estimate(log, uniform()) == estimate(log, uniform())


# ---- policies


def test_greedy_follows_its_weights() -> None:
    task = one(expected={"a": (0.9, 2.0), "b": (0.7, 0.1), "c": (0.71, None)})
    assert greedy(-0.01).chances(task) == {"a": 1.0}
    assert greedy(-1.0).chances(task) == {"b": 1.0}
    assert "no exploration" in greedy(-1.0).name
    assert estimate(list(_simulated(0)), greedy(-0.5)).notes == (greedy(-0.5).note,)
    assert "not in the log" in greedy(-0.5).note


def test_random_and_always_keep_to_what_was_allowed() -> None:
    task = one(expected={"a": (0.9, 2.0), "b": (0.7, 0.1)})
    assert uniform().chances(task) == {"a": 0.5, "b": 0.5}
    assert always("c").chances(task) == {}


# ---- what the log cannot tell


def _why_not(log: Sequence[Logged], policy: Policy) -> str:
    found = estimate(log, policy)
    assert not found.score
    assert not found.cost
    assert not found.reward
    assert "\n" not in found.why_not
    return found.why_not


def test_an_empty_log() -> None:
    assert _why_not([], uniform()) == "the log is empty: no first try at a task is in it"


def test_a_log_without_verdicts() -> None:
    words = "none of the 9 tasks was verified, so no score is known"
    assert _why_not([one(score=None)] * 9, uniform()) == words


def test_a_log_without_propensities() -> None:
    words = "no propensities are stored with the 9 verified tasks"
    assert _why_not([one(chances={})] * 9, uniform()) == words
    assert _why_not([one(chances={"b": 1.0})] * 9, uniform()) == words


def test_a_profile_that_was_never_allowed() -> None:
    log = [one("codex-mini", chances={"codex-mini": 1.0})] * 9
    words = "was not possible on any of the 9 tasks; did you mean codex-mini?"
    assert _why_not(log, always("codex-minni")) == f'"always codex-minni" {words}'


def test_a_deterministic_log() -> None:
    log = [one("a", chances={"a": 1.0}, expected={"a": (0.5, 1), "b": (0.5, 1)})] * 99
    words = 'the log was deterministic: "always b" had no chance in any of the 99 tasks'
    assert _why_not(log, always("b")) == words
    assert not estimate(log, always("a")).why_not


def test_a_choice_that_was_possible_and_never_made() -> None:
    words = 'what "always b" would choose was never tried in the 9 tasks'
    assert _why_not([one("a")] * 9, always("b")) == words


def test_too_little_overlap() -> None:
    expected = {"a": (0.5, 1.0), "b": (0.5, 1.0)}
    sure = [one("a", chances={"a": 1.0}, expected=expected)] * 50
    open_ = [one(chosen, expected=expected) for chosen in "ab" * 25]
    words = 'the log had a chance to make only 50% of the choices of "always b"; 80% are needed'
    assert _why_not(sure + open_, always("b")) == words


def test_a_small_part_without_overlap_is_said() -> None:
    expected = {"a": (0.5, 1.0), "b": (0.5, 1.0)}
    sure = [one("a", chances={"a": 1.0}, expected=expected)] * 10
    open_ = [one(chosen, expected=expected) for chosen in "ab" * 45]
    found = estimate(sure + open_, always("b"))
    assert not found.why_not
    assert "no chance to make 10% of its choices" in found.notes[0]


def test_too_few_tasks_for_the_policy() -> None:
    log = [one(name, chances={"a": 0.9, "b": 0.1}) for name in "aaaaaaaaab" * 5]
    words = 'the 50 tasks are worth only 5.0 for "always b", which would mostly choose what was '
    assert _why_not(log, always("b")) == f"{words}rarely tried; 20 are needed"


def test_a_log_in_which_the_rare_choices_happen_to_be_missing_does_not_look_better() -> None:
    """All weights that were met are alike, so Kish's size of them alone would be 30."""
    usual = [one("b", chances={"a": 0.1, "b": 0.9}, dimension="x")] * 30
    rare = [one("a", chances={"a": 0.99, "b": 0.01}, dimension="y")] * 30
    assert "worth only" in _why_not(usual + rare, always("b"))


def test_propensities_that_do_not_fit_the_choices() -> None:
    log = [one("a", chances={"a": 0.05, "b": 0.95})] * 1000
    words = "the propensities stored in the log do not fit what was chosen"
    assert _why_not(log, always("a")) == words


def test_what_is_left_out_is_counted() -> None:
    log = [one(name) for name in "ab" * 40]
    log += [one(score=None)] * 3 + [one(chances={})] * 2
    log += [one("b", chances={"b": 1.0})] * 4
    found = estimate(log, always("a"))
    assert found.n == 80
    assert found.notes == (
        "3 of 89 tasks are left out: not verified",
        "2 tasks are left out: no propensity stored",
        "4 tasks are left out: it was not allowed there",
    )


def test_costs_that_are_unknown() -> None:
    known = [one(name, cost=2.0) for name in "ab" * 45]
    some = estimate(known + [one(name, cost=None) for name in "ab" * 4], always("a"))
    assert some.cost["snips"].mean == pytest.approx(2.0)
    assert some.notes == ("cost and reward are of the 90 tasks whose cost is known",)
    most = estimate(known + [one(name, cost=None) for name in "ab" * 45], always("a"))
    assert (most.cost, most.reward) == ({}, {})
    assert most.score
    assert most.notes == ("only 50% of its tries have a known cost, too few to tell its cost",)


# ---- from memory


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory.open(tmp_path / "memory.db") as opened:
        yield opened


def _outcome(
    name: str, status: VerdictStatus = "pass", tried: tuple[str, ...] = (), attempt: str = ""
) -> Outcome:
    made = makers.outcome(makers.task(name), attempt, status, profile="a")
    candidates = (
        Candidate("a", "codex", "m", 0.7, 3.0, 0.2, 0.6, 0.75),
        Candidate("b", "codex", "m", 0.6, 3.0, None, 0.5, 0.25),
        Candidate("c", "codex", "m", 0.6, 3.0, None, 0.4, 0.0),
        Candidate("d", "codex", "m", 0.9, 3.0, 0.1, 0.8, 0.0, excluded="pinned"),
    )
    assert made.decision
    return replace(made, decision=replace(made.decision, candidates=candidates, tried=tried))


def test_first_tries_are_read_from_memory(memory: Memory) -> None:
    memory.add_outcome(_outcome("t1"))
    memory.add_outcome(_outcome("t1", "fail", tried=("a",), attempt="2"))
    memory.add_outcome(_outcome("t2", "unverified"))
    unverified, first = logged(memory)
    assert first == Logged(
        propensities={"a": 0.75, "b": 0.25},
        chosen="a",
        score=1.0,
        cost=0.5,
        expected={"a": (0.7, 0.2), "b": (0.6, None), "c": (0.6, None)},
        dimension="bug_fixing",
    )
    assert unverified.score is None


def test_a_person_s_verdict_counts(memory: Memory) -> None:
    memory.add_outcome(_outcome("t1", "unverified"))
    memory.set_human("t1", "fail")
    assert logged(memory)[0].score == 0.0


def test_the_last_tasks_only_whatever_came_between(memory: Memory) -> None:
    for n in range(30):
        memory.add_outcome(_outcome(f"t{n}", "pass" if n >= 25 else "fail"))
        for again in range(3 if n == 29 else 0):
            memory.add_outcome(_outcome(f"t{n}", "fail", tried=("a",), attempt=f"-{again}"))
    assert [task.score for task in logged(memory, 6)] == [1.0] * 5 + [0.0]
    assert len(logged(memory, 100)) == len(logged(memory)) == 30
    assert logged(memory, 0) == ()


def test_a_try_with_another_profile_than_decided_is_left_out(memory: Memory) -> None:
    made = _outcome("t1")
    memory.add_outcome(replace(made, attempt=replace(made.attempt, profile="b")))
    memory.add_outcome(replace(_outcome("t2"), decision=None))
    assert logged(memory) == ()


def test_an_empty_memory(memory: Memory) -> None:
    assert isinstance(estimate(logged(memory, 50), uniform()), Estimate)
    assert estimate(logged(memory, 50), uniform()).why_not


def test_decisions_of_the_policy_itself_can_be_estimated_from(memory: Memory) -> None:
    profiles = [Profile(name, "codex", name, "mid") for name in "abc"]
    rates = {"a": 0.9, "b": 0.5, "c": 0.2}
    rng = random.Random(0)
    for n in range(80):
        task = makers.task(f"t{n}")
        decision = decide(task, profiles, memory, Settings(), prices={}, seed=n)
        made = makers.outcome(task, "", "pass" if rng.random() < rates[decision.chosen] else "fail")
        attempt = replace(made.attempt, profile=decision.chosen, decision=decision.id)
        memory.add_outcome(replace(made, decision=decision, attempt=attempt))
    log = logged(memory)
    assert all(math.fsum(task.propensities.values()) == pytest.approx(1) for task in log)
    found = estimate(log, as_logged())
    assert found.score["snips"].mean == pytest.approx(sum(task.score or 0 for task in log) / 80)
    assert not estimate(log, always("a")).why_not
    assert estimate(log, always("nobody")).why_not
