"""acr verify: judges the working tree against a revision, without any agent."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from acr import git, settings
from acr.cli.run import AsJson, Cwd, Kind, Sandbox, folder, known_dimension, override
from acr.errors import AcrError
from acr.nouns import Repository, Task, Verdict
from acr.settings import Settings

__all__ = ["app", "verdict_of"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def verify(
    *,
    base: Annotated[str, typer.Option(help="The revision to compare with.")] = "HEAD",
    dimension: Kind = None,
    sandbox: Sandbox = None,
    show_output: Annotated[
        bool, typer.Option("--show-output", help="Also show what the tests printed.")
    ] = False,
    cwd: Cwd = None,
    as_json: AsJson = False,
) -> None:
    """Runs the tests on the base and on the working tree, and says what changed."""
    from acr.cli.console import clean, emit_json, err, out
    from acr.cli.live import MARKS, verdict_lines

    config = override(settings.load(), sandbox=sandbox)
    kind = known_dimension(dimension) or "bug_fixing"
    with tempfile.TemporaryDirectory(prefix="verify-", dir=settings.folder("runs")) as place:

        def progress(text: str) -> None:
            err().print(clean(text), style="dim")

        verdict = _judge(folder(cwd), config, base, kind, Path(place), progress)
        log = Path(place) / "tests.txt"
        output = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    if as_json:
        emit_json(verdict)
    else:
        out().print(f"{MARKS[verdict.status]} {clean(verdict.reason)}")
        for line in verdict_lines(verdict):
            out().print(f"  {clean(line)}")
        if show_output:
            out().print(clean(output))
    raise typer.Exit(4 if verdict.status == "fail" else 0)


def verdict_of(cwd: Path) -> Verdict:
    """The verdict on the working tree in `cwd` against HEAD, with the user's settings."""
    place = Path(tempfile.mkdtemp(prefix="verify-", dir=settings.folder("runs")))
    try:
        return _judge(cwd, settings.load(), "HEAD", "bug_fixing", place, lambda _: None)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _judge(
    cwd: Path,
    config: Settings,
    base: str,
    dimension: str,
    place: Path,
    progress: Callable[[str], None],
) -> Verdict:
    from acr.context.repository import find
    from acr.memory.redaction import redact
    from acr.verifier.verdict import prepare

    repository = find(cwd, config)
    if not repository.is_git:
        raise AcrError(f"{repository.root} is not a git repository; acr verify needs a base")
    store = place / "snapshot.git"
    before = git.tree_of(repository.root, store, base)
    after = git.snapshot(repository.root, place / "after.git")
    tree = place / "base"
    shutil.copytree(repository.root, tree, symlinks=True, ignore=_without_git)
    git.materialise(before, tree)
    for status, path in git.changed(before, git.snapshot(tree, store)):
        if status == "A":
            (tree / path).unlink(missing_ok=True)
    cache = settings.folder("cache", "baselines")
    with prepare(
        repository, before, config.verifier, place, cache, redact, base_tree=tree
    ) as baseline:
        task = _task(repository, dimension)
        return baseline.judge(task, None, after, progress)


def _without_git(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == ".git"]


def _task(repository: Repository, dimension: str) -> Task:
    return Task(
        id=secrets.token_hex(5),
        created=time.time(),
        prompt="",
        dimension=dimension,
        confidence=1.0,
        runner_up=None,
        language=None,
        difficulty=0.5,
        repository=repository.id,
        root=str(repository.root),
    )
