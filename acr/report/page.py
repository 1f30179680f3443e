"""The report as one HTML file: no script, no network, everything from outside escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from acr.errors import AcrError
from acr.memory import summary
from acr.memory.statistics import wilson
from acr.memory.summary import Row
from acr.report import charts
from acr.report.facts import UNKNOWN, Facts
from acr.report.plots import FIX, shown

__all__ = ["MARK", "render"]

MARK = '<meta name="generator" content="acr report">'
"""Stands near the beginning of each report: by it acr knows a file as its own."""
SECTIONS = (
    ("overview", "Overview"), ("matrix", "Who wins at what"), ("frontier", "What a win rate costs"),
    ("savings", "Savings and regret"), ("spend", "Spend"), ("leaders", "Leaders"),
    ("changes", "Changes"), ("runs", "Latest runs"),
)  # fmt: skip
MINUS, ABSENT = "\N{MINUS SIGN}", "\N{EN DASH}"
MARKS = {"pass": "✓", "fail": "✗", "unverified": "?"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart in a page."""

    id: str
    about: str
    wide: str
    """Empty where the narrow one serves for all."""
    narrow: str


@dataclass(frozen=True, slots=True)
class Data:
    """A table."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int]
    """Columns that are right-aligned."""


Words = Mapping[str, Callable[..., str]]
"""How figures are worded: money, span, ago, rate."""


def render(facts: Facts, words: Words, cost_weight: float = -0.1) -> str:
    """The page. Raises AcrError when a library is missing.

    `words` has the functions money(USD or None), span(seconds), ago(moment), day(moment),
    moment(moment) and rate(wins, n, low, high).
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as e:
        raise AcrError(f"reports need jinja2 ({e}); {FIX}") from None
    made = Environment(
        loader=PackageLoader("acr.report", ""), autoescape=True, undefined=StrictUndefined
    )
    made.filters |= {
        **{name: words[name] for name in ("money", "span", "ago", "day", "moment")},
        "short": lambda text, most: shown(" ".join(str(text)[: 4 * most].split()), most),
        "points": lambda shift: f"{100 * shift:+.0f} points".replace("-", MINUS),
    }
    return made.get_template("page.html.j2").render(
        facts=facts,
        sections=SECTIONS,
        marks=MARKS,
        tiles=_tiles(facts.total, words),
        charts=_charts(facts),
        matrix_caption=_matrix_caption(facts),
        matrix_data=_matrix(facts, words),
        frontier_data=_frontier(facts, words),
        savings_data=_savings(facts, words),
        method=summary.METHOD,
        spend_caption=_spend_caption(facts.total, words),
        spend_data=_spend(facts, words),
        leaders_data=_leaders(facts, words),
        rule=summary.RULE[0].upper() + summary.RULE[1:] + ".",
        least=summary.LEAST,
        cost_weight=f"{-cost_weight:g}",
    )


def _charts(facts: Facts) -> dict[str, Drawn | None]:
    return {
        "matrix": _drawn("matrix", facts.matrix, "Win rate in percent by model and kind of task"),
        "frontier": _drawn("frontier", facts.frontier, "Mean cost and win rate of each model"),
        "saved": _drawn("saved", facts.saved, _ends("Cumulative savings", facts.saved, "USD"),
                        half=True),
        "regret": _drawn("regret", facts.regret, _ends("Cumulative regret", facts.regret, ""),
                         half=True),
        "spend": _drawn("spend", facts.spend, "Spend over time in USD"),
    }  # fmt: skip


def _drawn(name: str, chart: charts.Chart, about: str, *, half: bool = False) -> Drawn | None:
    """None when there is nothing to draw."""
    from markupsafe import Markup

    if not charts.drawable(chart):
        return None
    wide = "" if half else charts.svg(chart, charts.WIDE, f"{name}-wide", about)
    narrow = charts.svg(chart, charts.NARROW, f"{name}-narrow", about)
    return Drawn(name, about, Markup(wide), Markup(narrow))  # noqa: S704  # matplotlib escaped it


def _ends(what: str, chart: charts.Lines, unit: str) -> str:
    """What a chart of lines shows, in words: where each of them ends."""
    ends = [
        f"{line.name} {line.points[-1][1]:+.2f} {unit}".strip()
        for line in chart.lines
        if line.points
    ]
    return f"{what}, at the end: {', '.join(ends)}"


