"""What tokens cost: the profile's own price, else genai-prices' table, which works offline."""

from __future__ import annotations

from functools import cache

from acr.nouns import Price, Profile, Usage

__all__ = ["cost", "price"]

MILLION = 1_000_000
SAMPLE = 1000
"""Tokens asked for at a time: few enough to stay below every long-context tier."""


def price(profile: Profile) -> Price | None:
    """USD per million tokens of the profile's model; None when nobody knows.

    Long-context surcharges are left out: they go by request, and usage is kept by attempt.
    """
    if profile.price is not None:
        return profile.price
    provider, slash, model = profile.model.partition("/")
    return _listed(model, provider) if slash else _listed(profile.model, profile.provider)


def cost(usage: Usage, price: Price) -> float:
    """USD of `usage`; a class of tokens without a price of its own costs what input costs."""

    def rate(own: float | None) -> float:
        return price.input if own is None else own

    per_million = (
        usage.input * price.input
        + usage.cached_input * rate(price.cached_input)
        + usage.cache_write_5m * rate(price.cache_write_5m)
        + usage.cache_write_1h * rate(price.cache_write_1h or price.cache_write_5m)
        + usage.output * price.output
    )
    return per_million / MILLION


@cache
def _listed(model: str, provider: str) -> Price | None:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    def rate(**tokens: int) -> float:
        found = calc_price(Tokens(**tokens), model, provider_id=provider or None)
        return float(found.total_price) * MILLION / SAMPLE

    n = SAMPLE
    try:
        return Price(
            input=rate(input_tokens=n),
            output=rate(output_tokens=n),
            cached_input=rate(input_tokens=n, cache_read_tokens=n),
            cache_write_5m=rate(input_tokens=n, cache_write_tokens=n),
            cache_write_1h=rate(input_tokens=n, cache_write_tokens=n, cache_write_1h_tokens=n),
        )
    except (LookupError, ValueError):
        return None
