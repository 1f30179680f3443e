"""What every adapter must do, whichever agent it drives."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from acr.agents import Request, get, process
from acr.nouns import Attempt, Event
from tests.model_server import Step

WRITES = (
    Step(
        shell="printf 'hi\\n' >> hello.txt",
        usage={"input": 1500, "cached": 100, "output": 40, "reasoning": 5},
    ),
    Step(message="All done", usage={"input": 1700, "cached": 1400, "output": 20, "reasoning": 0}),
)
"""Writes a file: 1700 uncached and 1500 cached input tokens, 60 output tokens, 2 requests."""
RUNS_COMMAND = (
    Step(
        tool="run_shell_command",
        args={"command": "echo hi > hello.txt", "description": "x", "is_background": False},
    ),
    Step(message="could not"),
)
"""Calls gemini's and qwen's tool for commands by its name, whether or not it was offered."""
HANGS = (Step(shell="printf 'hi\\n' >> hello.txt"), Step(message="late", delay=600))
"""Writes a file and then never answers."""
SECRET = "the prompt itself"


def writes_by_tool(folder: Path) -> tuple[Step, ...]:
    """The same as WRITES, by gemini's and qwen's tool for files."""
    hello = {"file_path": str(folder / "hello.txt"), "content": "hi\n"}
    return (Step(tool="write_file", args=hello, usage=WRITES[0].usage), WRITES[1])


def run(request: Request) -> Attempt:
    """Runs the profile's agent."""
    return process.run(get(request.profile.agent), request, lambda _: None)


def interrupted(request: Request, number: signal.Signals = signal.SIGINT) -> Attempt:
    """Sends this process a signal as soon as the agent has written the file."""
    written = request.cwd / "hello.txt"

    def watch(event: Event) -> None:
        if event.kind == "tool" and not sent:
            _until(written.exists)
            sent.append(True)
            os.kill(os.getpid(), number)

    sent: list[bool] = []
    return process.run(get(request.profile.agent), request, watch)


def alive(attempt: str) -> list[str]:
    """Command lines of living processes that belong to an attempt."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True
    ).stdout
    mark = f"ACR_ATTEMPT={attempt}".encode()
    return [pid for pid in listed.split() if mark in _environment(pid)]


def _environment(pid: str) -> list[bytes]:
    """Linux tells the environment of a process; elsewhere nothing is found."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)
