"""The verifier on a turn of an ordinary session, where the user lets it look."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from acr import git, lock, settings
from acr.errors import AcrError
from acr.files import replace_file
from acr.nouns import Attempt, Repository, Snapshot, Task, Verdict
from acr.sessions.turns import Heard
from acr.settings import Settings

__all__ = ["RefusedError", "allowed", "judged"]

OLD = 24 * 3600.0
"""Seconds after which the tree that a session's last turn left is forgotten."""


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


def judged(
    heard: Heard,
    task: Task,
    attempt: Attempt,
    repository: Repository,
    *,
    others: Sequence[Heard],
    config: Settings,
    folder: Path,
    progress: Callable[[str], None],
) -> Verdict:
    """How the tree compares with the one that the turn began with; logs go below `folder`.

    That is the tree which the session's turn before left, else the commit that was checked
    out when the prompt came. Raises RefusedError, or another AcrError, when it cannot tell.
    """
    on, why = allowed(repository.root, config)
    if not on:
        raise RefusedError(why)
    if not repository.is_git:
        raise RefusedError("not a git repository")
    if any(_beside(other, heard, repository.root) for other in others):
        raise RefusedError("other work went on in the repository before it could be verified")
    from acr.memory.redaction import redact
    from acr.verifier import hooks
    from acr.verifier.verdict import prepare

    place = settings.folder("cache", "sessions", repository.id)
    _forget_old(place.parent)
    with lock.hold(repository.root, task.prompt):
        store = place / "snapshot.git"
        after = git.snapshot(repository.root, store)
        before = _before(place, heard, after)
        cache = settings.folder("cache", "baselines")
        with prepare(
            repository, before, config.verifier, folder, cache, redact, worktree=after
        ) as baseline:
            verdict = hooks.default()(baseline, task, attempt, after, progress)
    left = {"session": heard.prompt.session, "turn": heard.id, "tree": after.tree}
    left |= {"before": before.tree, "commit": repository.head or ""}
    replace_file(place / "last.json", json.dumps(left))
    return verdict


def _beside(other: Heard, heard: Heard, root: Path) -> bool:
    """Whether another turn in the repository was not over when this one began."""
    if other.id == heard.id or not Path(other.prompt.text("cwd")).is_relative_to(root):
        return False
    return other.ended > heard.prompt.time


def _before(place: Path, heard: Heard, after: Snapshot) -> Snapshot:
    """The tree that the turn began with."""
    try:
        last = json.loads((place / "last.json").read_bytes())
    except (OSError, ValueError):
        last = {}
    if last.get("turn") == heard.id:  # an ingest that broke off had come this far
        return Snapshot(after.root, after.git_dir, last["before"])
    commit = heard.prompt.text("commit")
    if last.get("session") == heard.prompt.session and last.get("commit") == commit:
        return Snapshot(after.root, after.git_dir, last["tree"])
    return git.tree_of(after.root, after.git_dir, commit or "HEAD")


def _forget_old(folder: Path) -> None:
    for place in folder.iterdir():
        if time.time() - place.stat().st_mtime > OLD:
            shutil.rmtree(place, ignore_errors=True)
