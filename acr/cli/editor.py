"""The user's editor: $VISUAL, $EDITOR, else vi."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from acr.errors import UsageError

__all__ = ["open_editor"]


def open_editor(file: Path) -> None:
    """Opens `file` until the editor is closed. Raises UsageError when that fails."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(file)], check=False)
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise UsageError(f"the editor {editor!r} cannot be started: {reason}; set EDITOR") from None
    if done.returncode:
        raise UsageError(f"the editor {editor!r} ended with {done.returncode}; nothing was done")
