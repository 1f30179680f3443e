"""acr init: finds installed agents and writes a first config.toml."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from acr import settings
from acr.cli.run import AsJson, Yes
from acr.errors import AgentError

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def init(
    *,
    yes: Yes = False,
    sync: Annotated[bool, typer.Option("--sync", help="Also write Codex's profile files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Finds the agents on this machine and writes the pool of those into config.toml."""
    from acr import agents
    from acr.cli.console import clean, emit_json, out

    found = {n: agents.get(n).detect() for n in agents.ADAPTERS if n != "scripted"}
    present = [name for name, seen in found.items() if seen.found]
    path = settings.home() / "config.toml"
    written = bool(present) and not path.exists() and _agreed(present, yes=yes or as_json)
    if written:
        from acr.files import replace_file

        replace_file(path, _config(present))
    if as_json:
        emit_json({"agents": found, "pool": present, "config": str(path), "written": written})
    else:
        for name, seen in found.items():
            about = ", ".join(filter(None, (seen.version or "found", seen.auth)))
            state = about if seen.found else seen.hint
            out().print(clean(f"{'✓' if seen.found else '·'} {name}: {state}"))
    if not present:
        raise AgentError("no coding agent is installed; install one of those above, then acr init")
    if not as_json:
        _say_next(str(path), present, written)
    if sync:
        from acr.cli.profiles import sync as make

        make(as_json=False)


def _agreed(present: list[str], *, yes: bool) -> bool:
    if yes or not sys.stdin.isatty():
        return True
    return typer.confirm(f"Write a pool of {', '.join(present)} to config.toml?", default=True)


def _config(present: list[str]) -> str:
    names = ", ".join(f'"{name}"' for name in present)
    return f"# Written by acr init; acr config shows every setting.\n[pool]\nagents = [{names}]\n"


def _say_next(path: str, present: list[str], written: bool) -> None:
    from acr.cli.console import clean, out

    if written:
        out().print(clean(f"written: {path}"))
    elif settings.load().pool.agents == tuple(present):
        out().print(clean(f"{path} allows them already"))
    else:
        line = "agents = [" + ", ".join(f'"{name}"' for name in present) + "]"
        out().print(clean(f"{path} is left as it is; under [pool] it could say: {line}"))
    out().print(clean('next: acr "fix the failing test"'))