def _tiles(total: Row, words: Words) -> list[dict[str, str]]:
    unknown = total.attempts - total.cost_known
    spent = words["money"](total.cost if total.cost_known else None)
    told = f"{_count(unknown, 'attempt')} of unknown cost" if unknown else "all costs known"
    plan = f", {total.plan} on a plan at list price" if total.plan else ""
    low, high = total.interval
    return [
        {"name": "Runs", "figure": f"{total.runs:,}", "note": _count(total.attempts, "attempt")},
        {"name": "Win rate", "figure": f"{100 * total.wins / total.n:.0f} %" if total.n else ABSENT,
         "note": f"[{100 * low:.0f}-{100 * high:.0f}], n = {total.n:,}" if total.n
         else "nothing verified yet"},
        {"name": "Spend", "figure": spent, "note": told + plan},
        {"name": "Cost per win", "figure": _per_win(total, words),
         "note": "failed tries and judging included"},
        {"name": "Tries per win",
         "figure": ABSENT if total.tries_per_win is None else f"{total.tries_per_win:.2f}",
         "note": f"{total.unverified:,} unverified"},
        {"name": "Median time",
         "figure": "unknown" if total.median_time is None else words["span"](total.median_time),
         "note": "of an attempt"},
    ]  # fmt: skip


def _per_win(row: Row, words: Words) -> str:
    """A lower bound when some costs are unknown."""
    if not row.cost_known:
        return "unknown"
    if not row.wins:
        return "no win"
    return ("" if row.cost_per_win is not None else "≥ ") + words["money"](row.cost / row.wins)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _matrix_caption(facts: Facts) -> str:
    return (
        "Wins in percent of the verified attempts, and below it how many those are; the stronger "
        "the colour, the more was won. Few attempts say little: intervals are in the table."
    )


def _rated(wins: int, n: int, words: Words) -> str:
    return words["rate"](wins, n, *wilson(wins, n))


def _matrix(facts: Facts, words: Words) -> Data:
    matrix = facts.matrix

    def cell(model: str, kind: str) -> str:
        wins, n = matrix.cells.get((model, kind), (0, 0))
        return f"{_rated(wins, n, words)}, n {n}" if n else ABSENT

    rows = tuple((model, *(cell(model, kind) for kind in matrix.columns)) for model in matrix.rows)
    heads = ("Model", *(kind.replace("_", " ") for kind in matrix.columns))
    return Data(heads, rows, frozenset())


def _frontier(facts: Facts, words: Words) -> Data:
    heads = ("Model", "Won", "Win rate", "Mean cost", "Cost per win", "Unverified", "Median time")
    rows = tuple(
        (
            row.key[0] or UNKNOWN,
            f"{row.wins}/{row.n}",
            _rated(row.wins, row.n, words),
            words["money"](row.cost / row.cost_known if row.cost_known else None),
            _per_win(row, words),
            str(row.unverified),
            "unknown" if row.median_time is None else words["span"](row.median_time),
        )
        for row in facts.models
    )
    return Data(heads, rows, frozenset(range(1, 7)))


def _savings(facts: Facts, words: Words) -> Data | None:
    heads = ("Baseline", "Saved", "95 % interval", "Runs", "Of unknown cost", "More wins")
    rows = tuple(
        (
            one.label,
            _signed(one.saved, words),
            _interval(one.interval, words),
            f"{one.runs:,}",
            f"{one.left_out:,}",
            "unknown" if one.wins is None else f"{one.wins + 0.0:+.1f}".replace("-", MINUS),
        )
        for one in facts.savings
    )
    return Data(heads, rows, frozenset(range(1, 6))) if rows else None


def _signed(usd: float | None, words: Words) -> str:
    if usd is None:
        return "unknown"
    if abs(usd) < 5e-5:
        return words["money"](0.0)
    return (MINUS if usd < 0 else "+") + words["money"](abs(usd))


def _interval(ends: tuple[float, float] | None, words: Words) -> str:
    if ends is None or not all(map(math.isfinite, ends)):
        return "unknown"
    return " to ".join(_signed(end, words) for end in ends)


def _spend_caption(total: Row, words: Words) -> str:
    unknown = total.attempts - total.cost_known
    left = f"; {_count(unknown, 'attempt')} of unknown cost left out" if unknown else ""
    return f"{words['money'](total.cost)} in all, judging included{left}."


def _spend(facts: Facts, words: Words) -> Data:
    unit, sums = charts.binned(facts.spend.days)
    rows = tuple((label, words["money"](usd)) for label, (_, usd) in reversed(sums.items()))
    return Data((unit.capitalize(), "Spend"), rows, frozenset({1}))


def _leaders(facts: Facts, words: Words) -> Data | None:
    heads = ("Kind of task", "Leads", "Win rate", "Won", "Compared with", "p", "Significant")
    rows = tuple(
        (
            one.dimension.replace("_", " "),
            one.model,
            _rated(one.wins, one.n, words),
            f"{one.wins}/{one.n}",
            _count(one.compared, "other"),
            ABSENT if one.p is None else f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001",
            "yes" if one.significant else "no",
        )
        for one in _first(facts.leaders, 60)
    )
    return Data(heads, rows, frozenset({2, 3, 4, 5})) if rows else None


def _first(found: Iterable[Any], most: int) -> list[Any]:
    return list(found)[:most]
