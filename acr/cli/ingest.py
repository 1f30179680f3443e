"""acr ingest: what hooks noted about ordinary sessions becomes outcomes."""

from __future__ import annotations

import os

import typer

from acr import settings
from acr.cli.run import AsJson

__all__ = ["app"]

NICE = 10

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ingest(*, as_json: AsJson = False) -> None:
    """Learns from the sessions that hooks noted; hooks start it by themselves when a turn ends."""
    from acr.cli.console import clean, emit_json, err, out
    from acr.sessions.ingest import ingest as all_noted

    os.nice(NICE)

    def progress(text: str) -> None:
        if err().is_terminal:
            err().print(f"acr: {clean(text)} …", style="dim")

    made = all_noted(settings.load(), progress)
    if as_json:
        return emit_json(made)
    if made is None:
        return out().print("another acr ingest is at work")
    turns = f"{made.stored} {'turn' if made.stored == 1 else 'turns'} learned"
    waiting = f" · {made.waiting} not over yet" if made.waiting else ""
    lowered = f" · {made.lowered} lowered by a complaint" if made.lowered else ""
    out().print(turns + lowered + waiting)
    for problem in made.problems:
        err().print(f"acr: {clean(problem)}")
    return None
