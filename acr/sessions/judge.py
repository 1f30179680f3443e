"""The verifier on a turn of an ordinary session, where the user lets it look."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from acr import git, lock, settings
from acr.errors import AcrError
from acr.files import replace_file
from acr.nouns import Attempt, Repository, Snapshot, Task, Verdict
from acr.sessions.turns import Heard
from acr.settings import Settings

__all__ = ["RefusedError", "allowed", "begin", "judged", "roots"]

STORE, LAST = "snapshot.git", "last.json"
OLD = 7 * 24 * 3600.0
"""Seconds after which a repository's trees are forgotten, so that their store does not grow."""


class RefusedError(AcrError):
    """Why the verifier does not look at a turn."""


def allowed(root: Path, config: Settings) -> tuple[bool, str]:
    """(whether turns in `root` are verified, why): as set, else where `test` is set."""
    names = (str(root), os.path.realpath(root))
    found = next((config.repositories[n] for n in names if n in config.repositories), None)
    if found and found.verify is not None:
        return found.verify, f"verification is {'on' if found.verify else 'off'} here"
    if found and found.test:
        return True, "you set its test command"
    return False, "verification is off here (acr hooks verify on)"


def roots(config: Settings) -> list[str]:
    """Folders where prompts are worth a look at the tree, as config.toml names them."""
    return [name for name in config.repositories if allowed(Path(name), config)[0]]


def begin(heard: Heard, config: Settings) -> None:
    """Notes the tree that a turn begins with, where it will be verified. Raises AcrError."""
    from acr.context.repository import find

    cwd = heard.prompt.text("cwd")
    if not cwd:
        return
    repository = find(Path(cwd), config)
    if not repository.is_git or not allowed(repository.root, config)[0]:
        return
    place = _place(repository)
    file = place / f"{heard.id}.json"
    if not file.exists():
        tree = git.snapshot(repository.root, place / STORE).tree
        replace_file(file, json.dumps({"tree": tree, "time": time.time()}))


def judged(
    heard: Heard,
    task: Task,
    attempt: Attempt,
    repository: Repository,
    *,
    acted: float,
    others: Sequence[Heard],
    config: Settings,
    folder: Path,
    progress: Callable[[str], None],
) -> Verdict:
    """How the tree compares with the one that the turn began with; logs go below `folder`.

    `acted` is when the agent first called a tool. Raises RefusedError, or another AcrError,
    when it cannot tell.
    """
    on, why = allowed(repository.root, config)
    if not on:
        raise RefusedError(why)
    if not repository.is_git:
        raise RefusedError("not a git repository")
    here = [h for h in others if h.id != heard.id and _is_in(h, repository.root)]
    if any(other.ended > heard.prompt.time for other in here):
        raise RefusedError("other work went on in the repository before it could be verified")
    from acr.memory.redaction import redact
    from acr.verifier import hooks
    from acr.verifier.verdict import prepare

    place = _place(repository)
    with lock.hold(repository.root, task.prompt):
        after = git.snapshot(repository.root, place / STORE)
        before = _before(place, heard, after, acted, here)
        cache = settings.folder("cache", "baselines")
        with prepare(
            repository, before, config.verifier, folder, cache, redact, worktree=after
        ) as baseline:
            verdict = hooks.default()(baseline, task, attempt, after, progress)
    left = {"turn": heard.id, "tree": after.tree, "before": before.tree}
    replace_file(place / LAST, json.dumps(left | {"commit": repository.head or ""}))
    return verdict


def _is_in(heard: Heard, root: Path) -> bool:
    return Path(heard.prompt.text("cwd")).is_relative_to(root)


def _place(repository: Repository) -> Path:
    """Where trees of the repository are kept; what has been kept for long goes, others' too."""
    for place in settings.folder("cache", "sessions").iterdir():
        born = place / STORE / "HEAD"
        if time.time() - (born if born.exists() else place).stat().st_mtime > OLD:
            shutil.rmtree(place, ignore_errors=True)
    return settings.folder("cache", "sessions", repository.id)


def _before(
    place: Path, heard: Heard, after: Snapshot, acted: float, here: Sequence[Heard]
) -> Snapshot:
    """The tree that the turn began with: as noted then, unless that came too late; else what the
    turn before left, when nothing was committed since; else the commit that the prompt found.

    Raises RefusedError where a turn came between of which nothing is known.
    """
    last, begun = _stored(place / LAST), _stored(place / f"{heard.id}.json")
    if last.get("turn") == heard.id:  # an ingest that broke off had come this far
        return replace(after, tree=last["before"])
    if begun and begun["time"] < min(acted, heard.ended):
        return replace(after, tree=begun["tree"])
    if any(other.id != last.get("turn") for other in here):
        raise RefusedError("the tree that it began with is not known")
    commit = heard.prompt.text("commit")
    if commit and last.get("commit") == commit:
        return replace(after, tree=last["tree"])
    return git.tree_of(after.root, after.git_dir, commit or "HEAD")


def _stored(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
