"""acr stats: win rates per model and kind of task, with n, interval, cost per win and savings."""

from __future__ import annotations

import csv
import difflib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from acr import settings
from acr.cli.plot import ChartName
from acr.cli.run import AsJson
from acr.errors import UsageError
from acr.memory.summary import (
    BASELINES,
    By,
    Filters,
    Leader,
    Row,
    Savings,
    Sort,
    Try,
    total,
)

if TYPE_CHECKING:
    from rich.table import Table

    from acr.memory.store import Memory

__all__ = ["app", "row_data"]

UNKNOWN = "unknown"
EMPTY = 'no outcomes yet; run acr "PROMPT" in a repository, or acr demo to see the loop'
NONE = "none"
DEFAULT = "always-best"
"""The baseline where none is named: the hardest one to save against."""
FEW = 5
"""Attempts that the default baseline needs to be shown."""
WIDE = 100
"""Columns from which trend, tries per win and explorations are shown too."""
SPARKS = "▁▂▃▄▅▆▇█"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: acr stats --by profile · acr stats --since 7d --repo . · "
    "acr stats --baseline last-month · acr stats --plot --chart frontier"
)
def stats(
    *,
    by: Annotated[
        Literal[By, "step"], typer.Option(help="What one line is about; step: model calls.")
    ] = "model-dimension",
    since: Annotated[
        str | None, typer.Option(help="Only attempts since 24h, 7d, 2w or a date 2026-01-31.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="Only this repository: a folder (.) or an id.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent.")] = None,
    dimension: Annotated[str | None, typer.Option(help="Only this kind of request.")] = None,
    language: Annotated[str | None, typer.Option(help="Only this programming language.")] = None,
    profile: Annotated[str | None, typer.Option(help="Only this profile.")] = None,
    sort: Annotated[Sort, typer.Option(help="What comes first; n: most verified attempts.")] = "n",
    baseline: Annotated[
        str | None,
        typer.Option(
            help="What savings are measured against: always-best (the default), "
            "always-most-expensive, last-month, a profile, or none."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(help="Lines at most; 0 shows all. JSON and CSV have all.", min=0)
    ] = 60,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw a chart instead of the table.")
    ] = False,
    chart: Annotated[ChartName, typer.Option(help="Which chart, for --plot.")] = "matrix",
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Draw it into a .png or .svg file."),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The rows as CSV on stdout.")] = False,
) -> None:
    """Shows how often each model won, with n and 95 % interval, and what a win cost.

    A terminal of 100 columns or more also shows the win rate's trend, tries per win and the share
    of explorations.
    """
    from acr import loop
    from acr.cli import words
    from acr.cli.console import clean, emit_json, err, out
    from acr.memory import summary

    if file and not plot:
        raise UsageError("--out belongs to --plot; for the table as a file use --csv > FILE")
    if plot and (as_json or as_csv):
        raise UsageError("--plot draws; leave out --json and --csv")
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; choose one")
    config = settings.load()
    filters = Filters(
        words.since(since), _repository(repo, config), agent, dimension, language, profile
    )
    with loop.open_memory(config) as memory:
        if by == "step":
            return _steps(memory, filters, as_json)
        found = memory.tries(filters)
        if not found:
            _refuse_unknown(memory, filters, repo)
        compared = None if plot else _savings(memory, filters, found, baseline)
    if plot:
        from acr.cli.plot import draw

        return draw(chart, found, config.orchestrator.epsilon_cost, file)
    made = summary.rows(found, by, sort)
    if as_csv:
        return _write_csv(made, by)
    all_, leading = total(found), summary.leaders(found)
    if as_json:
        return emit_json(
            {
                "by": by,
                "sort": sort,
                "filters": {f.name: getattr(filters, f.name) for f in fields(filters)},
                "rows": [row_data(row, by) for row in made],
                "total": row_data(all_, by),
                "leaders": [_leader_data(leader) for leader in leading],
                "leader_rule": summary.RULE,
                "savings": compared,
            }
        )
    if not found:
        filtered = filters != Filters()
        return err().print("no outcomes match" if filtered else clean(EMPTY))
    out().print(_table(made, found, by, sort, limit))
    for line in _below(all_, leading, compared, len(made) - limit if limit else 0):
        out().print(clean(line), style="dim")
    return None


def row_data(row: Row, by: By) -> dict[str, Any]:
    """A row as JSON data with stable keys; unknown is null."""
    names = by.split("-")
    return {
        **(dict(zip(names, row.key, strict=True)) if row.key else {}),
        "attempts": row.attempts,
        "runs": row.runs,
        "n": row.n,
        "wins": row.wins,
        "losses": row.losses,
        "unverified": row.unverified,
        "win_rate": row.rate,
        "interval": row.interval if row.n else None,
        "cost_usd": row.cost if row.cost_known else None,
        "cost_known": row.cost_known,
        "on_plan": row.plan,
        "cost_per_win_usd": row.cost_per_win,
        "tries_per_win": row.tries_per_win,
        "median_time_s": row.median_time,
        "explored_share": row.exploration,
        "tokens": row.tokens,
        "last": row.last or None,
        "trend": row.trend,
    }


