"""The command that agents run: how it is written, and how it is known again."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from pathlib import Path

from acr import hooksfile, settings
from acr.errors import AcrError

__all__ = ["MARKER", "argv", "is_ours", "line", "prepare", "python", "script", "wanted"]

MARKER = "--acr-hook"
"""In every command of acr's, in all versions: by it acr knows its own."""
_OURS = re.compile(rf"(?<!\S){MARKER}(?!\S)|/acr_hook\.py(?![\w.])")
"""The marker, or the script of versions that wrote none."""


def is_ours(command: str) -> bool:
    """Whether a hook's command is one of acr's, of this version or an earlier one."""
    return bool(_OURS.search(command))


def python() -> Path:
    """The Python that runs the hook: the one below acr's environment, which upgrades replace."""
    return Path(os.path.realpath(sys.executable))


def script() -> Path:
    """Where agents find the hook script; a link, so that an upgrade changes no command."""
    return settings.home() / "hooks" / "acr_hook.py"


def argv(agent: str, event: str) -> list[str]:
    """The hook as a program with arguments."""
    moved = os.environ.get("ACR_HOME")
    home = ["/usr/bin/env", f"ACR_HOME={settings.home()}"] if moved else []
    return [*home, str(python()), "-I", "-S", str(script()), agent, event, MARKER]


def line(agent: str, event: str) -> str:
    """The hook as a shell command. It cannot fail: exit code 2 would block some agents."""
    return f"{shlex.join(argv(agent, event))} || true"


def wanted(agent: str) -> dict[str, dict[str, object]]:
    """Event -> the group that is to be in the agent's settings."""
    from acr.installer.events import EVENTS

    groups: dict[str, dict[str, object]] = {}
    for event in EVENTS[agent]:
        handler = {"type": "command", "command": line(agent, event.name), "timeout": event.timeout}
        matcher = {} if event.matcher is None else {"matcher": event.matcher}
        groups[event.name] = {**matcher, "hooks": [handler]}
    return groups


def prepare() -> None:
    """Links the script to where it is now, and tells hooks which Python has acr.

    Raises AcrError when the script is missing or acr's own hooks.json cannot be read.
    """
    shipped = _lasting(settings.shipped("hooks") / "acr_hook.py")
    if not shipped.is_file():
        raise AcrError(f"{shipped} is missing; install acr again")
    settings.folder("hooks")
    if not script().is_symlink() or os.readlink(script()) != str(shipped):
        fresh = script().with_name(f".acr_hook.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(shipped)
        os.replace(fresh, script())
    able = str(_lasting(Path(sys.executable)))
    if hooksfile.load().python != able:
        hooksfile.change(python=able)


def _lasting(path: Path) -> Path:
    """`path` by a name that upgrades keep: install.sh points `venv` at the newest environment."""
    prefix, link = Path(sys.prefix), Path(sys.prefix).with_name("venv")
    if link.is_symlink() and path.is_relative_to(prefix) and link.resolve() == prefix.resolve():
        return link / path.relative_to(prefix)
    return path
