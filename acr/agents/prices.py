"""What tokens cost: the profile's own price, else genai-prices' table, which works offline."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from acr import settings
from acr.agents import Report
from acr.files import replace_file
from acr.nouns import LongRates, Price, Profile, Rates, Usage, from_json, to_json

__all__ = ["Priced", "charge", "cost", "exact", "listed", "near", "price", "priced"]

MILLION = 1_000_000
SAMPLE = 1000
"""Tokens asked for at a time: few enough to stay below every long-context tier."""
LIBRARY = "genai_prices"


@dataclass(frozen=True, slots=True)
class Priced:
    """A price and where it comes from."""

    price: Price | None
    source: Literal["override", "genai-prices", ""]
    """Empty when nobody knows the price."""
    detail: str
    """The profile's file, or the table's version, date and name of the model."""


def price(profile: Profile) -> Price | None:
    """USD per million tokens of the profile's model; None when nobody knows."""
    if profile.price is not None:
        return _batched(profile.price) if profile.batch else profile.price
    model, provider = _split(profile)
    return _listed(model, provider, profile.batch)


def priced(profile: Profile) -> Priced:
    """The price with where it comes from, for people."""
    found = price(profile)
    if profile.price is not None:
        return Priced(found, "override", profile.path)
    if found is None:
        return Priced(None, "", f"neither the profile nor {_version()} knows it")
    from genai_prices.data_snapshot import get_snapshot

    model, provider = _split(profile)
    by, known = get_snapshot().find_provider_model(model, None, provider or None, None)
    return Priced(found, "genai-prices", f"{_version()}: {by.id} {known.id}")


def near(model: str) -> list[str]:
    """Models that the table knows and whose names look like `model`, most alike first."""
    from genai_prices.data_snapshot import get_snapshot

    known = {one.id for provider in get_snapshot().providers for one in provider.models}
    return difflib.get_close_matches(model.rpartition("/")[2], sorted(known), 3)


def _split(profile: Profile) -> tuple[str, str]:
    """(model, provider) of `provider/model`, else with the profile's provider."""
    provider, slash, model = profile.model.partition("/")
    return (model, provider) if slash else (profile.model, profile.provider)


def _version() -> str:
    from importlib.metadata import version

    installed = datetime.date.fromtimestamp(_table())
    return f"genai-prices {version(LIBRARY)}, installed {installed}"


def _batched(price: Price) -> Price:
    """The price of a batch queue."""
    share = 1.0 if price.batch is None else price.batch
    long = tuple(replace(rates, **_scaled(rates, share)) for rates in price.long)
    return replace(price, long=long, batch=None, **_scaled(price, share))


def _scaled(rates: Rates, share: float) -> dict[str, Any]:
    values = {f.name: getattr(rates, f.name) for f in fields(Rates)}
    return {name: None if rate is None else rate * share for name, rate in values.items()}


def listed(profiles: Iterable[Profile]) -> dict[str, Price]:
    """Profile name -> its `price` as of today, where it is known: what estimates need.

    Kept on disk, as the table takes 0.2 s to load.
    """
    path, of = settings.folder("cache") / "prices.json", [str(datetime.date.today()), _table()]
    kept = _kept(path, of)
    found, before = {}, len(kept)
    for profile in profiles:
        key = f"{profile.provider} {profile.model}{' batch' if profile.batch else ''}"
        if profile.price is None and key not in kept:
            kept[key] = to_json(price(profile))
        found[profile.name] = price(profile) if profile.price else from_json(Price, kept[key])
    if len(kept) > before:
        with contextlib.suppress(OSError):  # a full disk costs time at the next start
            replace_file(path, json.dumps({"of": of, "prices": kept}))
    return {name: price for name, price in found.items() if price}


def _table() -> float:
    """When the price table was installed; importing it would take its time."""
    spec = importlib.util.find_spec(LIBRARY)
    return Path(spec.origin).stat().st_mtime if spec and spec.origin else 0.0


