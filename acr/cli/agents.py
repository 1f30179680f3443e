"""acr agents: which coding agents are here, and which profiles use them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer

from acr.nouns import to_json

__all__ = ["app", "found"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def agents(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Lists coding agents: found, version, how they seem to be logged in, profiles."""
    from acr.cli.console import clean, emit_json, out, table

    rows = found()
    if as_json:
        emit_json(rows)
        return
    shown = table("agent", "version", "login", "profiles", "path or what to do")
    for row in rows:
        shown.add_row(
            row["agent"],
            clean(row["version"]) or ("?" if row["found"] else "missing"),
            clean(row["auth"]) or "-",
            clean(", ".join(row["profiles"])) or "-",
            clean(row["hint"] or row["path"]),
        )
    out().print(shown)


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
