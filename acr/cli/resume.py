"""acr continue: goes on in the session of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acr import settings
from acr.cli.run import AsJson, AutonomyLevel, NoVerify, Quiet, Sandbox, Timeout, Verbose, Yes
from acr.errors import AcrError, UsageError

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("continue", epilog="Arguments after -- go to the agent as they are.")
def resume(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="[RUN] PROMPT", help="A run (default: the latest).")
    ],
    *,
    autonomy: AutonomyLevel = None,
    sandbox: Sandbox = None,
    timeout: Timeout = None,
    no_verify: NoVerify = False,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Goes on in the agent session of an earlier run, with the same profile."""
    from acr import loop
    from acr.cli.run import override, perform

    run, prompt = ("", words[0]) if len(words) == 1 else (words[0], " ".join(words[1:]))
    if not prompt.strip():
        raise UsageError("the prompt is empty; say what to do")
    config = override(settings.load(), autonomy=autonomy, sandbox=sandbox, timeout=timeout)
    with loop.open_memory(config) as memory:
        task = memory.task(run)
        outcomes = memory.outcomes(task.id)
    session = next((o.attempt for o in outcomes if o.attempt.session), None)
    if session is None:
        raise AcrError(f"run {task.id} kept no session of its agent; start a new one: acr PROMPT")
    asked = loop.Ask(
        prompt=prompt,
        cwd=Path(task.root),
        dimension=task.dimension,
        verify=not no_verify,
        agent_args=context.obj or (),
        resume=session,
    )
    perform(asked, config, yes=yes, as_json=as_json, quiet=quiet, verbose=verbose)
