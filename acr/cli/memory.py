"""acr memory: what was learned; look at it, take it along, make it forget."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from acr import settings
from acr.cli.run import AsJson, Yes
from acr.errors import AcrError, UsageError

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Shows, searches, exports and prunes what was learned."""
    if context.invoked_subcommand is None:
        show(as_json=as_json)


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Counts what is stored, by kind of task and by profile."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out

    with loop.open_memory(settings.load()) as memory:
        counts = memory.counts()
    if as_json:
        emit_json(counts)
        return
    size = counts["size_bytes"] / 1e6
    out().print(clean(f"{counts['path']}: {size:.1f} MB, schema {counts['schema']}"))
    pruned = f", {counts['pruned']} more in statistics only" if counts["pruned"] else ""
    out().print(f"{counts['tasks']} tasks, {counts['outcomes']} outcomes{pruned}")
    for what in ("by_dimension", "by_profile"):
        if counts[what]:
            row = ", ".join(f"{name} {n}" for name, n in counts[what].items())
            out().print(clean(f"  {what.removeprefix('by_')}: {row}"))


@app.command()
def path() -> None:
    """Prints where the database is."""
    sys.stdout.write(f"{settings.home() / 'memory.db'}\n")


@app.command()
def search(
    query: Annotated[list[str], typer.Argument(help="Words like those of a past prompt.")],
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many tasks.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Finds past tasks that are similar to some words."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out, table
    from acr.context.embedding import load

    config = settings.load()
    embedder = load(config.embedding)
    (vector,) = embedder.embed([" ".join(query)])
    with loop.open_memory(config) as memory:
        found = memory.neighbours(vector, embedder.id, limit, -1.0)
    if as_json:
        emit_json(found)
        return
    if not found:
        raise AcrError('nothing judged is stored yet; start with acr "PROMPT" or acr demo')
    shown = table("similarity", "verdict", "profile", "run", "prompt", right=("similarity",))
    for n in found:
        prompt = " ".join(n.prompt.split())[:60]
        shown.add_row(f"{n.similarity:.2f}", n.status, clean(n.profile), n.task, clean(prompt))
    out().print(shown)


@app.command()
def forget(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs, by id or its beginning.")] = None,
    *,
    repo: Annotated[bool, typer.Option("--repo", help="All runs in this repository.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All runs.")] = False,
    yes: Yes = False,
) -> None:
    """Deletes runs with their prompts, decisions, transcripts and statistics."""
    import shutil

    from acr import loop
    from acr.cli.console import out
    from acr.context.repository import find

    if bool(runs) + repo + everything != 1:
        raise UsageError("say what to forget: runs, --repo or --all")
    config = settings.load()
    with loop.open_memory(config) as memory:
        here = find(Path.cwd(), config).id if repo else None
        ids = [memory.task(run).id for run in runs] if runs else memory.tasks(here)
        _confirm(len(ids), yes=yes)
        count = memory.forget(ids)
    for task in ids:
        shutil.rmtree(settings.home() / "runs" / task, ignore_errors=True)
    out().print(f"{count} runs forgotten")


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="A new file; without it, stdout.")] = None,
) -> None:
    """Writes every outcome as JSON Lines, prompts redacted as they are stored."""
    from acr import loop
    from acr.memory.transfer import dump

    with loop.open_memory(settings.load()) as memory:
        if file is None:
            sys.stdout.writelines(f"{line}\n" for line in dump(memory))
            return
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UsageError(f"{file} is there already; choose a new name") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in dump(memory))


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="What acr memory export wrote.")],
) -> None:
    """Adds the outcomes of an export; those already here are left as they are."""
    from acr import loop
    from acr.cli.console import out
    from acr.memory.transfer import load

    try:
        with (
            loop.open_memory(settings.load()) as memory,
            open(file, encoding="utf-8", errors="replace") as lines,
        ):
            added = load(memory, lines, str(file))
    except OSError as e:
        raise AcrError(f"{file}: {e.strerror}") from None
    out().print(f"{added} outcomes added")


@app.command()
def prune(
    *,
    older_than: Annotated[int, typer.Option("--older-than", help="Days.", min=0)],
    yes: Yes = False,
) -> None:
    """Deletes runs older than some days; what they add up to stays in the statistics."""
    from acr import loop
    from acr.cli.console import out

    before = time.time() - older_than * 86400
    with loop.open_memory(settings.load()) as memory:
        over = [o for o in memory.outcomes(newest_first=False) if o.attempt.started < before]
        _confirm(len(over), yes=yes)
        memory.prune([o.attempt.id for o in over])
    out().print(f"{len(over)} outcomes pruned")


@app.command()
def check(*, as_json: AsJson = False) -> None:
    """Checks the database: integrity, vectors, statistics."""
    from acr import loop
    from acr.cli.console import emit_json, out

    with loop.open_memory(settings.load()) as memory:
        wrong = memory.check()
    if as_json:
        emit_json({"ok": not wrong, "problems": wrong})
    elif not wrong:
        out().print("memory is sound")
    if wrong:
        raise AcrError("; ".join(wrong) + "; restore a backup, or export and import into a new one")


def _confirm(count: int, *, yes: bool) -> None:
    if count and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this deletes {count} runs; confirm it with --yes")
        typer.confirm(f"Delete {count} runs?", abort=True)
