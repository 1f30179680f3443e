"""acr stats: win rates per model and kind of task, with n, interval and cost per win."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.errors import UsageError
from acr.nouns import Statistic

if TYPE_CHECKING:
    from rich.table import Table

    from acr.memory.store import Memory

__all__ = ["Row", "app", "rows"]

By = Literal["model-dimension", "profile", "model", "agent", "dimension", "step"]
KEYS: dict[By, Callable[[Statistic], tuple[str, ...]]] = {
    "model-dimension": lambda s: (s.model, s.dimension),
    "profile": lambda s: (s.profile,),
    "model": lambda s: (s.model,),
    "agent": lambda s: (s.agent,),
    "dimension": lambda s: (s.dimension,),
}
UNKNOWN = "model unknown"
EMPTY = 'no outcomes yet; run acr "PROMPT" in a repository, or acr demo to see the loop'

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Row:
    """What attempts that share a key add up to."""

    key: tuple[str, ...]
    attempts: int
    wins: int
    losses: int
    cost: float
    """USD of the attempts whose cost is known."""
    cost_known: int
    duration: float
    """Seconds, all attempts together; 0 when the caller of `acr feedback` never said."""
    tokens: int
    last: float
    """Seconds since the epoch."""

    @property
    def n(self) -> int:
        """Verified attempts: the n of the win rate."""
        return self.wins + self.losses

    @property
    def unverified(self) -> int:
        """Attempts that are neither win nor loss."""
        return self.attempts - self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the win rate."""
        from acr.memory.statistics import wilson

        return wilson(self.wins, self.n)

    @property
    def cost_per_win(self) -> float | None:
        """USD of all attempts, lost and unverified ones too, per win; None when not all known."""
        known = self.wins and self.cost_known == self.attempts
        return self.cost / self.wins if known else None


