"""acr hooks: what the hooks in agents' configs may do."""

from __future__ import annotations

import typer

from acr.cli.hooks_settings import advise_app, subagents_app, verify_app

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
app.add_typer(verify_app, name="verify")
app.add_typer(advise_app, name="advise")
app.add_typer(subagents_app, name="subagents")
