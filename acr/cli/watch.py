"""acr watch: what runs now, what today costs, how the last attempts went."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import settings
from acr.cli import short
from acr.cli.run import AsJson
from acr.errors import UsageError
from acr.memory.summary import Filters, Row
from acr.nouns import Outcome

if TYPE_CHECKING:
    from rich.console import Group

    from acr.memory.store import Memory

__all__ = ["app"]

LATEST = 8
"""Verdicts that are shown."""
OTHERS = 62
"""Columns of the terminal that are not the task's."""
SHOWN = {
    "pass": "[green]✓ pass[/]",
    "fail": "[red]✗ fail[/]",
    "unverified": "[yellow]? unverified[/]",
}

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Running:
    """A run that is under way."""

    run: str | None
    """None until it has decided."""
    profile: str | None
    prompt: str
    root: str
    since: float
    """Seconds since the epoch."""
    pid: int


@dataclass(frozen=True, slots=True)
class Now:
    """One moment."""

    running: tuple[Running, ...]
    today: Row
    latest: tuple[Outcome, ...]
    """Newest first."""


@app.command(epilog="Examples: acr watch · acr watch --once --json")
def watch(
    *,
    every: Annotated[
        float, typer.Option(help="Seconds between two looks.", min=0.1, max=3600)
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Show this moment and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows running tries, what today costs and the last verdicts, until ^C.

    Off a terminal each change is a line.
    """
    from acr import loop
    from acr.cli.console import emit_json, out

    if as_json and not once:
        raise UsageError("--json shows one moment; add --once")
    with loop.open_memory(settings.load()) as memory:
        if as_json:
            return emit_json(_data(_look(memory)))
        if once:
            return out().print(_screen(_look(memory)))
        if out().is_terminal:
            return _live(memory, every)
        return _lines(memory, every)


def _look(memory: Memory) -> Now:
    from acr import lock
    from acr.memory import summary

    running = []
    for one in lock.held():
        run, profile = memory.open_decision(one.root, one.since) or (None, None)
        running.append(Running(run, profile, one.prompt, one.root, one.since, one.pid))
    today = summary.total(memory.tries(Filters(since=short.midnight())))
    return Now(tuple(running), today, memory.outcomes(limit=LATEST))


def _live(memory: Memory, every: float) -> None:
    from rich.live import Live

    from acr.cli.console import out

    pause = threading.Event()
    with Live(_screen(_look(memory)), console=out(), auto_refresh=False) as live:
        while not pause.wait(every):
            live.update(_screen(_look(memory)), refresh=True)


def _lines(memory: Memory, every: float) -> None:
    """What is new since the last look, oldest first; at the start, the whole moment."""
    from acr.cli.console import clean, out

    pause, told, begun = threading.Event(), set[str](), set[float]()
    while True:
        now = _look(memory)
        new = [o for o in reversed(now.latest) if o.attempt.id not in told]
        lines = [_begun(r) for r in now.running if r.since not in begun]
        lines += [_ended(o) for o in new]
        if lines or not told:
            lines.append(_today(now))
        for line in lines:
            out().print(clean(line))
        out().file.flush()
        told |= {o.attempt.id for o in now.latest} | {""}
        begun |= {r.since for r in now.running}
        if pause.wait(every):
            return


def _screen(now: Now) -> Group:
    from rich.console import Group
    from rich.text import Text

    from acr.cli import words
    from acr.cli.console import clean, out, table
    from acr.cli.live import money

    parts: list[Any] = [Text.from_markup(f"[bold]{clean(_today(now))}[/]")]
    room = max(20, out().width - OTHERS)
    if now.running:
        shown = table("running", "profile", "task", "run", right=("running",))
        for one in now.running:
            took = words.span(time.time() - one.since)
            shown.add_row(took, *map(clean, (one.profile or "deciding", _brief(one.prompt, room),
                                             one.run or "")))  # fmt: skip
        parts.append(shown)
    else:
        parts.append(Text("nothing is running", style="dim"))
    if now.latest:
        shown = table("verdict", "when", "profile", "cost", "task", "run", right=("cost",))
        for o in now.latest:
            when, cost = words.ago(o.attempt.started), money(o.cost, o.attempt.plan)
            cells = (when, o.attempt.profile, cost, _brief(o.task.prompt, room), o.task.id)
            shown.add_row(SHOWN[o.status], *map(clean, cells))
        parts.append(shown)
    return Group(*parts)


def _brief(prompt: str, most: int = 44) -> str:
    line = " ".join(prompt[: 8 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _today(now: Now) -> str:
    from acr.cli.status import spent

    return f"today: {spent(now.today)}"


def _begun(one: Running) -> str:
    return f"running: {_brief(one.prompt)} ({one.root}, process {one.pid})"


def _ended(o: Outcome) -> str:
    from acr.cli.live import money

    when = time.strftime("%H:%M:%S", time.localtime(o.attempt.started + o.attempt.duration))
    parts = (_brief(o.task.prompt), o.attempt.profile, money(o.cost, o.attempt.plan), o.task.id)
    return f"{when} {o.status}: {' · '.join(parts)}"


def _data(now: Now) -> dict[str, Any]:
    from acr.cli.stats import row_data
    from acr.cli.status import outcome_data

    return {
        "running": now.running,
        "today": row_data(now.today, "profile"),
        "latest": [outcome_data(o) for o in now.latest],
    }
