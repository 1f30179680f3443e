"""acr hooks verify, advise, subagents: what hooks may do; each is off until it is switched on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from acr import hooksfile, settings
from acr.cli.run import AsJson, Cwd, folder
from acr.errors import UsageError

__all__ = ["advise_app", "subagents_app", "verify_app"]

ROUTABLE = ("claude", "codex")
"""Agents whose hooks can set a sub-agent's model."""


def _group(purpose: str) -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, help=purpose)


verify_app = _group("Whether turns of ordinary sessions are verified here; default: status.")
advise_app = _group("Whether prompts get a line about a better profile; default: status.")
subagents_app = _group("Whether sub-agents' models come from a pool; default: status.")


@verify_app.callback(invoke_without_command=True)
def _verify(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        verify_status()


@verify_app.command("status")
def verify_status(*, cwd: Cwd = None, as_json: AsJson = False) -> None:
    """Says whether the tests are run after turns of ordinary sessions in this repository."""
    from acr.cli.console import clean, emit_json, out
    from acr.sessions.judge import allowed

    root = _root(cwd)
    on, why = allowed(root, settings.load())
    if as_json:
        return emit_json({"repository": root, "on": on, "reason": why})
    return out().print(clean(f"{root}: verification of sessions is {_word(on)} ({why})"))


@verify_app.command("on")
def verify_on(*, cwd: Cwd = None) -> None:
    """Lets acr run this repository's tests, in the sandbox, after turns of ordinary sessions."""
    _set_verify(cwd, True)


@verify_app.command("off")
def verify_off(*, cwd: Cwd = None) -> None:
    """Runs nothing after ordinary sessions here; what the agent itself ran still counts."""
    _set_verify(cwd, False)


@advise_app.callback(invoke_without_command=True)
def _advise(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        advise_status()


@advise_app.command("status")
def advise_status(*, as_json: AsJson = False) -> None:
    """Says whether advice is on, and what it would say now."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out
    from acr.sessions import advice

    on = hooksfile.load().advise
    with loop.open_memory(settings.load()) as memory:
        known = advice.records(memory.totals())
    lines = [
        said
        for dimension, cell in known.items()
        for record in cell.values()
        if (said := advice.line(dimension, record, cell.values()))
    ]
    if as_json:
        return emit_json({"on": on, "lines": lines})
    out().print(f"advice is {_word(on)}")
    for said in lines:
        out().print(f"  {clean(said)}")
    return None


@advise_app.command("on")
def advise_on() -> None:
    """Adds one line of context to a prompt when memory says that another profile clearly wins."""
    _set("advice", advise=True)


@advise_app.command("off")
def advise_off() -> None:
    """Adds nothing to prompts."""
    _set("advice", advise=False)


@subagents_app.callback(invoke_without_command=True)
def _subagents(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        subagents_status()


@subagents_app.command("status")
def subagents_status(*, as_json: AsJson = False) -> None:
    """Says which model a sub-agent would get for each kind of request, and why."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out
    from acr.sessions import advice

    about = hooksfile.load()
    with loop.open_memory(settings.load()) as memory:
        known = advice.records(memory.totals())
    chosen = {agent: advice.choices(pool, known) for agent, pool in about.pool.items()}
    if as_json:
        return emit_json({"on": about.subagents, "pool": about.pool, "choices": chosen})
    out().print(f"routing of sub-agents is {_word(about.subagents)}")
    for agent, pool in about.pool.items():
        out().print(f"  {agent}: {clean(', '.join(pool))}")
        for dimension, choice in chosen[agent].items():
            about_it = f"{dimension or 'anything else'}: {choice.model} ({choice.why})"
            out().print(f"    {clean(about_it)}")
    return None


@subagents_app.command("on", epilog="Example: acr hooks subagents on claude=haiku,sonnet")
def subagents_on(
    pool: Annotated[
        list[str] | None,
        typer.Argument(metavar="AGENT=MODEL,…", help="Models that sub-agents may have."),
    ] = None,
) -> None:
    """Gives sub-agents of Claude Code and Codex the model of the pool that does best so far.

    A model of the pool that the agent itself asked for stays.
    """
    known = {**hooksfile.load().pool, **dict(map(_pool, pool or []))}
    if not any(known.values()):
        raise UsageError("which models? For example: acr hooks subagents on claude=haiku,sonnet")
    _set("routing of sub-agents", subagents=True, pool=known)


@subagents_app.command("off")
def subagents_off() -> None:
    """Leaves sub-agents' models alone; the pool is kept."""
    _set("routing of sub-agents", subagents=False)


def _pool(given: str) -> tuple[str, tuple[str, ...]]:
    agent, equals, models = given.partition("=")
    named = tuple(name.strip() for name in models.split(",") if name.strip())
    if agent not in ROUTABLE or not equals or not named:
        raise UsageError(f"{given}: give AGENT=MODEL,… with an agent of {', '.join(ROUTABLE)}")
    return agent, named


def _set(what: str, **values: object) -> None:
    from acr.cli.console import out

    hooksfile.change(**values)
    _tell_hooks()
    on = next(value for value in values.values() if isinstance(value, bool))
    out().print(f"{what} is {_word(on)}")


def _tell_hooks() -> None:
    """Works out again what hooks say at once."""
    from acr import loop
    from acr.sessions import advice, judge

    config = settings.load()
    with loop.open_memory(config) as memory:
        advice.write(memory, judge.roots(config))


def _word(on: bool) -> str:
    return "on" if on else "off"


def _root(cwd: Path | None) -> Path:
    from acr.context.repository import find

    return find(folder(cwd), settings.load()).root


def _set_verify(cwd: Path | None, on: bool) -> None:
    from acr.cli.config import set_
    from acr.cli.toml import dotted

    set_(dotted(("repositories", os.fspath(_root(cwd)), "verify")), ["true" if on else "false"])
    _tell_hooks()