@app.command(epilog="Examples: acr stats --by profile · acr stats --since 7d --repo .")
def stats(
    *,
    by: Annotated[By, typer.Option(help="What one line is about.")] = "model-dimension",
    since: Annotated[
        str | None, typer.Option(help="Only attempts since 24h, 7d, 2w or a date 2026-01-31.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="Only this repository: a folder (.) or an id.")
    ] = None,
    dimension: Annotated[str | None, typer.Option(help="Only this kind of request.")] = None,
    as_json: AsJson = False,
) -> None:
    """Shows how often each model won, with n and 95 % interval, and what a win cost."""
    from acr import loop
    from acr.cli import words
    from acr.cli.console import clean, emit_json, err, out

    config = settings.load()
    start = words.since(since)
    repository = _repository(repo, config)
    with loop.open_memory(config) as memory:
        if by == "step":
            return _steps(memory, dimension, repository, start, as_json)
        found = memory.statistics(dimension=dimension, repository=repository, since=start)
        if not found:
            _refuse_unknown(memory, dimension, repository, repo)
    made = rows(found, by)
    total = _total(found)
    if as_json:
        filters = {"since": start, "repository": repository, "dimension": dimension}
        return emit_json(
            {
                "by": by,
                "filters": filters,
                "rows": [_data(row, by) for row in made],
                "total": _data(total, by),
            }
        )
    if not found:
        filtered = since or repo or dimension
        return err().print("no outcomes match" if filtered else clean(EMPTY))
    out().print(_table(found, by))
    for line in _summary(total):
        out().print(clean(line), style="dim")
    return None


def _steps(
    memory: Memory, dimension: str | None, repository: str | None, since: float | None, json: bool
) -> None:
    """Single model calls that went through the gateway."""
    from acr.cli import steps
    from acr.cli.console import emit_json

    sums = memory.step_sums(dimension, repository, since)
    if not json:
        return steps.show_sums(sums)
    filters = {"since": since, "repository": repository, "dimension": dimension}
    return emit_json({"by": "step", "filters": filters, "rows": steps.sums_json(sums)})


def rows(found: Iterable[Statistic], by: By) -> list[Row]:
    """One row per key, the one with most verified attempts first."""
    groups: dict[tuple[str, ...], list[Statistic]] = {}
    for statistic in found:
        groups.setdefault(KEYS[by](statistic), []).append(statistic)
    made = [_add(key, group) for key, group in groups.items()]
    return sorted(made, key=lambda r: (-r.n, -r.attempts, r.key))


def _add(key: tuple[str, ...], group: list[Statistic]) -> Row:
    return Row(
        key=key,
        attempts=sum(s.n for s in group),
        wins=sum(s.wins for s in group),
        losses=sum(s.losses for s in group),
        cost=sum(s.cost for s in group),
        cost_known=sum(s.cost_n for s in group),
        duration=sum(s.duration for s in group),
        tokens=sum(s.tokens for s in group),
        last=max((s.last for s in group), default=0.0),
    )


def _total(found: Iterable[Statistic]) -> Row:
    return _add((), list(found))


def _repository(wanted: str | None, config: settings.Settings) -> str | None:
    """The id of the repository in a folder; anything that is no folder is an id already."""
    if wanted is None or not Path(wanted).is_dir():
        return wanted
    from acr.context.repository import find

    return find(Path(wanted).absolute(), config).id


def _refuse_unknown(
    memory: Memory, dimension: str | None, repository: str | None, repo: str | None
) -> None:
    """Raises UsageError when a filter names something that memory has never seen."""
    from acr.nouns import DIMENSIONS

    everything = memory.statistics()
    dimensions = {*DIMENSIONS, *(s.dimension for s in everything)}
    if dimension is not None and dimension not in dimensions:
        raise UsageError(
            f"--dimension {dimension}: no such dimension; {_near(dimension, dimensions)}"
        )
    repositories = {s.repository for s in everything}
    if repository is not None and everything and repository not in repositories:
        hint = "acr has not worked there yet" if repository != repo else _near(repo, repositories)
        raise UsageError(f"--repo {repo}: nothing is known of it; {hint}")


def _near(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else "known: " + ", ".join(known[:10])


def _data(row: Row, by: By) -> dict[str, Any]:
    """A row as JSON data with stable keys; unknown is null."""
    names = by.split("-")
    return {
        **(dict(zip(names, row.key, strict=True)) if row.key else {}),
        "attempts": row.attempts,
        "n": row.n,
        "wins": row.wins,
        "losses": row.losses,
        "unverified": row.unverified,
        "win_rate": row.wins / row.n if row.n else None,
        "interval": row.interval if row.n else None,
        "cost_usd": row.cost if row.cost_known else None,
        "cost_known": row.cost_known,
        "cost_per_win_usd": row.cost_per_win,
        "mean_time_s": row.duration / row.attempts if row.duration else None,
        "tokens": row.tokens,
        "last": row.last or None,
    }


def _table(found: Sequence[Statistic], by: By) -> Table:
    """One line per row; a model's dimensions are set in below the model."""
    from acr.cli.console import clean, table

    figures = ("won", "win rate", "unverified", "cost/win", "time")
    shown = table(by.replace("-", " / "), *figures, right=figures)
    for column in shown.columns[1:]:
        column.no_wrap = True
    if by != "model-dimension":
        for row in rows(found, by):
            shown.add_row(clean(row.key[0] or UNKNOWN), *_figures(row))
        return shown
    for model in rows(found, "model"):
        shown.add_row(clean(model.key[0] or UNKNOWN), *_figures(model), style="bold")
        for row in rows(found, by):
            if row.key[0] == model.key[0]:
                shown.add_row(f"  {clean(row.key[1])}", *_figures(row))
    return shown


def _figures(row: Row) -> tuple[str, ...]:
    from acr.cli import words

    return (
        f"{row.wins}/{row.n}",
        words.rate(row.wins, row.n, *row.interval),
        str(row.unverified or "-"),
        _cost(row),
        words.span(row.duration / row.attempts) if row.duration else "unknown",
    )


def _cost(row: Row) -> str:
    """USD per win; a lower bound when some costs are unknown, never 0 for unknown."""
    from acr.cli.live import money

    if not row.cost_known:
        return "unknown"
    if not row.wins:
        return "no win"
    return ("" if row.cost_per_win is not None else "≥ ") + money(row.cost / row.wins)


def _summary(total: Row) -> list[str]:
    from acr.cli import words
    from acr.cli.live import money

    def count(n: int, what: str) -> str:
        return f"{n} {what}{'' if n == 1 else 's'}"

    known, unknown = total.cost_known, total.attempts - total.cost_known
    judged = f"{total.wins} won, {total.losses} lost, {total.unverified} unverified"
    rate = words.rate(total.wins, total.n, *total.interval)
    cost = f"cost {money(total.cost if known else None)}"
    if known and unknown:
        cost += f", and {count(unknown, 'attempt')} of unknown cost, which ≥ leaves out"
    return [
        f"{count(total.attempts, 'attempt')}: {judged} · {rate}",
        cost,
        "[95 % Wilson interval] · cost/win: all attempts ÷ wins · time: mean",
    ]