def _steps(memory: Memory, filters: Filters, as_json: bool) -> None:
    """Single model calls that went through the gateway."""
    from acr.cli import steps
    from acr.cli.console import emit_json

    asked = {name: getattr(filters, name) for name in ("since", "repository", "dimension")}
    sums = memory.step_sums(**asked)
    if not as_json:
        return steps.show_sums(sums)
    return emit_json({"by": "step", "filters": asked, "rows": steps.sums_json(sums)})


def _leader_data(leader: Leader) -> dict[str, Any]:
    return {f.name: getattr(leader, f.name) for f in fields(leader)} | {
        "significant": leader.significant
    }


def _write_csv(made: Iterable[Row], by: By) -> None:
    """Columns as in JSON, the interval in two; an unknown figure is an empty cell."""
    names = by.split("-")
    ends = ("interval_low", "interval_high")
    data = [row_data(row, by) for row in made]
    for each in data:
        each.pop("trend")
        each |= dict(zip(ends, each.pop("interval") or (None, None), strict=True))
    empty = row_data(replace(total([]), key=("",) * len(names)), by)
    columns = [*(k for k in empty if k not in ("interval", "trend")), *ends]
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(data)


def _repository(wanted: str | None, config: settings.Settings) -> str | None:
    """The id of the repository in a folder; anything that is no folder is an id already."""
    if wanted is None or not Path(wanted).is_dir():
        return wanted
    from acr.context.repository import find

    return find(Path(wanted).absolute(), config).id


def _refuse_unknown(memory: Memory, filters: Filters, repo: str | None) -> None:
    """Raises UsageError when a filter names something that memory has never seen."""
    from acr.agents import ADAPTERS
    from acr.agents.profiles import load_all
    from acr.nouns import DIMENSIONS

    more: dict[str, Callable[[], Iterable[str]]] = {
        "agent": lambda: ADAPTERS,
        "dimension": lambda: DIMENSIONS,
        "profile": load_all,
    }
    for name in ("agent", "dimension", "language", "profile"):
        value = getattr(filters, name)
        seen = memory.values(name) if value is not None else []
        known = {*seen, *more.get(name, tuple)()}
        if value is not None and known and value not in known:
            what = "kind of request" if name == "dimension" else name
            raise UsageError(f"--{name} {value}: no such {what}; {_near(value, known)}")
    repositories = memory.values("repository") if filters.repository is not None else []
    if repositories and filters.repository not in repositories:
        own = filters.repository != repo
        hint = "acr has not worked there yet" if own else _near(repo or "", repositories)
        raise UsageError(f"--repo {repo}: nothing is known of it; {hint}")


def _near(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else "known: " + ", ".join(known[:10])


def _savings(
    memory: Memory, filters: Filters, found: Sequence[Try], name: str | None
) -> Savings | None:
    """Against the baseline called `name`; None without one, or without anything to compare.

    A profile's figures are those of all time and of all that the other filters leave. Raises
    UsageError for a baseline that is none.
    """
    from acr.memory import summary

    if name == NONE:
        return None
    wider = replace(filters, since=None, agent=None, profile=None)
    everything = found if wider == filters else memory.tries(wider)
    before: list[Try] = []
    if name == "last-month":
        start = filters.since or time.time() - summary.MONTH
        found = [t for t in found if t.started and t.started >= start]
        wider = replace(wider, since=start - summary.MONTH)
        before = [t for t in memory.tries(wider) if t.started and t.started < start]
    against = summary.baseline(name or DEFAULT, everything, before)
    if against is None:
        if name and name not in BASELINES:
            known = [*BASELINES, NONE, *memory.values("profile")]
            raise UsageError(f"--baseline {name}: no attempts of it; {_near(name, known)}")
        return None
    if name is None and len(against.costs) < FEW:
        return None
    return summary.savings(found, against)


def _table(made: Sequence[Row], found: Sequence[Try], by: By, sort: Sort, limit: int) -> Table:
    """One line per row; a model's dimensions are set in below the model."""
    from acr.cli.console import clean, out, table
    from acr.memory import summary

    wide = out().width >= WIDE
    figures: tuple[str, ...] = ("won", "win rate", "unverified", "cost/win", "time")
    if wide:
        figures = (*figures[:2], "trend", *figures[2:], "tries/win", "explored")
    shown = table(by.replace("-", " / "), *figures, right=figures)
    for column in shown.columns[1:]:
        column.no_wrap = True
    most = limit or len(made)
    if by != "model-dimension":
        for row in made[:most]:
            shown.add_row(clean(row.key[0] or UNKNOWN), *_figures(row, wide))
        return shown
    below: dict[str, list[Row]] = {}
    for row in made:
        below.setdefault(row.key[0], []).append(row)
    for model in summary.rows(found, "model", sort):
        if most <= 0:
            break
        name = model.key[0]
        shown.add_row(clean(name or f"model {UNKNOWN}"), *_figures(model, wide), style="bold")
        for row in below[name][:most]:
            shown.add_row(f"  {clean(row.key[1])}", *_figures(row, wide))
        most -= len(below[name])
    return shown


def _figures(row: Row, wide: bool) -> tuple[str, ...]:
    from acr.cli import words

    tries = row.tries_per_win
    cells = [
        f"{row.wins}/{row.n}",
        words.rate(row.wins, row.n, *row.interval),
        str(row.unverified or "-"),
        _cost(row),
        UNKNOWN if row.median_time is None else words.span(row.median_time),
    ]
    if wide:
        cells.insert(2, _sparks(row.trend))
        cells += ["-" if tries is None else f"{tries:.1f}", _share(row.exploration)]
    return tuple(cells)


def _sparks(trend: Iterable[float | None]) -> str:
    """One mark per span of time, from no win to only wins; a dot where nothing was verified."""
    top = len(SPARKS) - 1
    return "".join("·" if rate is None else SPARKS[round(rate * top)] for rate in trend)


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.0f} %"


