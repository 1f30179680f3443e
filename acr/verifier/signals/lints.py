"""Linters that the repository itself configures: what they newly complain of in changed files."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from acr import git
from acr.errors import SandboxError
from acr.nouns import Signal, Snapshot
from acr.verifier.ground import Changes, Ground
from acr.verifier.signals.results import plain

__all__ = ["Complaints", "Linter", "compare", "configured", "signal"]

FILES = 200
"""Changed files that are linted."""
Complaints = Counter[tuple[str, str]]
"""(path relative to the root, rule) -> how often."""


@dataclass(frozen=True, slots=True)
class Linter:
    """A linter and the changed files that it is for."""

    name: str
    files: tuple[str, ...]

    def program(self, root: Path) -> str:
        """The repository's own, relative to `root`, else the one on PATH; "" without either."""
        places = ((p, root / p if "/" in p else p) for p in _PROGRAMS[self.name])
        return next((program for program, place in places if shutil.which(place)), "")

    def argv(self, program: str) -> tuple[str, ...]:
        """The command that prints its complaints as JSON."""
        return (program, *_OPTIONS[self.name], "--", *self.files)

    def read(self, output: str, root: str) -> Complaints | None:
        """The complaints in `output`; None when it printed something else."""
        try:
            return _READERS[self.name](json.loads(output), root)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def configured(changes: Iterable[tuple[str, str]], before: Snapshot) -> tuple[Linter, ...]:
    """The linters that the base configures and that are for files in `changes` (status, path)."""
    changed = [path for status, path in changes if status in "AM"]
    if not any(path.endswith(_PYTHON + _SCRIPT) for path in changed):
        return ()
    names = set(git.paths(before))
    found = []
    if _has_ruff(names, before):
        found.append(Linter("ruff", _of(changed, _PYTHON)))
    if any(_ESLINT.fullmatch(name) for name in names):
        found.append(Linter("eslint", _of(changed, _SCRIPT)))
    return tuple(linter for linter in found if linter.files)


def signal(changes: Changes, ground: Ground) -> Signal | None:
    """The signal `lint`: 1 without new complaints, less with each; None without a linter."""
    before, after, heard = Complaints(), Complaints(), False
    for linter in configured(changes, ground.base) if ground.engine else ():
        with contextlib.suppress(SandboxError), ground.copy() as copy:
            ground.undo(copy, [(s, p) for s, p in changes if _SETTING.fullmatch(p)])
            now = _complaints(copy, linter, ground)
            ground.undo(copy, changes)
            modified = {path for status, path in changes if status == "M"}
            old = replace(linter, files=tuple(p for p in linter.files if p in modified))
            then = _complaints(copy, old, ground)
            if now is not None and then is not None:
                after, before, heard = after + now, before + then, True
    return compare(before, after) if heard else None


def _complaints(copy: Path, linter: Linter, ground: Ground) -> Complaints | None:
    """What the linter says of its files in `copy`; None when it cannot be run."""
    if not linter.files:
        return Complaints()
    program = linter.program(ground.root)
    if not program:
        return None
    ran = ground.run(copy, linter.argv(program), ground.tools_for(program, linter.name))
    return linter.read(str(ran.stdout), str(ground.root))


def compare(before: Complaints, after: Complaints) -> Signal:
    """The signal for complaints before and after."""
    new = after - before
    if not new:
        return Signal("lint", 1.0, 0.0, "the repository's linters have no new complaint")
    shown = ", ".join(f"{path} {rule}" for path, rule in sorted(new)[:3])
    count = new.total()
    said = f"{count} new complaint{'' if count == 1 else 's'} of the repository's linters: {shown}"
    return Signal("lint", 1 / (1 + count), 0.0, plain(said)[:300])


_PYTHON = (".py", ".pyi")
_SCRIPT = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_ESLINT = re.compile(r"eslint\.config\.[cm]?[jt]s|\.eslintrc(?:\.(?:json|ya?ml|[cm]?js))?")
_SETTING = re.compile(rf"(?:.*/)?(?:\.?ruff\.toml|pyproject\.toml|{_ESLINT.pattern})")
_PROGRAMS = {"ruff": (".venv/bin/ruff", "ruff"), "eslint": ("node_modules/.bin/eslint",)}
_OPTIONS = {
    "ruff": ("check", "--output-format=json", "--no-cache", "--exit-zero", "--force-exclude"),
    "eslint": ("--format=json", "--no-error-on-unmatched-pattern"),
}


def _of(changed: Sequence[str], suffixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in changed if path.endswith(suffixes))[:FILES]


def _has_ruff(names: set[str], before: Snapshot) -> bool:
    if names & {"ruff.toml", ".ruff.toml"}:
        return True
    text = git.read(before, "pyproject.toml") if "pyproject.toml" in names else None
    try:
        return "ruff" in tomllib.loads((text or b"").decode()).get("tool", {})
    except (ValueError, AttributeError, TypeError):
        return False


def _ruff(said: list[dict[str, Any]], root: str) -> Complaints:
    return Counter((_relative(one["filename"], root), str(one["code"])) for one in said)


def _eslint(said: list[dict[str, Any]], root: str) -> Complaints:
    found: Complaints = Counter()
    for file in said:
        path = _relative(file["filePath"], root)
        found.update((path, str(message["ruleId"])) for message in file["messages"])
    return found


def _relative(path: str, root: str) -> str:
    pure = PurePosixPath(path)
    return str(pure.relative_to(root)) if pure.is_relative_to(root) else path


_READERS: dict[str, Callable[..., Complaints]] = {"ruff": _ruff, "eslint": _eslint}
