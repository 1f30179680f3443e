"""acr context: what acr sees in this repository, and why."""

from __future__ import annotations

from dataclasses import replace

import typer

from acr import git, settings
from acr.cli.run import AsJson, Cwd, folder

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def context(*, cwd: Cwd = None, as_json: AsJson = False) -> None:
    """Shows the repository, its languages and its test command, and why acr thinks so."""
    from acr.cli.console import clean, emit_json, out
    from acr.context.repository import find

    found = find(folder(cwd), settings.load())
    dirs = git.find_git(found.root)
    if dirs:
        found = replace(found, dirty=git.is_dirty(found.root, dirs))
    if as_json:
        emit_json(found)
        return
    size = f"{found.files}{'+' if found.capped else ''} files, {found.bytes / 1e6:.1f} MB"
    state = "with uncommitted changes" if found.dirty else "clean"
    out().print(clean(f"{found.root} ({found.id}): {size}{', ' + state if dirs else ''}"))
    for note in found.notes:
        out().print(clean(f"  {note}"))
