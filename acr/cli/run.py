"""acr "PROMPT": choose, run, verify, remember."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from acr import settings
from acr.errors import AcrError, UsageError
from acr.nouns import DIMENSIONS, Autonomy
from acr.settings import SandboxChoice, Settings

if TYPE_CHECKING:
    from acr.loop import Ask

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def profile_names(incomplete: str) -> list[str]:
    """Profiles that begin with `incomplete`, for completion."""
    from acr.agents.profiles import load_all

    try:
        return [name for name in load_all() if name.startswith(incomplete)]
    except AcrError:  # a shell in the middle of a line is no place for messages
        return []


def _agents(incomplete: str) -> list[str]:
    from acr.agents import ADAPTERS

    return [name for name in ADAPTERS if name.startswith(incomplete)]


def _dimensions(incomplete: str) -> list[str]:
    return [name for name in DIMENSIONS if name.startswith(incomplete)]


Preference = Literal["quality", "balanced", "cheap"]
PREFERENCES: dict[Preference, float] = {"quality": 0.1, "balanced": 1.0, "cheap": 10.0}
"""What `orchestrator.epsilon_cost` is multiplied by."""

Prompt = Annotated[
    list[str] | None,
    typer.Argument(help="What to do; or - for standard input; without it $EDITOR opens."),
]
File = Annotated[Path | None, typer.Option("--file", "-f", help="Read the prompt from a file.")]
Cwd = Annotated[Path | None, typer.Option(help="Work in this folder instead of the current one.")]
AgentName = Annotated[
    str | None, typer.Option(help="Only profiles of this agent.", autocompletion=_agents)
]
ProfileName = Annotated[
    str | None,
    typer.Option(help="This profile, whatever the votes say.", autocompletion=profile_names),
]
ModelName = Annotated[str | None, typer.Option(help="A profile with this model.")]
Kind = Annotated[
    str | None,
    typer.Option(
        "--dimension",
        help="The kind of request; overrides the classifier.",
        autocompletion=_dimensions,
    ),
]
AutonomyLevel = Annotated[
    Autonomy | None,
    typer.Option(help="How far the agent may go: ask, edit (the default) or full."),
]
Sandbox = Annotated[SandboxChoice | None, typer.Option(help="Where the tests run.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds for one attempt.", min=1)]
Budget = Annotated[float | None, typer.Option(help="USD for all tries together.", min=0)]
Tries = Annotated[int | None, typer.Option("--max-tries", help="Profiles that may try.", min=1)]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not run the tests.")]
Prefer = Annotated[
    Preference | None,
    typer.Option(help="quality: price hardly counts; cheap: it counts ten times as much."),
]
Gateway = Annotated[
    bool, typer.Option("--gateway", help="Route each of the agent's model calls to a tier.")
]
Tiers = Annotated[
    list[str] | None, typer.Option(help="With --gateway: max=mid, edit=frontier and the like.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Everything the agent says.")]


@app.command(epilog="Arguments after -- go to the agent as they are.")
def run(
    context: typer.Context,
    prompt: Prompt = None,
    *,
    file: File = None,
    agent: AgentName = None,
    profile: ProfileName = None,
    model: ModelName = None,
    dimension: Kind = None,
    cwd: Cwd = None,
    autonomy: AutonomyLevel = None,
    sandbox: Sandbox = None,
    max_tries: Tries = None,
    budget: Budget = None,
    prefer: Prefer = None,
    timeout: Timeout = None,
    no_verify: NoVerify = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and stop.")] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Open the agent's own screen.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Make the choice repeatable.")] = None,
    gateway: Gateway = False,
    tiers: Tiers = None,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Does a task: chooses a profile, runs its agent, runs the tests, remembers."""
    from acr.cli.prompt import read_prompt
    from acr.loop import Ask
    from acr.orchestrator.rules import Pins

    config = override(
        settings.load(),
        autonomy=autonomy,
        sandbox=sandbox,
        max_tries=max_tries,
        budget=budget,
        timeout=timeout,
        prefer=prefer,
    )
    if tiers:
        from acr.cli.evaluate import limits_with

        config = replace(config, gateway=limits_with(config.gateway, tiers))
    asked = Ask(
        prompt=read_prompt(" ".join(prompt) if prompt else None, file),
        cwd=folder(cwd),
        pins=Pins(profile=profile, model=model, agent=agent),
        dimension=known_dimension(dimension),
        verify=not no_verify,
        interactive=interactive,
        agent_args=context.obj or (),
        seed=seed,
        gateway=gateway,
    )
    if dry_run:
        return _dry_run(asked, config, as_json)
    perform(asked, config, yes=yes, as_json=as_json, quiet=quiet, verbose=verbose)
    return None


