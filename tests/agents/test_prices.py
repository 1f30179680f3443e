"""Prices come from the profile, else from the offline table."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr import settings
from acr.agents import prices
from acr.agents.profiles import load_all, load_file, save
from acr.errors import SettingsError
from acr.nouns import LongRates, Price, Profile, Rates, Usage

SOL = Price(2, 10, 0.2, 2.5, 2.5, long=(LongRates(4, 15, 0.4, 5, 5, above=272_000),))


def profile(model: str, provider: str = "", price: Price | None = None) -> Profile:
    return Profile("p", "codex", model, "mid", provider=provider, price=price)


def test_the_profiles_own_price_wins() -> None:
    own = Price(input=1, output=2)
    assert prices.price(profile("gpt-5.5", "openai", own)) is own


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        (
            "gpt-5.5",
            "openai",
            Price(5, 30, 0.5, 5, 5, long=(LongRates(10, 45, 1, 10, 10, above=272_000),)),
        ),
        ("gpt-6-sol", "openai", SOL),
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
    expected = {"listed": SOL, "own": own}
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


def test_reasoning_and_long_cache_writes_may_have_rates_of_their_own() -> None:
    usage = Usage(cache_write_1h=10**6, output=2 * 10**6, reasoning=10**6)
    assert prices.cost(usage, Price(1, 4, reasoning=2)) == pytest.approx(1 + 4 + 2)
    assert prices.cost(usage, Price(1, 4, cache_write_5m=3, cache_write_1h=0.0)) == 8


LONG = Price(
    1,
    2,
    0.1,
    long=(LongRates(2, 3, 0.2, above=1000), LongRates(10, 10, 1, above=5000)),
)


@pytest.mark.parametrize(
    ("inputs", "cached", "per_token"),
    [(1000, 0, 1), (500, 500, 0.55), (1001, 0, 2), (501, 500, 0), (6000, 0, 10)],
)
def test_a_long_request_costs_its_own_rates_for_all_its_tokens(
    inputs: int, cached: int, per_token: float
) -> None:
    one = Usage(inputs, cached, requests=1)
    expected = per_token * (inputs + cached) if per_token else 501 * 2 + 500 * 0.2
    assert prices.cost(one, LONG) * 1e6 == pytest.approx(expected)
    assert prices.exact(one, LONG)


def test_long_rates_go_by_request_and_not_by_run() -> None:
    short, long = Usage(900, requests=1), Usage(2000, output=100, requests=1)
    run = short + short + long
    assert prices.cost(run, LONG, [short, short, long]) * 1e6 == pytest.approx(1800 + 4000 + 300)
    assert prices.exact(run, LONG, [short, short, long])
    assert prices.cost(run, LONG) * 1e6 == pytest.approx(3800 + 200)
    assert not prices.exact(run, LONG)
    assert prices.exact(Usage(1000, requests=5), LONG)  # none of them can have been long


def test_a_batch_has_the_tables_price_or_the_profiles_share() -> None:
    batched = replace(profile("claude-opus-5-5", "anthropic"), batch=True)
    assert prices.price(batched) == Price(2, 10, 0.1, 2.5, 4)
    assert prices.listed([batched])["p"].input == 2
    assert prices.listed([replace(batched, batch=False)])["p"].input == 4
    own = replace(batched, price=Price(4, 8, batch=0.5, long=LONG.long))
    found = prices.price(own)
    assert found is not None
    assert (found.input, found.output, found.long[0].input) == (2, 4, 1)
    assert prices.listed([own])["p"] == found


AGENTS = {"aider", "claude", "codex", "gemini", "opencode", "qwen"}
NOT_LISTED = {"qwen-coder"}
"""Shipped profiles whose model the table does not know; their cost is shown as unknown."""


def test_the_table_knows_the_model_of_every_shipped_profile_but_these() -> None:
    shipped = load_all().values()
    assert {p.agent for p in shipped} == AGENTS
    assert {p.name for p in shipped if prices.price(p) is None} == NOT_LISTED


@pytest.mark.parametrize(
    ("asked", "source", "words"),
    [
        (profile("gpt-5.5", "openai"), "genai-prices", "genai-prices 0."),
        (replace(profile("x", price=Price(1, 2)), path="/p.toml"), "override", "/p.toml"),
        (profile("no-such-model"), "", "neither the profile nor genai-prices"),
    ],
)
def test_a_price_says_where_it_comes_from(asked: Profile, source: str, words: str) -> None:
    found = prices.priced(asked)
    assert (found.source, found.price is None) == (source, not source)
    assert words in found.detail


def test_a_profile_keeps_every_rate_when_it_is_saved() -> None:
    own = Price(1, 0, cached_input=0, reasoning=2, batch=0.5, long=LONG.long)
    path = save(replace(profile("m", price=own), plan=True, batch=True))
    read = load_file(path)
    assert (read.price, read.plan, read.batch) == (own, True, True)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('currency = "EUR"', "price.currency must be one of USD, not 'EUR'"),
        ("reasoning = -1", "at least 0"),
        ("batch = 2", "price.batch must be at least 0 and at most 1"),
        ("[[price.long]]\ninput = 1\noutput = 1", "price.long.above is missing"),
        ("[[price.long]]\ninput = 1\noutput = 1\nabove = -5", "at least 0"),
        ("cache_write = 1", "did you mean cache_write_"),
    ],
)
def test_an_override_that_cannot_be_is_refused(toml: str, words: str) -> None:
    path = save(profile("m"))
    path.write_text(path.read_text() + f"[price]\ninput = 1\noutput = 2\n{toml}\n")
    with pytest.raises(SettingsError, match=words.replace("[", r"\[")):
        load_file(path)


@given(st.lists(st.builds(Usage, *[st.integers(0, 9000)] * 5, requests=st.just(1)), min_size=1))
def test_requests_cost_together_what_they_cost_alone(requests: list[Usage]) -> None:
    whole = sum(requests, Usage())
    assert prices.cost(whole, LONG, requests) == pytest.approx(
        sum(prices.cost(one, LONG) for one in requests)
    )
    assert prices.exact(whole, LONG, requests)


def test_every_rate_counts() -> None:
    """A class of tokens that is added to Rates must be priced."""
    assert [f.name for f in fields(Rates)] == [
        "input", "output", "cached_input", "cache_write_5m", "cache_write_1h", "reasoning",
    ]  # fmt: skip


def test_free_is_free() -> None:
    assert prices.cost(Usage(10**6, 10**6, output=5), Price(0, 0, 0)) == 0


@given(
    st.builds(Usage, *[st.integers(0, 10**9)] * 5), st.builds(Usage, *[st.integers(0, 10**9)] * 5)
)
def test_costs_add_up(one: Usage, two: Usage) -> None:
    price = Price(2, 10, 0.2, 2.5, 4)
    together = prices.cost(one + two, price)
    assert together == pytest.approx(prices.cost(one, price) + prices.cost(two, price))
