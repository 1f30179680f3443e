"""What a test command needs of the host: its program, and folders to show read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from acr.nouns import TestCommand

__all__ = ["Toolchain", "resolve"]

SYSTEM = ("/usr/", "/bin/", "/lib")
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WHERE = "import sys; print(sys.executable); print(sys.base_prefix)"
CACHES = {
    "cargo": {"CARGO_HOME": "~/.cargo", "RUSTUP_HOME": "~/.rustup"},
    "go": {"GOMODCACHE": "~/go/pkg/mod"},
    "gradle": {},
    "maven": {"ACR_M2": "~/.m2"},
}
"""Folders of downloaded dependencies, shown read-only and named by a variable."""
OFFLINE = {  # /tmp is the sandbox's own
    "CI": "1",
    "LANG": "C.UTF-8",
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "CARGO_NET_OFFLINE": "true",
    "CARGO_TARGET_DIR": "/tmp/target",  # noqa: S108
    "GOFLAGS": "-mod=mod",
    "GOCACHE": "/tmp/go-build",  # noqa: S108
    "GOPROXY": "off",
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """How to run a command inside a sandbox."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    readonly: tuple[Path, ...]


def resolve(command: TestCommand, root: Path) -> Toolchain:
    """The command with its program made absolute, and what it needs to see.

    Decided from the base, before an agent has changed anything.
    """
    program, *rest = command.argv
    shown: list[Path] = []
    if command.kind in ("pytest", "unittest"):
        program, *prefixes = _python(program)
        shown += [Path(p) for p in prefixes]
    found = shutil.which(program) or program
    tools = [found, *(p for p in (_which(t) for t in _helpers(command.kind)) if p)]
    shown += [prefix for tool in tools if (prefix := _prefix(tool))]
    caches = CACHES.get(command.kind, {})
    folders = {name: str(Path(where).expanduser()) for name, where in caches.items()}
    shown += [Path(folder) for folder in folders.values()]
    outside = [p for p in dict.fromkeys(shown) if p.is_dir() and not p.is_relative_to(root)]
    path = ":".join([*dict.fromkeys(os.path.dirname(t) for t in tools if os.sep in t), BASE_PATH])
    argv = (found if os.sep in found and command.kind in ("pytest", "unittest") else program, *rest)
    return Toolchain(argv, {**OFFLINE, **folders, "PATH": path}, tuple(outside))


def _helpers(kind: str) -> tuple[str, ...]:
    node = ("node", "npm")
    return {
        "npm": node,
        "pnpm": node,
        "yarn": node,
        "bun": node,
        "cargo": ("cargo", "rustc"),
        "go": ("go",),
        "maven": ("mvn", "java"),
        "gradle": ("java",),
        "make": ("python3", "node", "go", "cargo"),
        "custom": ("python3", "node", "go", "cargo"),
    }.get(kind, ())


def _which(tool: str) -> str | None:
    """The real program; a version manager's shim would not work inside."""
    if tool == "python3":
        return _python(tool)[0]
    return shutil.which(tool)


def _prefix(program: str) -> Path | None:
    """The folder that holds bin/PROGRAM and its libraries; None for the system's own."""
    real = Path(os.path.realpath(program))
    if not real.is_absolute() or str(real).startswith(SYSTEM):
        return None
    return real.parent.parent if real.parent.name == "bin" else real.parent


@cache
def _python(program: str) -> tuple[str, ...]:
    """(executable, base prefix, its virtual environment if any).

    No code of a project runs to find out (-I -S).
    """
    found = shutil.which(program) or program
    try:
        done = subprocess.run(
            [found, "-I", "-S", "-c", WHERE],
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return (found,)
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != 2:
        return (found,)
    around = Path(lines[0]).parent.parent
    return (*lines, str(around)) if (around / "pyvenv.cfg").is_file() else tuple(lines)
