"""acr hooks: lets acr learn from sessions that you start without it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import git, settings
from acr.cli.hooks_settings import advise_app, subagents_app, verify_app
from acr.cli.run import AsJson
from acr.errors import AcrError, UsageError

if TYPE_CHECKING:
    from acr.installer.codex_server import Seen
    from acr.installer.edit import Change
    from acr.installer.status import Spot, Status

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.add_typer(verify_app, name="verify")
app.add_typer(advise_app, name="advise")
app.add_typer(subagents_app, name="subagents")


def _names(incomplete: str) -> list[str]:
    from acr.installer import AGENTS

    return [name for name in (*AGENTS, "all") if name.startswith(incomplete)]


Which = Annotated[
    str,
    typer.Argument(
        metavar="AGENT",
        help="codex, claude, opencode, gemini, qwen, or all.",
        autocompletion=_names,
        show_default=True,
    ),
]
Project = Annotated[
    bool, typer.Option("--project", help="The files of this repository instead of your own.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the diff and change nothing.")]


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Lets acr learn from sessions that you start without it, by hooks in the agents' settings."""
    if context.invoked_subcommand is None:
        status(as_json=as_json)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Says of each agent whether acr's hooks are installed, enabled and trusted."""
    from acr.cli.console import clean, emit_json, out, table
    from acr.installer import AGENTS
    from acr.installer.status import look

    found = [look(name, Path.cwd(), _repository()) for name in AGENTS]
    if as_json:
        emit_json({"agents": found})
        return
    shown = table("agent", "installed", "enabled", "trusted", "file")
    for one in found:
        files = "\n".join(map(_short, one.files)) or "-"
        shown.add_row(*map(clean, (one.agent, *_three(one), files)))
    out().print(shown)
    for one in found:
        for note in one.notes:
            out().print(clean(f"{one.agent}: {note}"))


def _short(spot: Spot) -> str:
    home = f"{Path.home()}{os.sep}"
    return f"~/{spot.path.removeprefix(home)}" if spot.path.startswith(home) else spot.path


def _three(found: Status) -> tuple[str, ...]:
    words = {True: "yes", False: "no", None: "unknown" if found.installed else "-"}
    return words[found.installed], words[found.enabled], words[found.trusted]


