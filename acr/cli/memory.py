"""acr memory: what was learned; look at it, take it along, make it forget."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from acr import settings
from acr.cli.run import AsJson, Yes
from acr.errors import AcrError, UsageError

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

EMPTY = 'nothing is stored yet; start with acr "PROMPT" or acr demo'


@app.callback(invoke_without_command=True)
def default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Shows, searches, exports and prunes what was learned; without a subcommand: show."""
    if context.invoked_subcommand is None:
        show(as_json=as_json)


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Counts what is stored, by kind of task and by profile."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out, table

    with loop.open_memory(settings.load()) as memory:
        counts = memory.counts()
    if as_json:
        return emit_json(counts)
    size = f"{counts['size_bytes'] / 1e6:.1f} MB, schema {counts['schema']}"
    out().print(clean(f"{counts['path']}: {size}"))
    pruned = f", {counts['pruned']} older ones in statistics only" if counts["pruned"] else ""
    parts = f"{counts['tasks']} tasks, {counts['decisions']} decisions, "
    out().print(f"{parts}{counts['attempts']} attempts{pruned}")
    for embedder, count in counts["embedders"].items():
        unused = "" if embedder == counts["embedder"] else ", not the one in use"
        out().print(clean(f"{count} vectors of {embedder}{unused}"), style="dim")
    shown = table("by", "name", "attempts", right=("attempts",))
    for group in ("dimension", "profile"):
        for name, count in counts[f"by_{group}"].items():
            shown.add_row(group, clean(name), str(count))
    return out().print(shown) if shown.rows else None


@app.command()
def path() -> None:
    """Prints where the database is."""
    sys.stdout.write(f"{settings.home() / 'memory.db'}\n")


