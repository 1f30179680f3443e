"""Prices come from the profile, else from the offline table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr import settings
from acr.agents import prices
from acr.nouns import Price, Profile, Usage


def profile(model: str, provider: str = "", price: Price | None = None) -> Profile:
    return Profile("p", "codex", model, "mid", provider=provider, price=price)


def test_the_profiles_own_price_wins() -> None:
    own = Price(input=1, output=2)
    assert prices.price(profile("gpt-5.5", "openai", own)) is own


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("gpt-5.5", "openai", Price(5, 30, 0.5, 5, 5)),
        ("gpt-6-sol", "openai", Price(2, 10, 0.2, 2.5, 2.5)),
        ("claude-opus-5-5", "anthropic", Price(4, 20, 0.2, 5, 8)),
        ("anthropic/claude-opus-5-5", "", Price(4, 20, 0.2, 5, 8)),
        ("claude-haiku-4-5-20251001", "anthropic", Price(1, 5, 0.1, 1.25, 2)),
    ],
)
def test_the_table_knows_common_models(model: str, provider: str, expected: Price) -> None:
    assert prices.price(profile(model, provider)) == expected


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("no-such-model", ""),
        ("gpt-5.5", "my-own-gateway"),
        ("ollama/gpt-oss-20b", ""),
        ("", ""),
        ("/", ""),
        ("sonnet", "anthropic"),
    ],
)
def test_unknown_is_none_and_not_nothing(model: str, provider: str) -> None:
    assert prices.price(profile(model, provider)) is None


def test_estimates_are_the_tables_prices_and_do_not_load_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Price(input=1, output=2)
    asked = (
        replace(profile("gpt-6-sol", "openai"), name="listed"),
        replace(profile("no-such-model"), name="unknown"),
        replace(profile("gpt-6-sol", "openai", own), name="own"),
    )
    expected = {"listed": Price(2, 10, 0.2, 2.5, 2.5), "own": own}
    assert prices.listed(asked) == expected
    monkeypatch.setattr(prices, "_listed", None)
    assert prices.listed(asked) == expected


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "{",
        "[]",
        '{"of": ["2020-01-01", 0], "prices": {"openai gpt-6-sol": {"input": 9, "output": 9}}}',
    ],
)
def test_prices_of_another_day_or_damaged_ones_are_looked_up_again(kept: str) -> None:
    (settings.folder("cache") / "prices.json").write_text(kept)
    assert prices.listed([profile("gpt-6-sol", "openai")])["p"].input == 2


def test_each_class_of_tokens_has_its_rate() -> None:
    usage = Usage(10**6, 10**6, 10**6, 10**6, 10**6, reasoning=500)
    assert prices.cost(usage, Price(1, 20, 300, 4000, 50000)) == pytest.approx(54321)


def test_a_class_without_a_rate_costs_what_input_costs() -> None:
    usage = Usage(10**6, 10**6, 10**6, 10**6)
    assert prices.cost(usage, Price(input=2, output=9)) == pytest.approx(8)
    assert prices.cost(usage, Price(2, 9, cache_write_5m=3)) == pytest.approx(2 + 2 + 3 + 3)


def test_free_is_free() -> None:
    assert prices.cost(Usage(10**6, 10**6, output=5), Price(0, 0, 0)) == 0


@given(
    st.builds(Usage, *[st.integers(0, 10**9)] * 5), st.builds(Usage, *[st.integers(0, 10**9)] * 5)
)
def test_costs_add_up(one: Usage, two: Usage) -> None:
    price = Price(2, 10, 0.2, 2.5, 4)
    together = prices.cost(one + two, price)
    assert together == pytest.approx(prices.cost(one, price) + prices.cost(two, price))
