"""acr continue: goes on in the session of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acr import settings
from acr.cli.run import (
    AsJson,
    AutonomyLevel,
    Gateway,
    NoVerify,
    Quiet,
    Sandbox,
    Timeout,
    Verbose,
    Yes,
)
from acr.errors import AcrError, UsageError
from acr.nouns import Attempt, Task
from acr.settings import Settings

if TYPE_CHECKING:
    from acr.memory.store import Memory

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("continue", epilog="Arguments after -- go to the agent as they are.")
def resume(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="[RUN] PROMPT", help="A run (default: the latest here).")
    ],
    *,
    autonomy: AutonomyLevel = None,
    sandbox: Sandbox = None,
    timeout: Timeout = None,
    no_verify: NoVerify = False,
    gateway: Gateway = False,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Goes on in the agent session of an earlier run, with the same profile."""
    from acr import loop
    from acr.cli.run import override, perform

    prompt = words[0] if len(words) == 1 else " ".join(words[1:])
    if not prompt.strip():
        raise UsageError("the prompt is empty; say what to do")
    config = override(settings.load(), autonomy=autonomy, sandbox=sandbox, timeout=timeout)
    with loop.open_memory(config) as memory:
        if len(words) == 1:
            task, session = _latest_here(memory, config)
        else:
            task, session = _named(memory, words)
    asked = loop.Ask(
        prompt=prompt,
        cwd=Path(task.root),
        dimension=task.dimension,
        verify=not no_verify,
        agent_args=context.obj or (),
        resume=session,
        gateway=gateway,
    )
    perform(asked, config, yes=yes, as_json=as_json, quiet=quiet, verbose=verbose)


def _latest_here(memory: Memory, config: Settings) -> tuple[Task, Attempt]:
    """The latest run in the current work tree that kept a session. Raises AcrError."""
    from acr.context.repository import find

    here = find(Path.cwd(), config)
    for run in reversed(memory.tasks(here.id)):
        task = memory.task(run)
        session = _session(memory, task) if task.root == str(here.root) else None
        if session:
            return task, session
    raise AcrError(
        f"no run in {here.root} kept a session of its agent; name one of acr runs "
        '(acr continue RUN PROMPT) or start anew: acr "PROMPT"'
    )


def _named(memory: Memory, words: list[str]) -> tuple[Task, Attempt]:
    """The run that the first word names, and its session. Raises AcrError."""
    try:
        task = memory.task(words[0])
    except AcrError as e:
        hint = "" if len(words) == 2 else "; a prompt of several words goes in quotes"
        raise AcrError(f"{e}{hint}") from None
    session = _session(memory, task)
    if session is None:
        raise AcrError(f"run {task.id} kept no session of its agent; start a new one: acr PROMPT")
    return task, session


def _session(memory: Memory, task: Task) -> Attempt | None:
    """The last attempt of a run that can be gone on with."""
    return next((o.attempt for o in memory.outcomes(task.id) if o.attempt.session), None)