def _kept(path: Path, of: list[Any]) -> dict[str, Any]:
    """What is on disk of this day and table; nothing of another."""
    try:
        data = json.loads(path.read_bytes())
        return dict(data["prices"]) if data["of"] == of else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def cost(usage: Usage, price: Price, requests: Sequence[Usage] = ()) -> float:
    """USD of `usage`, of which `requests` are the parts that are known one by one.

    A long request costs its own rates; what is not known by request costs the usual ones, and
    `exact` says whether that matters.
    """
    if usage.requests == 1 and not requests:
        requests = (usage,)
    if not price.long or not requests:
        return _at(price, usage)
    rest = usage
    total = 0.0
    for one in requests:
        rest -= one
        longer = [rates for rates in price.long if _input(one) > rates.above]
        total += _at(max(longer, key=lambda rates: rates.above) if longer else price, one)
    return total + _at(price, rest)


def exact(usage: Usage, price: Price, requests: Sequence[Usage] = ()) -> bool:
    """Whether `cost` is exact: False when a long request may hide in what is not known apart."""
    if not price.long or usage.requests == 1:
        return True
    rest = _input(usage) - sum(map(_input, requests))
    return rest <= min(rates.above for rates in price.long)


def _input(usage: Usage) -> int:
    """Input tokens of all classes."""
    return usage.total - usage.output


def _at(price: Rates, usage: Usage) -> float:
    def rate(own: float | None, *others: float | None) -> float:
        return next(r for r in (own, *others, price.input) if r is not None)

    reasoning = price.output if price.reasoning is None else price.reasoning
    per_million = (
        usage.input * price.input
        + usage.cached_input * rate(price.cached_input)
        + usage.cache_write_5m * rate(price.cache_write_5m)
        + usage.cache_write_1h * rate(price.cache_write_1h, price.cache_write_5m)
        + (usage.output - usage.reasoning) * price.output
        + usage.reasoning * reasoning
    )
    return per_million / MILLION


def charge(profile: Profile, report: Report) -> tuple[float | None, str]:
    """(USD, where from): the profile's own price, else the agent's word, else the price table."""
    if report.usage is None or (profile.price is None and report.cost is not None):
        return report.cost, "agent" if report.cost is not None else ""
    main = report.model or profile.model
    parts: Mapping[str, Usage] = report.by_model or {main: report.usage}
    total, is_exact = 0.0, True
    for model, usage in parts.items():
        override = profile.price if model == main else None
        known = price(replace(profile, model=model, price=override))
        if known is None:
            return None, ""
        requests = [one for name, one in report.requests if name == model]
        total += cost(usage, known, requests)
        is_exact = is_exact and exact(usage, known, requests)
    source = "override" if profile.price else "price table"
    return total, source if is_exact else f"{source}, long requests at the usual rate"


@cache
def _listed(model: str, provider: str, batch: bool) -> Price | None:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price
    from genai_prices.types import TieredPrices

    def usd(**tokens: int) -> Any:
        how = {"processing": "batch"} if batch else None
        return calc_price(Tokens(**tokens), model, provider_id=provider or None, price_context=how)

    def rates(n: int) -> dict[str, Any]:
        """Of a request with n input tokens."""

        def rate(**tokens: int) -> float:
            return float(usd(input_tokens=n, **tokens).total_price) * MILLION / n

        plain = rate()
        return {
            "input": plain,
            "output": rate(output_tokens=n) - plain,
            "cached_input": rate(cache_read_tokens=n),
            "cache_write_5m": rate(cache_write_tokens=n),
            "cache_write_1h": rate(cache_write_tokens=n, cache_write_1h_tokens=n),
        }

    def rounded(n: int) -> dict[str, Any]:
        return {name: round(value, 9) for name, value in rates(n).items()}

    try:
        found = usd(input_tokens=SAMPLE).model_price
        tiered = [p for p in vars(found).values() if isinstance(p, TieredPrices)]
        starts = sorted({tier.start for p in tiered for tier in p.tiers})
        long = tuple(LongRates(above=start, **rounded(start + SAMPLE)) for start in starts)
        return Price(**rounded(SAMPLE), long=long)
    except (LookupError, ValueError):
        return None
