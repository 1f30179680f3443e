"""acr verify: the tests of the working tree against those of a revision, in a sandbox."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import git, settings
from acr.cli.run import AsJson, Cwd, Sandbox, folder
from acr.errors import AcrError
from acr.nouns import Attempt, Repository, Task, Verdict
from acr.settings import Settings

if TYPE_CHECKING:
    from acr.verifier.hooks import Verify

__all__ = ["app", "verify_changes"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Base = Annotated[str, typer.Option(metavar="REV", help="Compare with this revision.")]
Output = Annotated[bool, typer.Option("--show-output", help="Show what the tests printed.")]


@app.command()
def verify(
    base: Base = "HEAD",
    sandbox: Sandbox = None,
    show_output: Output = False,
    as_json: AsJson = False,
    cwd: Cwd = None,
) -> None:
    """Verifies the working tree: its tests against those of the last commit, in a sandbox.

    Exit code 4 when tests broke, 0 when they pass or nothing could be told, which is said.
    """
    from acr.cli.console import emit_json, err

    config = settings.load()
    checker = config.verifier
    config = replace(config, verifier=replace(checker, sandbox=sandbox or checker.sandbox))
    logs: dict[str, str] = {}

    def progress(text: str) -> None:
        if err().is_terminal:
            err().print(f"acr: {text} …", markup=False, style="dim")

    verdict = verify_changes(folder(cwd), base, config, progress=progress, logs=logs)
    if as_json:
        emit_json({**_report(verdict, base), **({"output": logs} if show_output else {})})
    else:
        _print(verdict, base, logs if show_output else {})
    raise typer.Exit(4 if verdict.status == "fail" else 0)


def verify_changes(
    cwd: Path,
    base: str = "HEAD",
    config: Settings | None = None,
    *,
    attempt: Attempt | None = None,
    progress: Callable[[str], None] = lambda _: None,
    verify: Verify | None = None,
    logs: dict[str, str] | None = None,
) -> Verdict:
    """The verdict on the working tree around `cwd` against revision `base`.

    `verify` judges (default: the shipped post-run hook); `logs` is filled with what each run
    of the tests printed. Raises AcrError outside git, for an unknown revision and without a
    sandbox.
    """
    from acr.context.repository import find
    from acr.memory.redaction import redact
    from acr.verifier import hooks
    from acr.verifier.verdict import prepare

    config = config or settings.load()
    repository = find(cwd, config)
    if not repository.is_git:
        raise AcrError(f"{repository.root} is not a git repository: acr verify needs a revision")
    home = settings.home()
    (home / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix=f"verify-{os.getpid()}-", dir=home / "tmp"))
    try:
        store = run_dir / "snapshot.git"
        before = git.tree_of(repository.root, store, base)
        after = git.snapshot(repository.root, store)
        judge = verify or hooks.default()
        cache = home / "cache" / "baselines"
        with prepare(
            repository, before, config.verifier, run_dir, cache, redact, worktree=after
        ) as baseline:
            verdict = judge(baseline, _task(repository), attempt, after, progress)
        if logs is not None:
            files = {file.stem.rpartition("-")[2]: file for file in run_dir.glob("verify/*.log")}
            names = [name for name in ("base", "after", "own") if name in files]
            logs.update((name, files[name].read_text(errors="replace")) for name in names)
        return verdict
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)


def _task(repository: Repository) -> Task:
    """No ask is known: a kind of request that expects nothing in particular."""
    return Task(
        id="",
        created=0.0,
        prompt="",
        dimension="",
        confidence=0.0,
        runner_up=None,
        language=None,
        difficulty=0.0,
        repository=repository.id,
        root=str(repository.root),
    )


def _report(verdict: Verdict, base: str) -> dict[str, Any]:
    touched = next((s.detail for s in verdict.signals if s.name == "tampering"), "")
    return {
        "status": verdict.status,
        "score": verdict.score,
        "reason": verdict.reason,
        "base": base,
        "signals": verdict.signals,
        "tests": verdict.tests,
        "tampering": touched,
        "sandbox": verdict.sandbox,
        "changed": verdict.changed,
        "findings": verdict.findings,
        "strength": verdict.strength,
    }


def _print(verdict: Verdict, base: str, logs: dict[str, str]) -> None:
    from acr.cli.console import clean, out

    colour = {"pass": "green", "fail": "red"}.get(verdict.status, "yellow")
    head = f"[bold {colour}]{verdict.status}[/] · {clean(verdict.reason)}"
    out().print(head + (f" · score {verdict.score:.2f}" if verdict.tests else ""))
    for name, text in _lines(verdict, base):
        out().print(f"  {name:<13}{clean(text)}")
    for name, text in logs.items():
        out().print(f"\n[bold]output of the run: {name}[/]\n{clean(text)}")


def _lines(verdict: Verdict, base: str) -> list[tuple[str, str]]:
    ran = verdict.sandbox
    files = verdict.changed
    shown = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
    count = f"{len(files)} {'file' if len(files) == 1 else 'files'} since {base}"
    lines = [("changed", f"{count}: {shown}" if files else count)]
    if ran:
        lines.append(("ran", " ".join(_short(word) for word in ran["command"])))
        grade = "no sandbox: your own rights" if ran["engine"] == "none" else ran["grade"]
        lines.append(("in", f"{ran['engine']} {ran['version']} ({grade})"))
        held = [f"{k} {v}" for k, v in ran["enforced"].items() if v]
        open_ = [k for k, v in ran["enforced"].items() if not v]
        lines.append(("enforced", "; ".join(held) or "nothing"))
        lines += [("not held", ", ".join(open_))] if open_ else []
    for one in verdict.signals:
        score = "-" if one.score is None else f"{one.score:.2f} x {one.weight:.2f}"
        lines.append((one.name, f"{score}  {one.detail}"))
    if verdict.tests:
        for kind in ("fixed", "broken", "still_failing", "missing"):
            names = getattr(verdict.tests, kind)
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines += [(kind.split("_")[0], ", ".join(names[:5]) + more)] if names else []
    if verdict.status == "pass":
        lines.append(("limit", "code that is made for these tests may deceive them: read it"))
    return lines


def _short(word: str) -> str:
    return word if len(word) <= 80 and "\n" not in word else "…"
