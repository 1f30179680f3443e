"""acr gateway: a gateway for agents that you start yourself."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import settings
from acr.cli.evaluate import evaluate, limits_with, savings
from acr.cli.run import AsJson
from acr.errors import AcrError, UsageError

if TYPE_CHECKING:
    from acr.gateway.process import Running, Started

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command()(evaluate)
app.command()(savings)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Runs a gateway that routes single model calls; shows those that run."""
    if context.invoked_subcommand is None:
        status(as_json=as_json)


@app.command()
def run(
    *,
    port: Annotated[
        int, typer.Option(help="Port on the loopback; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    router: Annotated[
        str, typer.Option(help="Who chooses tiers, or tiers in turn: frontier,minimal.")
    ] = "",
    tiers: Annotated[
        list[str] | None, typer.Option(help="As in max=mid or edit=frontier; see gateway.tiers.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(help="A provider's base URL, as in anthropic=http://localhost:4000."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serves in the foreground until ^C, and says how to point agents at it. Nothing is stored in
    their configuration: without these variables and options they work as ever."""
    from acr.cli.console import emit_json, err
    from acr.gateway import process
    from acr.gateway.config import UPSTREAMS

    limits = limits_with(settings.load().gateway, tiers or ())
    given = dict(map(_pair, upstream or ()))
    limits = replace(
        limits, router=router or limits.router, upstreams={**limits.upstreams, **given}
    )
    wanted = process.config(limits, UPSTREAMS, port=port)
    wanted = replace(wanted, record=str(settings.folder("gateway") / f"{wanted.id}.jsonl"))
    with process.start(wanted) as started:
        told = _told(started, tuple(wanted.upstreams))
        if as_json:
            emit_json(told)
        else:
            _print(told)
        try:
            ended = started.wait()
        except KeyboardInterrupt:  # the way to end it
            ended = 0
    if ended:
        raise AcrError(f"the gateway ended by itself ({ended}); start it again")
    err().print(f"steps are in {wanted.record}", style="dim")


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Shows the gateways that run, and what passed through them."""
    from acr.cli.console import emit_json, err
    from acr.gateway import process

    found = process.alive()
    if as_json:
        return emit_json({"gateways": found})
    if not found:
        return err().print('no gateway runs; acr gateway run starts one, acr --gateway "…" its own')
    for one in found:
        _print_one(one)
    return None


def _print_one(one: Running) -> None:
    from acr.cli import words
    from acr.cli.console import clean, out
    from acr.cli.live import money

    where = f"gateway {one.id} on port {one.port} (process {one.pid}), since "
    out().print(clean(where + words.ago(one.started)))
    if one.total is None:
        out().print("  it does not answer; end its process")
        return
    for model, figures in one.models.items():
        known = money(figures["cost"] if figures["unknown"] < figures["steps"] else None)
        least = "≥ " if 0 < figures["unknown"] < figures["steps"] else ""
        out().print(clean(f"  {model}: {figures['steps']} calls, {least}{known}"))
    if one.fault:
        out().print(clean(f"  steps are no longer recorded: {one.fault}"))


def _pair(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not (name and equals and url):
        raise UsageError(f"--upstream {text}: give NAME=URL, as in openai=http://localhost:4000/v1")
    return name, url


def _told(started: Started, names: tuple[str, ...]) -> dict[str, Any]:
    """How agents are pointed at it."""
    from acr.agents.codex import PLAIN

    at = {name: started.address(name) for name in names}
    bases = {"anthropic": f"{at['anthropic']}/v1", "openai": at["openai"]}
    providers = {name: {"options": {"baseURL": url}} for name, url in bases.items()}
    return {
        "pid": started.pid,
        "port": started.port,
        "addresses": at,
        "env": {
            "ANTHROPIC_BASE_URL": at["anthropic"],
            "OPENCODE_CONFIG_CONTENT": json.dumps({"provider": providers}),
            "NO_PROXY": "127.0.0.1",
        },
        "codex": ["-c", f"openai_base_url={json.dumps(at['openai'])}", "-c", PLAIN],
    }


def _print(told: dict[str, Any]) -> None:
    from acr.cli.console import clean, out

    out().print(f"gateway on port {told['port']} (process {told['pid']}); ^C ends it\n")
    for name, url in told["addresses"].items():
        out().print(clean(f"  {name:<10} {url}"))
    out().print("\nClaude Code and opencode, in the shell that starts them:")
    for name, value in told["env"].items():
        out().print(clean(f"  export {name}={shlex.quote(value)}"))
    out().print("Codex:")
    out().print(clean(f"  codex {shlex.join(told['codex'])}"))
