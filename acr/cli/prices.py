"""acr prices: which price is used for a model, and where it comes from."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr.cli.run import AsJson
from acr.nouns import Price, Profile, Rates

if TYPE_CHECKING:
    from acr.agents.prices import Priced

__all__ = ["app"]

UNKNOWN = "unknown"
UPDATE = "newer table: {} -m pip install --upgrade genai-prices, or upgrade acr"
NAMES = {
    "input": "input",
    "cached_input": "cached input",
    "cache_write_5m": "cache write, 5 min",
    "cache_write_1h": "cache write, 1 h",
    "output": "output",
    "reasoning": "reasoning",
}

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Examples: acr prices · acr prices codex-sol · acr prices openai/gpt-5.5")
def prices(
    model: Annotated[
        str | None,
        typer.Argument(help="A profile, or a model, perhaps as PROVIDER/MODEL; none lists all."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Shows the price used for each profile, and whether a profile or the price table says so.

    The table ships with acr and is read offline; USD per million tokens.
    """
    from acr.agents.prices import priced
    from acr.agents.profiles import load_all
    from acr.cli.console import emit_json

    profiles = list(load_all().values())
    if model is not None:
        named = [p for p in profiles if model in (p.name, p.model)]
        profiles = named or [Profile("", "", model, "mid")]
    found = [(profile, priced(profile)) for profile in profiles]
    if as_json:
        return emit_json([_data(*each) for each in found])
    if model is None:
        return _print_all(found)
    for profile, known in found:
        _print_one(profile, known)
    return None


def _data(profile: Profile, found: Priced) -> dict[str, Any]:
    return {
        "profile": profile.name or None,
        "model": profile.model,
        "plan": profile.plan,
        "batch": profile.batch,
        "price": found.price,
        "source": found.source or None,
        "detail": found.detail,
    }


def _print_all(found: list[tuple[Profile, Priced]]) -> None:
    from acr.cli.console import clean, out, table

    shown = table("profile", "model", "in/cached/written/out", "from")
    for profile, known in found:
        price = known.price
        marks = [known.source, *(["long"] if price and price.long else [])]
        marks += [name for name in ("plan", "batch") if getattr(profile, name)]
        cells = (profile.name, profile.model, _short(price), ", ".join(filter(None, marks)))
        shown.add_row(*map(clean, cells))
    out().print(shown)
    for line in (
        "USD per million tokens; long: requests with much input cost more, see acr prices MODEL",
        "an unknown price is never taken for 0",
        UPDATE.format(sys.executable),
    ):
        out().print(clean(line), style="dim")


def _short(price: Price | None) -> str:
    if price is None:
        return UNKNOWN
    rates = (price.input, price.cached_input, price.cache_write_5m, price.output)
    return "/".join(f"{price.input if rate is None else rate:g}" for rate in rates)


def _print_one(profile: Profile, found: Priced) -> None:
    from acr.agents.prices import near
    from acr.cli.console import clean, out

    name = f"{profile.name}: {profile.model}" if profile.name else profile.model
    out().print(clean(name), style="bold")
    if found.price is None:
        likely = near(profile.model)
        hint = f"; it knows {', '.join(likely)}" if likely else ""
        out().print(clean(f"  price unknown: {found.detail}{hint}"))
        out().print(clean("  give it in a profile of yours: [price] with input and output"))
        return
    for line in _lines(found.price):
        out().print(clean(f"  {line}"))
    if profile.plan:
        out().print("  a plan pays: costs are list prices, and budgets leave them out")
    whose = "the profile's own, " if found.source == "override" else ""
    out().print(clean(f"  from {whose}{found.detail or profile.name}"), style="dim")
    if found.source != "override":
        out().print(clean(UPDATE.format(sys.executable)), style="dim")


def _lines(price: Price) -> list[str]:
    """Every rate that there is, then those of long requests."""
    lines = _rates(price)
    for long in price.long:
        lines.append(f"requests of more than {long.above:,} input tokens:")
        lines += [f"  {line}" for line in _rates(long)]
    return lines


def _rates(rates: Rates) -> list[str]:
    given = {f.name: getattr(rates, f.name) for f in fields(Rates)}
    return [f"{NAMES[name]:<18} ${given[name]:g}" for name in NAMES if given[name] is not None]