def override(
    config: Settings,
    *,
    autonomy: Autonomy | None = None,
    sandbox: SandboxChoice | None = None,
    max_tries: int | None = None,
    budget: float | None = None,
    timeout: float | None = None,
    prefer: Preference | None = None,
) -> Settings:
    """The settings with the command line's values where it has some."""
    agents, verifier, money = config.agents, config.verifier, config.budget
    orchestrator = config.orchestrator
    price = orchestrator.epsilon_cost * PREFERENCES[prefer or "balanced"]
    return replace(
        config,
        orchestrator=replace(orchestrator, epsilon_cost=price),
        agents=replace(
            agents,
            autonomy=autonomy or agents.autonomy,
            max_tries=max_tries or agents.max_tries,
            timeout=timeout or agents.timeout,
        ),
        verifier=replace(verifier, sandbox=sandbox or verifier.sandbox),
        budget=replace(money, per_run=money.per_run if budget is None else budget),
    )


def folder(cwd: Path | None) -> Path:
    """The folder to work in, absolute. Raises UsageError when there is none."""
    where = (cwd or Path.cwd()).absolute()
    if not where.is_dir():
        raise UsageError(f"--cwd {cwd}: no such folder")
    return where


def known_dimension(name: str | None) -> str | None:
    """`name` when it is a dimension or absent. Raises UsageError with a suggestion."""
    import difflib

    if name is None or name in DIMENSIONS:
        return name
    near = difflib.get_close_matches(name, DIMENSIONS, 1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(DIMENSIONS)
    raise UsageError(f"--dimension {name}: no such dimension; {hint}")


def perform(
    asked: Ask, config: Settings, *, yes: bool, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Runs the loop before the user's eyes and exits with the verdict's code."""
    from acr import loop
    from acr.cli.live import Live, exit_code

    if config.agents.autonomy == "full" and not yes:
        _confirm_full(asked.cwd)
    if asked.interactive and not (os.isatty(0) and os.isatty(1)):
        raise UsageError("-i opens the agent's own screen, which needs a terminal; leave it out")
    live = Live(config, quiet=quiet, verbose=verbose, interactive=asked.interactive)
    with live:
        result = loop.run(asked, config, live)
    if as_json:
        from acr.cli.console import emit_json

        emit_json(live.summary(result))
    else:
        live.print_summary(result)
    raise typer.Exit(exit_code(result))


def _confirm_full(cwd: Path) -> None:
    if not sys.stdin.isatty():
        raise UsageError("--autonomy full lets the agent do anything; confirm it with --yes")
    typer.confirm(
        f"The agent may do anything on this machine, not only in {cwd}. Go on?", abort=True
    )


def _dry_run(asked: Ask, config: Settings, as_json: bool) -> None:
    from acr import loop
    from acr.cli.console import clean, emit_json, out
    from acr.cli.live import decision_line
    from acr.context.embedding import load

    with loop.open_memory(config) as memory:
        task, _ = loop.ask(asked.prompt, asked.cwd, config, load(config.embedding), asked.dimension)
        decision, profile = loop.choose(task, memory, config, pins=asked.pins, seed=asked.seed)
    if as_json:
        emit_json({"task": replace(task, embedding=None), "decision": decision, "profile": profile})
    else:
        out().print(clean(decision_line(task, decision, profile)))