@app.command()
def install(
    agent: Which = "all",
    *,
    project: Project = False,
    dry_run: DryRun = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Codex only: ask you, then write that you trust them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Adds acr's hooks to an agent's settings; all are those that are found on this machine.

    Everything else in the file stays as it is, byte by byte, and uninstall gives it back.
    """
    from acr.cli.console import out
    from acr.installer import command, edit, get
    from acr.installer.status import target

    names, root = _chosen(agent), _root(project=project)
    if trust and ("codex" not in names or dry_run or as_json):
        raise UsageError("--trust asks you about Codex: acr hooks install codex --trust")
    if agent == "all":
        names = [name for name in names if shutil.which(get(name).binary)]
    if not names:
        raise AcrError("no agent is found; install one, or name it: acr hooks install codex")

    def plan(name: str) -> Iterator[Change]:
        yield edit.install(target(get(name), root))

    if not dry_run:
        command.prepare()
    changed = _do(names, plan, dry_run=dry_run, as_json=as_json)
    if dry_run or as_json:
        return
    _say_next(names, changed, root)
    if trust:
        _trust()
    elif "codex" in changed:
        out().print(
            "codex: it skips hooks silently until you trust them: open codex, choose /hooks and "
            "trust them there, or run: acr hooks install codex --trust"
        )


@app.command()
def uninstall(
    agent: Which = "all",
    *,
    project: Project = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Takes acr's hooks out again: the file is as it was, but for what others changed since."""
    from acr.cli.console import clean, out
    from acr.installer import codex, edit, get, state

    root = _root(project=project)

    behind = 0

    def plan(name: str) -> Iterator[Change]:
        nonlocal behind
        places = get(name).places(root)
        keys = [key for p in places for key in codex.keys(p)] if name == "codex" else []
        for place in places:
            behind += codex.moved(place) if name == "codex" else 0
            yield edit.uninstall(place, keys)
        if keys and root and (change := edit.distrust(codex.config(), keys)).diff:
            yield change

    _do(_chosen(agent), plan, dry_run=dry_run, as_json=as_json)
    if behind and not as_json:
        out().print(f"codex: {behind} hooks of others move up: trust them again in codex: /hooks")
    if agent == "all" and not (dry_run or as_json):
        for path in filter(os.path.exists, state.paths()):
            out().print(
                clean(f"still in {path}: acr hooks uninstall --project, in that repository")
            )


@app.command()
def diff(agent: Which = "all", *, as_json: AsJson = False) -> None:
    """Shows what acr has put into each file, as a unified diff; cf. install --dry-run."""
    from acr.cli.console import emit_json
    from acr.installer import edit, get
    from acr.installer.edit import Change
    from acr.installer.status import spots

    changes = []
    for name in _chosen(agent):
        for place in spots(get(name), _repository()):
            out = edit.uninstall(place)
            changes.append(Change(place, out.after, out.before))
    if as_json:
        emit_json({"changes": [_told(change) for change in changes]})
        return
    for change in changes:
        _write(change.diff)
    if not changes:
        sys.stderr.write("acr: no hooks of acr's are installed\n")


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Checks the hooks that are installed, and runs each as its agent would, with a sample."""
    from acr.cli.console import emit_json, out
    from acr.cli.doctor import show
    from acr.cli.hooks_doctor import examine_hooks

    findings = list(examine_hooks(Path.cwd(), _repository(), run=True))
    failed = any(finding.status == "failure" for finding in findings)
    if as_json:
        emit_json({"ok": not failed, "checks": findings})
    else:
        for finding in findings:
            show(finding)
        out().print("\nsomething is broken" if failed else "\nall is well")
    raise typer.Exit(1 if failed else 0)


def _chosen(agent: str) -> list[str]:
    from acr.installer import AGENTS

    if agent not in (*AGENTS, "all"):
        raise UsageError(f"no hooks for {agent!r}; known: {', '.join(AGENTS)}, all")
    return list(AGENTS) if agent == "all" else [agent]


def _repository() -> Path | None:
    """The root of the repository around the current folder."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if git.find_git(p)), None)


def _root(*, project: bool) -> Path | None:
    """The repository whose files are meant, None for the user's own."""
    root = _repository() if project else None
    if project and root is None:
        raise UsageError("--project: this folder is in no git repository")
    return root


Plan = Callable[[str], Iterator["Change"]]
"""Agent -> what to change."""


def _do(names: Sequence[str], plan: Plan, *, dry_run: bool, as_json: bool) -> list[str]:
    """Makes or shows the changes of each agent, and returns which agents have changed.

    One that fails stops no other. Raises AcrError with all that was refused.
    """
    from acr.cli.console import emit_json

    told, refused = [], []
    for name in names:
        try:
            for change in list(plan(name)):
                changed = change.before != change.after if dry_run else _applied(change)
                if changed or not change.removes:
                    told.append({**_told(change), "changed": changed})
                if not as_json:
                    _say(change, dry_run=dry_run, changed=changed)
        except AcrError as e:
            refused.append(str(e))
        except OSError as e:
            refused.append(f"{e.filename or name}: {e.strerror}; nothing was changed there")
    if as_json:
        emit_json({"changes": told, "refused": refused})
    elif not told and not refused:
        sys.stdout.write("no hooks of acr's are there\n")
    if refused:
        raise AcrError("; ".join(refused))
    return [change["agent"] for change in told if change["changed"]]


def _applied(change: Change) -> bool:
    """Makes the change while no other acr makes one."""
    from acr.installer import edit
    from acr.lock import hold

    with hold(settings.home(), "acr hooks"):
        return edit.apply(change)


def _told(change: Change) -> dict[str, Any]:
    place = change.place
    about = {"agent": place.agent, "path": str(place.path), "scope": place.scope}
    return {**about, "diff": change.diff}


def _say(change: Change, *, dry_run: bool, changed: bool) -> None:
    from acr.cli.console import clean, out

    place = change.place
    if dry_run:
        _write(change.diff)
    elif changed:
        out().print(clean(f"✓ {place.agent}: {change.what} {place.path}"))
    elif not change.removes:
        out().print(clean(f"· {place.agent}: {place.path} has them already"))


def _write(text: str) -> None:
    """A diff as it is, so that `patch` can read it."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


def _say_next(names: Sequence[str], changed: Sequence[str], root: Path | None) -> None:
    from acr.cli.console import clean, out
    from acr.installer import get

    if warning := get("codex").warning(root) if "codex" in names else "":
        out().print(clean(f"codex: {warning}"))
    if root:
        out().print("These files name paths of this machine; keep them out of commits.")
    if changed:
        out().print("acr hooks shows how it stands; acr hooks uninstall takes them out again")


def _trust() -> None:
    """Writes that Codex may run the hooks, when the user says yes to the commands themselves."""
    from acr.cli.console import clean, out
    from acr.installer import codex, edit

    todo = [hook for hook in _seen().hooks if not hook.runs]
    if not todo:
        out().print("codex: it trusts them already")
        return
    out().print("\nCodex would then run, with your rights and without asking again:")
    for hook in todo:
        out().print(clean(f"  {hook.command}"))
    typer.confirm(f"Trust these {len(todo)} commands?", default=False, abort=True)
    change = edit.trust(codex.config(), {hook.key: hook.hash for hook in todo})
    _applied(change)
    left = [hook for hook in _seen().hooks if not hook.runs]
    if left:
        raise AcrError(f"Codex still does not trust {len(left)} hooks; trust them in codex: /hooks")
    out().print(clean(f"✓ codex: trusted in {change.place.path}"))


def _seen() -> Seen:
    from acr.installer.codex_server import ask

    seen = ask(Path.cwd())
    if seen is None:
        raise AcrError("Codex could not be asked; trust them in codex itself: /hooks")
    return seen
