"""Looks for an agent's program without starting a session."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from acr.agents import Detection

__all__ = ["look", "seen"]

VERSION = re.compile(r"\d+\.\d+[\w.+-]*")
PATIENCE = 20.0
"""Seconds that `--version` may take."""


def look(binary: str, *, install: str, login: str, auth: str) -> Detection:
    """Whether `binary` is on PATH, its version, and what is missing.

    `install` and `login` are commands; `auth` says how it seems to be logged in, or is empty.
    """
    path = shutil.which(binary)
    if path is None:
        return Detection(found=False, hint=f"install it with `{install}`")
    hint = "" if auth else f"log in with `{login}`"
    version = _packaged(Path(path).resolve()) or _asked(path)
    return Detection(found=True, path=path, version=version, auth=auth, hint=hint)


def seen(variables: Iterable[str], files: Iterable[Path]) -> str:
    """The first variable that is set or file that exists, by name; nothing is read."""
    for name in variables:
        if os.environ.get(name):
            return f"${name}"
    return next((str(path) for path in files if path.is_file()), "")


def _packaged(program: Path) -> str:
    """The version in the npm package that `program` lies in: at once, and without starting it."""
    for folder in program.parents[:3]:
        try:
            package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        version = package.get("version") if isinstance(package, dict) else None
        return version if isinstance(version, str) else ""
    return ""


def _asked(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = VERSION.search(done.stdout)
    return found[0] if found else ""