def _cost(row: Row) -> str:
    """USD per win; a lower bound when some costs are unknown, never 0 for unknown."""
    from acr.cli.live import money

    if not row.cost_known:
        return UNKNOWN
    plan = {0: "", row.attempts: " plan"}.get(row.plan, " part plan")
    if not row.wins:
        return "no win"
    return ("" if row.cost_per_win is not None else "≥ ") + money(row.cost / row.wins) + plan


def _below(
    all_: Row, leading: Sequence[Leader], compared: Savings | None, hidden: int
) -> list[str]:
    """What stands below the table."""
    lines = [f"{_count(hidden, 'more row')}; --limit 0 shows all"] if hidden > 0 else []
    lines += _summary(all_)
    if compared and compared.saved is not None:
        lines.append(_saved(compared))
    lines += _leading(leading)
    lines.append(
        "[95 % Wilson interval] · cost/win: all attempts and judging ÷ wins · time: median"
    )
    return lines


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _summary(all_: Row) -> list[str]:
    from acr.cli import words
    from acr.cli.live import money

    known, unknown = all_.cost_known, all_.attempts - all_.cost_known
    judged = f"{all_.wins} won, {all_.losses} lost, {all_.unverified} unverified"
    rate = words.rate(all_.wins, all_.n, *all_.interval)
    explored = f"{_share(all_.exploration)} explored"
    cost = f"cost {money(all_.cost if known else None)}"
    if all_.plan:
        cost += f", of {_count(all_.plan, 'attempt')} on a plan the list price"
    if known and unknown:
        cost += f", and {_count(unknown, 'attempt')} of unknown cost, which ≥ leaves out"
    tries, runs = _count(all_.attempts, "attempt"), _count(all_.runs, "run")
    return [f"{tries} in {runs}: {judged} · {rate} · {explored}", cost]


def _saved(found: Savings) -> str:
    """`saved $1.20 [-0.40 to 2.80] against always x, one try (12 attempts): ...`, or spent more."""
    from acr.cli.live import money

    saved = found.saved or 0.0
    text = f"saved {money(saved)}" if saved >= 0 else f"spent {money(-saved)} more"
    text += _between(found.interval) + f" {'against' if saved >= 0 else 'than'} {found.label}"
    if found.wins is not None:
        more = "more" if found.wins >= 0 else "fewer"
        text += f", with {abs(found.wins):.1f} {more} wins"
        text += _between(found.wins_interval) + f" of {found.verified}"
    left = f"; {_count(found.left_out, 'run')} of unknown cost left out" if found.left_out else ""
    return f"{text} ({_count(found.runs, 'run')}, delta method{left})"


def _between(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return " [no interval: too few]"
    low, high = (0.0 if abs(end) < 0.005 else end for end in interval)
    return f" [{low:.2f} to {high:.2f}]"


def _leading(leading: Sequence[Leader]) -> list[str]:
    """Who leads where, only where that is more than chance."""
    sure = [one for one in leading if one.significant]
    if not any(one.compared for one in leading):
        return []
    if not sure:
        return ["no model leads a kind of request by more than chance (Fisher's exact test, Holm)"]
    told = ", ".join(f"{s.dimension} {s.model} {s.wins}/{s.n} (p {_p(s.p or 0.0)})" for s in sure)
    return [f"leads by Fisher's exact test, Holm-corrected: {told}"]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