@app.command(epilog="Example: acr memory search flaky test in the parser")
def search(
    query: Annotated[list[str], typer.Argument(help="Words like those of a past prompt.")],
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=4096, help="Tasks.")] = 10,
    threshold: Annotated[float, typer.Option(help="Least similarity (cosine), -1 to 1.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Finds past tasks that are similar to some words."""
    from acr import loop
    from acr.cli.console import emit_json, err
    from acr.context.embedding import load

    config = settings.load()
    embedder = load(config.embedding)
    (vector,) = embedder.embed([" ".join(query)])
    with loop.open_memory(config) as memory:
        found = memory.search(vector, embedder.id, limit, threshold)
        rows = [_found(memory, task, similarity) for task, similarity in found]
        empty = not memory.tasks()
    if as_json:
        emit_json(rows)
    elif rows:
        _print_found(rows)
    else:
        err().print(EMPTY if empty else f"no task is that similar to {' '.join(query)!r}")


def _found(memory: Any, task: Any, similarity: float) -> dict[str, Any]:
    attempts = [
        {"profile": o.attempt.profile, "status": o.human or o.verdict.status}
        for o in memory.outcomes(task.id, newest_first=False)
    ]
    return {
        "run": task.id,
        "similarity": round(similarity, 4),
        "dimension": task.dimension,
        "repository": task.repository,
        "created": task.created,
        "prompt": task.prompt,
        "attempts": attempts,
    }


def _print_found(rows: list[dict[str, Any]]) -> None:
    from acr.cli.console import clean, out, table

    shown = table("similarity", "run", "attempts", "prompt", right=("similarity",))
    for row in rows:
        tries = ", ".join(f"{a['profile']} {a['status']}" for a in row["attempts"]) or "none"
        prompt = " ".join(row["prompt"].split())[:60]
        shown.add_row(f"{row['similarity']:.2f}", clean(row["run"]), clean(tries), clean(prompt))
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
    from acr import loop
    from acr.cli.console import clean, err, out
    from acr.context.repository import find

    if bool(runs) + repo + everything != 1:
        raise UsageError("say what to forget: runs, --repo or --all")
    config = settings.load()
    with loop.open_memory(config) as memory:
        here = find(Path.cwd(), config).id if repo else None
        ids = tuple(memory.run_id(run) for run in runs) if runs else memory.runs(here)
        _confirm(len(ids), "forgets", yes=yes)
        memory.forget(ids)
    _delete_folders(ids)
    out().print(f"{_runs(len(ids))} forgotten")
    for backup in sorted(settings.home().glob("memory.db.schema-*")):
        err().print(clean(f"{backup}: this backup of an older schema may still hold them"))


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="A new file; without it, stdout.")] = None,
) -> None:
    """Writes everything as JSON Lines, secrets redacted as they are stored."""
    from acr import loop
    from acr.memory.transfer import dump

    with (
        loop.open_memory(settings.load()) as memory,
        contextlib.closing(dump(memory)) as lines,
        contextlib.ExitStack() as on_error,
    ):
        if file is None or str(file) == "-":
            sys.stdout.writelines(lines)
            return
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UsageError(f"{file} is there already; choose a new name") from None
        on_error.callback(file.unlink)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines(lines)
        on_error.pop_all()


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What acr memory export wrote; - for stdin.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Adds what an export holds; what is here already stays as it is."""
    from acr import loop
    from acr.cli.console import emit_json, out
    from acr.memory.transfer import load

    with _opened(file) as stream, loop.open_memory(settings.load()) as memory:
        added = load(memory, stream, str(file))
    names = {"task": "tasks", "decision": "decisions", "outcome": "outcomes", "figures": "figures"}
    counts = {name: added[kind] for kind, name in names.items()}
    if as_json:
        return emit_json(counts)
    added_figures = f", {counts['figures']} figures of pruned ones" if counts["figures"] else ""
    shown = ", ".join(f"{counts[name]} {name}" for name in ("tasks", "decisions", "outcomes"))
    return out().print(f"{shown}{added_figures} added")


@app.command()
def prune(
    *,
    keep: Annotated[
        int | None, typer.Option(help="Attempts to keep; default: the memory.capacity setting.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option("--older-than", help="Days; older attempts go too.", min=0)
    ] = None,
    yes: Yes = False,
) -> None:
    """Deletes old runs; what they add up to stays in the statistics."""
    from acr import loop
    from acr.cli.console import out

    if keep is not None and keep < 0:
        raise UsageError(f"--keep {keep}: give 0 or more")
    before = -math.inf if older_than is None else time.time() - older_than * 86_400
    with loop.open_memory(settings.load()) as memory:
        keep = memory.capacity if keep is None else keep
        _confirm(memory.prunable(keep, before), "prunes", yes=yes)
        gone = memory.prune(keep, before)
    _delete_folders(gone)
    out().print(f"{_runs(len(gone))} pruned")


@app.command()
def check(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="First add the statistics up again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Checks the database: integrity, vectors, statistics."""
    from acr import loop
    from acr.cli.console import emit_json, out

    with loop.open_memory(settings.load()) as memory:
        if repair:
            memory.repair()
        wrong = memory.check()
    if as_json:
        emit_json({"ok": not wrong, "problems": wrong})
    elif not wrong:
        out().print("memory is sound")
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise AcrError("; ".join(wrong[:3]) + more)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The file; of standard input or a pipe a private copy, so that it can be read twice."""
    with sys.stdin.buffer if str(file) == "-" else open(file, "rb") as stream:
        if stream.seekable():
            yield stream
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            yield copy


def _delete_folders(tasks: tuple[str, ...]) -> None:
    """Transcripts and logs of runs."""
    for task in tasks:
        shutil.rmtree(settings.home() / "runs" / Path(task).name, ignore_errors=True)


def _confirm(count: int, what: str, *, yes: bool) -> None:
    if count and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this {what} {_runs(count)}; confirm it with --yes")
        typer.confirm(f"This {what} {_runs(count)}. Go on?", abort=True)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
