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
    ProfileName,
    Prompt,
    folder,
    known_dimension,
)

if TYPE_CHECKING:
    from acr.nouns import Task
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
    cwd: Cwd = None,
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
    from acr.cli.live import decision_line
    from acr.cli.prompt import read_prompt
    from acr.context.embedding import load
    from acr.orchestrator.rules import Pins

    config = settings.load()
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
            }
        )
        return
    out().print(clean(decision_line(task, decision, chosen)))
    if explain:
        from acr.cli.why import explain as show

        out().print()
        show(task, decision)
    if record:
        out().print(f"recorded as {task.id}: acr feedback {task.id} --score S --cost USD")


def _classification(task: Task, config: Settings) -> Any:
    from acr import loop
    from acr.context.dimension import classify

    return classify(task.prompt, loop.reader(config))
