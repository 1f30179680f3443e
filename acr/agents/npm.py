"""What agents from npm have in common: how they are found, and how they say their version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from acr.agents import Detection

__all__ = ["detect", "env_or_file"]


def detect(binary: str, install: str, auth: str, login: str) -> Detection:
    """Looks for `binary` on PATH and asks its version; `auth` is empty when nothing is set up."""
    path = shutil.which(binary)
    if path is None:
        return Detection(False, hint=f"install it: {install}")
    return Detection(True, path, _version(path), auth or "not logged in", "" if auth else login)


def env_or_file(variables: tuple[str, ...], files: tuple[str, ...]) -> str:
    """Which of the variables is set, else which of the files (below HOME) exists, else empty.

    Only names are looked at; no secret is read.
    """
    named = next((f"${name}" for name in variables if os.environ.get(name)), "")
    home = Path(os.path.expanduser("~"))
    return named or next((f"~/{name}" for name in files if (home / name).exists()), "")


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+\.\d+[\w.-]*", done.stdout)
    return found.group(0) if found else ""
