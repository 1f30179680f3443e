"""acr agents: which coding agents are here, and which profiles use them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import typer

from acr.cli.run import AsJson
from acr.nouns import to_json

__all__ = ["app", "found"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Lists coding agents: found, version, login, profiles."""
    if context.invoked_subcommand is None:
        list_agents(as_json=as_json)


@app.command("list")
def list_agents(*, as_json: AsJson = False) -> None:
    """Lists coding agents, with what to do about those that are missing or not logged in."""
    from acr.cli.console import clean, emit_json, out, table

    rows = found()
    if as_json:
        emit_json(rows)
        return
    shown = table("agent", "version", "login", "profiles")
    for row in rows:
        version = (row["version"] or "unknown") if row["found"] else "missing"
        profiles = ", ".join(row["profiles"]) or "-"
        shown.add_row(*map(clean, (row["agent"], version, row["auth"] or "-", profiles)))
    out().print(shown)
    for row in rows:
        if row["hint"]:
            out().print(clean(f"{row['agent']}: {row['hint']}"))


def found() -> list[dict[str, Any]]:
    """One row an agent: agent, found, path, version, auth, hint, profiles; by name."""
    from acr.agents import ADAPTERS, get
    from acr.agents.profiles import load_all

    profiles = load_all().values()
    with ThreadPoolExecutor() as pool:  # some agents take seconds to tell their version
        detections = list(pool.map(lambda name: get(name).detect(), ADAPTERS))
    return [
        {
            "agent": name,
            **to_json(detection),
            "profiles": [p.name for p in profiles if p.agent == name],
        }
        for name, detection in zip(ADAPTERS, detections, strict=True)
    ]
