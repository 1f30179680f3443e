"""acr status: the last run, today's spend and the win rate, at a glance."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from acr import settings
from acr.cli import short as line
from acr.cli.run import AsJson
from acr.errors import UsageError

__all__ = ["app", "outcome_data", "spent"]

DAYS = 30
"""Over which the long form counts."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="In a shell's prompt or a status bar: $(acr status --short)")
def status(
    *,
    short: Annotated[
        bool, typer.Option("--short", help="One line: last model, today's spend, win rate.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Shows what runs, the last run, what today and the last 30 days cost, and the win rate."""
    from acr import lock, loop
    from acr.cli.console import clean, emit_json, err, out
    from acr.memory import summary
    from acr.memory.summary import Filters

    if short and as_json:
        raise UsageError("--short and --json exclude each other; choose one")
    now = time.time()
    with loop.open_memory(settings.load()) as memory:
        if short:
            return line.write(line.line() or "no runs yet")  # it is migrated now
        tries = memory.tries(Filters(since=min(line.midnight(), now - DAYS * 86_400)))
        latest = memory.outcomes(limit=1)
    recent = [t for t in tries if t.started and t.started >= now - DAYS * 86_400]
    today = [t for t in tries if t.started and t.started >= line.midnight()]
    running = lock.held()
    if as_json:
        totals = {"today": summary.total(today), f"days_{DAYS}": summary.total(recent)}
        return emit_json(
            {
                "running": running,
                "last": outcome_data(latest[0]) if latest else None,
                **{name: _row(row) for name, row in totals.items()},
            }
        )
    if not latest and not running:
        return err().print(clean('no runs yet; start one: acr "PROMPT"'))
    for one in running:
        out().print(clean(f"running: {one.prompt} ({one.root}, process {one.pid})"))
    if latest:
        out().print(clean(_sentence(latest[0])))
    for name, found in (("today", today), (f"last {DAYS} days", recent)):
        out().print(clean(f"{name}: {spent(summary.total(found))}"))
    return None


def spent(row: Any) -> str:
    """What attempts cost and how often they won, with n and interval."""
    from acr.cli import words
    from acr.cli.live import money

    if not row.attempts:
        return "no attempts"
    unknown = row.attempts - row.cost_known
    cost = money(row.cost if row.cost_known else None, bool(row.plan == row.attempts))
    parts = [
        f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}",
        ("≥ " if unknown and row.cost_known else "") + cost,
        f"{words.rate(row.wins, row.n, *row.interval)} won, n {row.n}"
        if row.n
        else "nothing verified",
    ]
    parts += [f"{row.plan} on a plan at list price"] if 0 < row.plan < row.attempts else []
    return " · ".join(parts)


def _sentence(outcome: Any) -> str:
    from acr.cli import words
    from acr.cli.live import money

    attempt = outcome.attempt
    model = attempt.model or "model unknown"
    prompt = " ".join(outcome.task.prompt[:400].split())[:60]
    return (
        f"last: {outcome.status} · {prompt} · {attempt.profile} ({model}) · "
        f"{money(outcome.cost, attempt.plan)} · {words.ago(attempt.started)} · {outcome.task.id}"
    )


def outcome_data(outcome: Any) -> dict[str, Any]:
    """An attempt, as JSON data with stable keys."""
    return {
        "run": outcome.task.id,
        "started": outcome.attempt.started,
        "prompt": outcome.task.prompt,
        "dimension": outcome.task.dimension,
        "profile": outcome.attempt.profile,
        "model": outcome.attempt.model,
        "status": outcome.status,
        "cost_usd": outcome.cost,
    }


def _row(row: Any) -> dict[str, Any]:
    from acr.cli.stats import row_data

    return row_data(row, "profile")
