"""acr -i with the real agents: their own screen in a terminal, closed by its user, then judged."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_agents.test_loop import COST, FILES, FIXES, Repo, Serve, acr, profile

LIMIT = 120.0
"""Seconds until a screen that does not close is given up."""
ANSWERS = {b"\x1b[6n": b"\x1b[1;1R", b"\x1b[c": b"\x1b[?62c"}
"""What terminals answer when they are asked for the cursor and for what they are."""


def _trusted(agent: str, home: Path, root: Path) -> None:
    """The questions of a first start are answered already."""
    if agent == "claude":
        folder = home / ".claude"
        folder.mkdir(exist_ok=True)
        project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        known = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": ["dummy"], "rejected": []},
            "projects": {str(root): project},
        }
        (folder / ".claude.json").write_text(json.dumps(known))
    if agent == "codex":
        with (home / ".codex" / "config.toml").open("a") as file:
            file.write(f'[projects."{root}"]\ntrust_level = "trusted"\n')


def _used(argv: list[str], root: Path, done: Callable[[], bool]) -> tuple[int, str]:
    """(exit code, all that was shown) of a program on a terminal; /exit is typed when done."""
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(root)
        os.environ["TERM"] = "xterm-256color"
        os.execv(argv[0], argv)
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    shown, typed, deadline = b"", list("/exit\r"), time.monotonic() + LIMIT
    quiet, pause = time.monotonic(), 1.5
    try:
        with contextlib.suppress(OSError):  # the terminal is closed when its last program ends
            while time.monotonic() < deadline:
                if select.select([screen], [], [], 0.2)[0]:
                    quiet, chunk = time.monotonic(), os.read(screen, 65536)
                    shown += chunk
                    for question, answer in ANSWERS.items():
                        if question in chunk:
                            os.write(screen, answer)
                elif done() and typed and time.monotonic() - quiet > pause:
                    os.write(screen, typed.pop(0).encode())
                    pause = 0.3
    finally:
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        os.close(screen)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


@pytest.mark.parametrize("agent", ["codex", "claude", "opencode"])
def test_the_screen_is_used_closed_judged_and_gone_on_with(
    agent: str, serve: Serve, git_repo: Repo, agent_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(steps=FIXES)
    root = git_repo(FILES)
    _trusted(agent, agent_home, root)
    profile(agent, f"my-{agent}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    argv = [sys.executable, "-m", "acr", "-i", "--profile", f"my-{agent}", "fix the failing test"]
    code, shown = _used(argv, root, lambda: "a + b" in (root / "calc.py").read_text())
    assert code == 0, shown[-3000:]
    assert "1 test fixed" in shown
    (told,) = json.loads(acr("runs", "--json", cwd=root).stdout)
    assert (told["status"], told["model"]) == ("pass", profile(agent, "x").model)
    assert told["cost_usd"] == pytest.approx(COST)
    again = acr("continue", "--json", "is that all?", cwd=root)
    first = json.loads(acr("runs", "show", told["run"], "--json", cwd=root).stdout)
    sessions = [
        run["attempts"][0]["attempt"]["session"] for run in (first, json.loads(again.stdout))
    ]
    assert sessions[0] == sessions[1]
