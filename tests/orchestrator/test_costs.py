"""Expected cost: price x assumed tokens until own attempts tell; unknown is never free."""

from __future__ import annotations

import pytest

from acr.nouns import Price
from acr.orchestrator import costs
from acr.orchestrator.evidence import gather
from acr.settings import OrchestratorSettings
from tests.orchestrator.fakes import FakeMemory, Row, profile, task

A, B, C = profile("a"), profile("b"), profile("c", tier="frontier")
PRICE = Price(input=2.0, output=10.0, cached_input=0.2)
PRICES = {"a": PRICE, "c": PRICE}


def expected(*rows: Row, dimension: str = "agentic_programming") -> dict[str, float | None]:
    memory = FakeMemory(list(rows))
    seen = gather(task(dimension=dimension), (A, B, C), memory, OrchestratorSettings())
    return costs.expected(seen, {"a": PRICE})


def test_without_attempts_it_is_price_times_assumed_tokens() -> None:
    by_hand = (35_000 * 2.0 + 200_000 * 0.2 + 2_500 * 10.0) / 1_000_000
    assert expected()["a"] == pytest.approx(by_hand)


def test_a_kind_of_request_with_longer_answers_costs_more() -> None:
    longer = expected(dimension="test_generation")["a"]
    shorter = expected(dimension="code_understanding")["a"]
    assert longer is not None
    assert shorter is not None
    assert longer > shorter > 0


def test_own_attempts_are_shrunk_to_the_assumption() -> None:
    """Two attempts weigh as much as each assumption: all profiles, the profile, the dimension."""
    assumption = expected()["a"]
    assert assumption is not None
    rows = [Row("a", 1.0, dimension="agentic_programming", cost=assumption / 256)] * 2
    assert expected(*rows)["a"] == pytest.approx(assumption / 256 ** (1 - 1 / 8))


def test_what_one_profile_cost_scales_what_is_expected_of_another() -> None:
    memory = FakeMemory([Row("a", 1.0, cost=0.001) for _ in range(8)])
    seen = gather(task(), (A, B, C), memory, OrchestratorSettings())
    alone = costs.expected(gather(task(), (A, B, C), FakeMemory(), OrchestratorSettings()), PRICES)
    after = costs.expected(seen, PRICES)
    assert after["c"] is not None
    assert alone["c"] is not None
    assert after["c"] < alone["c"] / 10


def test_without_a_price_own_attempts_alone_count_and_nothing_stays_unknown() -> None:
    rows = [Row("b", 1.0, cost=0.3), Row("b", 0.0, cost=None)]
    assert expected(*rows, dimension="bug_fixing")["b"] == pytest.approx(0.3)
    assert expected()["b"] is None


def test_the_reward_counts_an_unknown_cost_as_the_dearest_of_its_tier() -> None:
    known = {"a": 0.2, "b": None, "c": 1.0}
    assert costs.assumed((A, B, C), known) == {"a": 0.2, "b": 0.2, "c": 1.0}
    assert costs.assumed((A, B, C), {"a": 0.2, "b": 0.1, "c": None})["c"] == 0.2
    assert costs.assumed((A,), {"a": None}) == {"a": 0.0}
