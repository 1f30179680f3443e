"""What tokens cost: the profile's own price, else genai-prices' table, which works offline."""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from acr import settings
from acr.agents import Report
from acr.files import replace_file
from acr.nouns import Price, Profile, Usage, from_json, to_json

__all__ = ["charge", "cost", "listed", "price"]

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


def listed(profiles: Iterable[Profile]) -> dict[str, Price]:
    """Profile name -> its `price` as of today, where it is known: what estimates need.

    Kept on disk, as the table takes 0.2 s to load.
    """
    path, of = settings.folder("cache") / "prices.json", [str(datetime.date.today()), _table()]
    kept = _kept(path, of)
    found, before = {}, len(kept)
    for profile in profiles:
        key = f"{profile.provider} {profile.model}"
        if profile.price is None and key not in kept:
            kept[key] = to_json(price(profile))
        found[profile.name] = profile.price or from_json(Price, kept[key])
    if len(kept) > before:
        with contextlib.suppress(OSError):  # a full disk costs time at the next start
            replace_file(path, json.dumps({"of": of, "prices": kept}))
    return {name: price for name, price in found.items() if price}


def _table() -> float:
    """When the price table was installed; importing it would take its time."""
    spec = importlib.util.find_spec("genai_prices")
    return Path(spec.origin).stat().st_mtime if spec and spec.origin else 0.0


def _kept(path: Path, of: list[Any]) -> dict[str, Any]:
    """What is on disk of this day and table; nothing of another."""
    try:
        data = json.loads(path.read_bytes())
        return dict(data["prices"]) if data["of"] == of else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


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


def charge(profile: Profile, report: Report) -> tuple[float | None, str]:
    """(USD, where from): the profile's own price, else the agent's word, else the price table."""
    if report.usage is None or (profile.price is None and report.cost is not None):
        return report.cost, "agent" if report.cost is not None else ""
    main = report.model or profile.model
    parts: Mapping[str, Usage] = report.by_model or {main: report.usage}
    total = 0.0
    for model, usage in parts.items():
        override = profile.price if model == main else None
        known = price(replace(profile, model=model, price=override))
        if known is None:
            return None, ""
        total += cost(usage, known)
    return total, "override" if profile.price else "price table"


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
