"""A fake agent: a Python script in the place of a program, and a reader that keeps its lines."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acr.agents import Command, Detection, Reader, Report, Request
from acr.nouns import Event, Profile

ATTEMPT = secrets.token_hex(5)
"""Processes are told by it, in tests that run beside these as well."""
PROFILE = Profile("fake-profile", "fake", "fake-model", "mid")


@dataclass
class FakeReader:
    """Every line is an event; the report is given."""

    report: Callable[[int, str], Report]
    lines: list[str] = field(default_factory=list)

    def feed(self, line: str) -> list[Event]:
        """The line itself."""
        self.lines.append(line)
        return [Event("text", line)]

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The given report."""
        return self.report(exit_code, stderr)


@dataclass
class FakeAgent:
    """Runs `script` with this Python."""

    script: str = ""
    report: Callable[[int, str], Report] = lambda code, stderr: Report("done")
    stdin: str | None = None
    argv: tuple[str, ...] = ()
    name: str = "fake"
    binary: str = "fake"
    readers: list[FakeReader] = field(default_factory=list)

    def detect(self) -> Detection:
        """It is never installed."""
        return Detection(found=False, hint="install it with `npm install -g fake`")

    def command(self, request: Request) -> Command:
        """The script, or `argv`."""
        return Command(self.argv or (sys.executable, "-c", self.script), stdin=self.stdin)

    def interactive(self, request: Request) -> Command:
        """The same."""
        return self.command(request)

    def reader(self, request: Request) -> Reader:
        """A fresh one, kept in `readers`."""
        self.readers.append(FakeReader(self.report))
        return self.readers[-1]


def request(tmp_path: Path, **fields: Any) -> Request:
    """A request to work in `tmp_path`."""
    defaults: dict[str, Any] = {
        "attempt": ATTEMPT,
        "task": "t1",
        "decision": "d1",
        "prompt": "do it",
        "profile": PROFILE,
        "cwd": tmp_path,
        "autonomy": "edit",
        "timeout": 30.0,
        "run_dir": tmp_path / "run" / "a1",
    }
    return Request(**{**defaults, **fields})
