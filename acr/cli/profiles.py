"""acr profiles: agent + model + effort, one TOML file each."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from acr.cli.editor import open_editor
from acr.cli.run import AsJson, profile_names
from acr.errors import UsageError
from acr.nouns import Price, Profile, Tier

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A profile's name.", autocompletion=profile_names)]


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Lists and edits profiles: agent + model + effort."""
    if context.invoked_subcommand is None:
        list_profiles(as_json=as_json)


@app.command("list")
def list_profiles(*, as_json: AsJson = False) -> None:
    """Lists every profile, shipped ones and your own."""
    from acr import agents
    from acr.agents import prices
    from acr.agents.profiles import load_all
    from acr.cli.console import clean, emit_json, out, table

    profiles = load_all().values()
    present = {name: agents.installed(name) for name in {p.agent for p in profiles}}
    if as_json:
        emit_json([{"profile": p, "installed": present[p.agent]} for p in profiles])
        return
    shown = table("profile", "model and effort", "tier", "$ in/out")
    for p in profiles:
        cost = prices.price(p)
        price = f"{cost.input:.2g}/{cost.output:.2g}" if cost else "unknown"
        price += " plan" if p.plan else ""
        model = f"{p.model} {p.effort}" if p.effort else p.model
        name = f"{'✓' if present[p.agent] else '·'} {p.name}"
        shown.add_row(*map(clean, (name, model, p.tier, price)))
    out().print(shown)
    out().print("✓ its agent is installed · USD per million tokens")


@app.command()
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Shows one profile and its price."""
    from acr.agents import prices
    from acr.cli.console import clean, emit_json, out

    found = _known(name)
    price = prices.price(found)
    if as_json:
        emit_json({"profile": found, "price": price})
        return
    out().print(clean(f"{found.path}\n{Path(found.path).read_text(encoding='utf-8')}"))
    source = "its own" if found.price else "the price table's"
    known = f"{price.input:g} in, {price.output:g} out, {source}" if price else "unknown"
    plan = "; a plan pays" if found.plan else ""
    out().print(f"USD per million tokens: {known}{plan}")


@app.command()
def add(
    name: Name,
    *,
    agent: Annotated[str, typer.Option(help="The agent that runs it.")],
    model: Annotated[str, typer.Option(help="The model as the agent names it.")],
    tier: Annotated[Tier, typer.Option(help="What it costs and can.")] = "mid",
    effort: Annotated[str | None, typer.Option(help="Reasoning effort.")] = None,
    provider: Annotated[str, typer.Option(help="Who serves the model.")] = "",
    price_input: Annotated[float | None, typer.Option(help="USD per M tokens.", min=0)] = None,
    price_output: Annotated[float | None, typer.Option(help="USD per M tokens.", min=0)] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="A subscription pays: costs are list prices.")
    ] = False,
    description: Annotated[str, typer.Option(help="What it is for, in a line.")] = "",
) -> None:
    """Adds a profile of your own; one of a shipped name takes its place."""
    from acr import agents
    from acr.agents.profiles import save, user_folder
    from acr.cli.console import clean, out

    agents.get(agent)
    if (price_input is None) != (price_output is None):
        raise UsageError("give --price-input and --price-output together")
    if (user_folder() / f"{name}.toml").exists():
        raise UsageError(f"you have a profile {name} already; see acr profiles edit {name}")
    price = None
    if price_input is not None and price_output is not None:
        price = Price(price_input, price_output)
    made = Profile(
        name=name,
        agent=agent,
        model=model,
        tier=tier,
        effort=effort,
        provider=provider,
        price=price,
        plan=plan,
        description=description,
    )
    out().print(clean(f"written: {save(made)}"))


@app.command()
def edit(name: Name) -> None:
    """Opens a profile in $EDITOR; a wrong edit changes nothing."""
    from acr.agents.profiles import load_file, save
    from acr.cli.console import clean, out

    found = _known(name)
    with tempfile.TemporaryDirectory(prefix="acr-") as folder:
        draft = Path(folder) / f"{name}.toml"
        shutil.copyfile(found.path, draft)
        open_editor(draft)
        out().print(clean(f"written: {save(load_file(draft))}"))


@app.command()
def remove(name: Name) -> None:
    """Deletes a profile of your own."""
    from acr.agents.profiles import remove as delete
    from acr.cli.console import clean, out

    out().print(clean(f"removed: {delete(name)}"))


@app.command()
def sync(*, as_json: AsJson = False) -> None:
    """Writes acr-NAME.config.toml into Codex's home for each Codex profile."""
    from acr.agents.codex import home
    from acr.agents.profiles import load_all
    from acr.agents.profiles import sync as make
    from acr.cli.console import clean, emit_json, out

    done = make(load_all().values(), home())
    if as_json:
        emit_json(done)
        return
    for what in ("written", "unchanged", "removed"):
        for name in getattr(done, what):
            out().print(clean(f"{what}: {home() / name}"))


def _known(name: str) -> Profile:
    import difflib

    from acr.agents.profiles import load_all

    profiles = load_all()
    if name in profiles:
        return profiles[name]
    near = difflib.get_close_matches(name, profiles, 1)
    hint = f"did you mean {near[0]}?" if near else "see acr profiles"
    raise UsageError(f"no profile called {name!r}; {hint}")
