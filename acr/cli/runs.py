"""acr runs: what was asked, what was tried, how it went, and the changes it made."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.errors import AcrError
from acr.nouns import Attempt, Outcome, Signal, Task, Verdict

if TYPE_CHECKING:
    from acr.memory.store import Memory

__all__ = ["RunRef", "app", "run_ids"]

EMPTY = 'no runs yet; start one: acr "PROMPT"'

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Lists runs; shows one; shows the changes it made. Without a subcommand: list.",
)


def run_ids(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the latest runs that begin with `incomplete`, with their prompts, for completion."""
    from acr import loop

    try:
        with loop.open_memory(settings.load()) as memory:
            return [
                (t.id, _short(t.prompt, 50))
                for t in _tasks(memory, 50)
                if t.id.startswith(incomplete)
            ]
    except AcrError:  # a shell in the middle of a line is no place for messages
        return []


RunRef = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's id or its beginning (default: the latest).",
        autocompletion=run_ids,
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", help="How many runs.", min=1)]


@app.callback(invoke_without_command=True)
def default(context: typer.Context, *, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Lists runs; shows one; shows the changes it made. Without a subcommand: list."""
    if context.invoked_subcommand is None:
        list_(limit=limit, as_json=as_json)


@app.command("list")
def list_(*, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Lists the latest runs, newest first."""
    from acr import loop
    from acr.cli.console import emit_json, err

    with loop.open_memory(settings.load()) as memory:
        runs = [(task, _attempts(memory, task)) for task in _tasks(memory, limit)]
    if as_json:
        emit_json([_row(task, outcomes) for task, outcomes in runs])
    elif runs:
        _print_list(runs)
    else:
        err().print(EMPTY)


@app.command(epilog="Example: acr runs show 3f2a")
def show(run: RunRef = "", *, as_json: AsJson = False) -> None:
    """Shows one run: its task, tries, usage, verdicts and files."""
    from acr import loop
    from acr.cli.console import emit_json

    with loop.open_memory(settings.load()) as memory:
        task = memory.task(run)
        outcomes = _attempts(memory, task)
        decisions = memory.decisions(task.id)
    folder = _folder(task)
    if as_json:
        row = _row(task, outcomes)
        told = {
            "task": {**_plain_task(task)},
            "decisions": decisions,
            "attempts": [
                {"attempt": o.attempt, "verdict": o.verdict, "human": o.human} for o in outcomes
            ],
        }
        files = [{"path": path, "bytes": size} for path, size in _files(folder)]
        return emit_json({**row, **told, "folder": folder, "files": files})
    _print_task(task, outcomes)
    for number, outcome in enumerate(outcomes, 1):
        _print_attempt(number, outcome)
    open_decisions = {d.id for d in decisions} - {o.attempt.decision for o in outcomes}
    for decision in decisions:
        if decision.id in open_decisions:
            _line(f"decided, no result: {decision.chosen} (acr feedback {decision.id} --score S)")
    return _print_files(folder)


@app.command(epilog="Example: acr runs diff 3f2a | git apply --check")
def diff(
    run: RunRef = "",
    *,
    no_pager: Annotated[bool, typer.Option("--no-pager", help="Print even a long patch.")] = False,
) -> None:
    """Prints the patch that a run made, all its tries together."""
    from acr import loop
    from acr.cli.console import err

    with loop.open_memory(settings.load()) as memory:
        task = memory.task(run)
    file = _folder(task) / "changes.patch"
    try:
        patch = file.read_bytes()
    except FileNotFoundError:
        raise AcrError(f"run {task.id} kept no patch; {file} is not there") from None
    if not patch:
        return err().print(f"run {task.id} changed no file")
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(patch)
        sys.stdout.buffer.flush()
        return None
    return _page(patch, pager=not no_pager)


def _tasks(memory: Memory, limit: int) -> list[Task]:
    """The latest `limit` tasks, newest first; those without a result too."""
    return [memory.task(run) for run in reversed(memory.tasks()[-limit:])]


def _attempts(memory: Memory, task: Task) -> tuple[Outcome, ...]:
    """The tries of a task in the order of their decisions; a late verdict changes nothing."""
    order = {d.id: number for number, d in enumerate(memory.decisions(task.id))}
    outcomes = memory.outcomes(task.id, newest_first=False)
    return tuple(sorted(outcomes, key=lambda o: order.get(o.attempt.decision, len(order))))


def _on_plan(outcomes: Iterable[Outcome]) -> bool:
    """Whether a subscription paid for some of it."""
    return any(outcome.attempt.plan for outcome in outcomes)


def _cost(outcomes: Iterable[Outcome]) -> float | None:
    """USD of all tries; None when one of them is unknown."""
    costs = [o.cost for o in outcomes]
    return None if None in costs or not costs else sum(c for c in costs if c is not None)


def _took(outcomes: Iterable[Outcome]) -> str:
    """The time of all tries; an outside caller need not say it."""
    from acr.cli.words import span

    seconds = sum(o.attempt.duration for o in outcomes)
    return span(seconds) if seconds else "unknown"


def _row(task: Task, outcomes: tuple[Outcome, ...]) -> dict[str, Any]:
    """A run in short, as JSON data with stable keys."""
    last = outcomes[-1] if outcomes else None
    return {
        "run": task.id,
        "created": task.created,
        "repository": task.repository,
        "root": task.root,
        "dimension": task.dimension,
        "language": task.language,
        "prompt": task.prompt,
        "status": last.status if last else None,
        "score": last.verdict.score if last else None,
        "human": last.human if last else None,
        "profiles": [o.attempt.profile for o in outcomes],
        "model": last.attempt.model if last else None,
        "tries": len(outcomes),
        "cost_usd": _cost(outcomes),
        "duration_s": round(sum(o.attempt.duration for o in outcomes), 3),
    }


def _plain_task(task: Task) -> dict[str, Any]:
    """The task without its vector."""
    names = (n for n in task.__slots__ if n != "embedding")
    return {name: getattr(task, name) for name in names}


def _print_list(runs: list[tuple[Task, tuple[Outcome, ...]]]) -> None:
    """Two lines a run: how it went, and what was asked."""
    from rich.text import Text

    from acr.cli import words
    from acr.cli.console import clean, out
    from acr.cli.live import MARKS, money

    room = max(40, out().width - 12)
    for task, outcomes in runs:
        last = outcomes[-1] if outcomes else None
        verdict = f"{MARKS[last.status]}{' (you)' if last.human else ''}" if last else "- no result"
        mark = Text.from_markup(verdict)
        mark.truncate(12, pad=True)
        took = _took(outcomes) if last else ""
        cost = money(_cost(outcomes), _on_plan(outcomes)) if last else ""
        tried = " → ".join(o.attempt.profile for o in outcomes)
        figures = f"{words.ago(task.created):<11}  {cost:>7}  {took:>7}  {tried}".rstrip()
        out().print(clean(task.id), mark, clean(figures), sep="  ")
        about = f"{Path(task.root).name} · {task.dimension} · {task.prompt}"
        out().print(f"{' ' * 12}{clean(_short(about, room))}", style="dim")


def _print_task(task: Task, outcomes: tuple[Outcome, ...]) -> None:
    from acr.cli import words
    from acr.cli.console import clean, out
    from acr.cli.live import money

    parts = (f"run {task.id}", words.ago(task.created), task.dimension, task.language, task.root)
    out().print(clean(" · ".join(part for part in parts if part)), style="bold")
    for line in task.prompt.strip().splitlines()[:12]:
        _line(_short(line, 200))
    spent = f"cost {money(_cost(outcomes), _on_plan(outcomes))}"
    tries = f"{len(outcomes)} {'try' if len(outcomes) == 1 else 'tries'}"
    out().print(
        clean(f"{tries}, {spent}, {_took(outcomes)}" if outcomes else "not tried yet"), style="dim"
    )


def _print_attempt(number: int, outcome: Outcome) -> None:
    from acr.cli.console import clean, out
    from acr.cli.live import MARKS, money

    attempt, verdict = outcome.attempt, outcome.verdict
    model = attempt.model or "model unknown"
    known = attempt.cost is not None and attempt.cost_source
    source = f" ({attempt.cost_source})" if known else ""
    out().print()
    out().print(
        f"{number}. [bold]{clean(attempt.profile)}[/] {clean(f'{attempt.agent}/{model}')} · "
        f"cost {money(attempt.cost, attempt.plan)}{clean(source)} · time {_took([outcome])}"
    )
    if attempt.status != "done":
        _line(f"{attempt.status}: {attempt.error or 'no reason given'}")
    _line(_usage(attempt))
    out().print(f"   {MARKS[verdict.status]} {verdict.score:.2f} {clean(verdict.reason)}")
    if outcome.human:
        out().print(f"   you said: {MARKS[outcome.human]}")
    for line in _evidence(verdict):
        _line(line)


def _usage(attempt: Attempt) -> str:
    usage = attempt.usage
    if usage is None:
        return "tokens unknown"
    written = usage.cache_write_5m + usage.cache_write_1h
    classes = (
        (usage.input, "input"),
        (usage.cached_input, "cached"),
        (written, "cache written"),
        (usage.output, "output"),
        (usage.reasoning, "of it reasoning"),
        (usage.subagent, "by sub-agents"),
        (usage.requests, "requests"),
    )
    return "tokens: " + (", ".join(f"{n:,} {what}" for n, what in classes if n) or "none")


def _evidence(verdict: Verdict) -> Iterator[str]:
    """What a verdict rests on: signals, tests, sandbox, changed files."""
    for signal in verdict.signals:
        yield _signal(signal)
    if (tests := verdict.tests) is not None:
        yield f"tests: {tests.passed} pass, {tests.failed} fail, {tests.skipped} skipped"
        for what in ("fixed", "broken", "still_failing", "new", "missing"):
            names = getattr(tests, what)
            if names:
                yield f"  {what.replace('_', ' ')}: {_some(names)}"
    if verdict.sandbox:
        yield "sandbox: " + ", ".join(_enforced(verdict.sandbox))
    if verdict.changed or verdict.tests:
        yield f"changed: {_some(verdict.changed) or 'no file'}"


def _signal(signal: Signal) -> str:
    from acr.cli.live import money

    score = "none" if signal.score is None else f"{signal.score:.2f}"
    log = f" ({signal.evidence})" if signal.evidence else ""
    cost = "" if signal.cost == 0 else f" · cost {money(signal.cost)}"
    return f"{score} {signal.name} (weight {signal.weight:.2f}): {signal.detail}{log}{cost}"


def _enforced(sandbox: Any) -> Iterator[str]:
    """The sandbox's record, flat; what was not enforced is said."""
    for name, value in sandbox.items():
        if isinstance(value, dict):
            yield from _enforced(value)
        elif value is None:
            yield f"{name} NOT limited"
        elif value not in ("", (), []):
            yield f"{name} {value}"


def _some(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(_short(name, 100) for name in names[:most]) + more


def _print_files(folder: Path) -> None:
    from acr.cli.console import clean, out

    files = list(_files(folder))
    out().print()
    out().print(
        clean(f"files in {folder}") if files else clean(f"no files in {folder}"), style="dim"
    )
    for path, size in files[:30]:
        _line(f"{_size(size):>9}  {path}")
    if len(files) > 30:
        _line(f"and {len(files) - 30} more")


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """(path below `folder`, bytes) of every file there; links are not followed."""
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            file = Path(where, name)
            yield (
                os.fsencode(file.relative_to(folder)).decode(errors="replace"),
                file.lstat().st_size,
            )


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KiB"


def _folder(task: Task) -> Path:
    return settings.home() / "runs" / task.id


def _short(text: str, limit: int) -> str:
    line = " ".join(text[: limit * 8].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _line(text: str) -> None:
    from acr.cli.console import clean, out

    out().print(f"   {clean(text)}")


def _page(patch: bytes, pager: bool) -> None:
    """The patch on a terminal: coloured, control characters taken out, through a pager."""
    from acr.cli.console import out

    lines = [_coloured(line) for line in patch.decode(errors="replace").splitlines()]
    command = _pager() if pager else []
    if not command:
        for line in lines:
            out().print(line)
        return
    with out().capture() as captured:
        for line in lines:
            out().print(line)
    environment = {"LESS": "FRX", **os.environ}
    subprocess.run(command, input=captured.get().encode(), env=environment, check=False)


def _pager() -> list[str]:
    """The user's pager; empty when there is none."""
    try:
        words = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:
        return []
    return words if words and shutil.which(words[0]) else []


def _coloured(line: str) -> str:
    from acr.cli.console import clean

    style = "bold" if line.startswith(("diff --git", "--- ", "+++ ")) else ""
    style = style or {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    return f"[{style}]{clean(line)}[/]" if style else clean(line)
