"""acr route: decides which profile would be used and runs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import settings
from acr.cli.run import (
    AgentName,
    Cwd,
    File,
    Kind,
    ModelName,
    Prefer,
    ProfileName,
    Prompt,
    folder,
    known_dimension,
    override,
)

if TYPE_CHECKING:
    from acr.nouns import Decision, Task
    from acr.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def route(
    prompt: Prompt = None,
    *,
    file: File = None,
    agent: AgentName = None,
    profile: ProfileName = None,
    model: ModelName = None,
    dimension: Kind = None,
    prefer: Prefer = None,
    cwd: Cwd = None,
    frontier: Annotated[
        bool,
        typer.Option("--frontier", help="Show what would be chosen as price counts more and more."),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Make the choice repeatable.")] = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Store the decision, for acr feedback ID --score S --cost USD.",
        ),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show votes and candidates.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole decision as JSON.")] = False,
) -> None:
    """Decides which profile would be used and runs nothing."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out
    from acr.cli.live import BUDGET, decision_line
    from acr.cli.prompt import read_prompt
    from acr.context.embedding import load
    from acr.orchestrator.frontier import along
    from acr.orchestrator.rules import Pins

    config = override(settings.load(), prefer=prefer)
    text, where = read_prompt(" ".join(prompt) if prompt else None, file), folder(cwd)
    kind = known_dimension(dimension)
    with loop.open_memory(config) as memory:
        task, _ = loop.ask(text, where, config, load(config.embedding), kind)
        pins = Pins(profile=profile, model=model, agent=agent)
        decision, chosen = loop.choose(task, memory, config, pins=pins, seed=seed)
        if record:
            memory.add_task(task)
            memory.add_decision(decision)
    if as_json:
        emit_json(
            {
                "recorded": task.id if record else None,
                "task": replace(task, embedding=None),
                "classification": _classification(task, config),
                "decision": decision,
                "profile": chosen,
                "frontier": along(decision) if frontier else None,
            }
        )
        return
    out().print(clean(decision_line(task, decision, chosen)))
    if decision.budget:
        out().print(BUDGET[decision.budget])
    if frontier:
        _print_frontier(decision)
    if explain:
        from acr.cli.why import explain as show

        out().print()
        show(task, decision)
    if record:
        out().print(f"recorded as {task.id}: acr feedback {task.id} --score S --cost USD")


def _print_frontier(decision: Decision) -> None:
    """The best choices from the dearest to the cheapest, and from which weight of price on."""
    from acr.cli.console import clean, out, table
    from acr.cli.live import money
    from acr.orchestrator.frontier import along

    shown = table(
        "best when 1 USD costs", "profile", "expected", "cost", right=("expected", "cost")
    )
    for point in along(decision):
        least = f"{point.epsilon_from:.3g}"
        until = "" if point.epsilon_to is None else f" to {point.epsilon_to:.3g}"
        above = " or more" if point.epsilon_to is None else ""
        shown.add_row(
            f"{least}{until}{above} of a win",
            clean(point.profile),
            f"{point.expected:.0%}",
            money(point.cost),
        )
    out().print(shown)


def _classification(task: Task, config: Settings) -> Any:
    from acr import loop
    from acr.context.dimension import classify

    return classify(task.prompt, loop.reader(config))
