"""A deterministic agent for the demo and for tests: it follows a script, no model is called."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path

from acr.agents import Command, Detection, Report, Request
from acr.agents.records import number, record, table, text
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Scripted"]

PROGRAM = Path(__file__).with_name("scripted_program.py")


class Scripted:
    """Adapter of scripted_program.py. The script's path is `--script FILE` in the profile's
    args, else $ACR_SCRIPT."""

    name = "scripted"
    binary = sys.executable

    def detect(self) -> Detection:
        """It is always there."""
        return Detection(True, str(PROGRAM), "for demo and tests; calls no model", "none needed")

    def command(self, request: Request) -> Command:
        """The program with the prompt on stdin."""
        script = os.environ.get("ACR_SCRIPT", "")
        given = () if "--script" in request.profile.args else ("--script", script)
        session = ("--session", request.resume) if request.resume else ()
        model = ("--model", request.profile.model)
        argv = (sys.executable, "-I", "-S", str(PROGRAM), *given, *request.profile.args)
        return Command((*argv, *model, *session, *request.args), stdin=request.prompt)

    def interactive(self, request: Request) -> Command:
        """The same program; it has no screen of its own."""
        return self.command(request)

    def reader(self, request: Request) -> _Reader:
        """A fresh reader."""
        return _Reader()


class _Reader:
    def __init__(self) -> None:
        self._model: str | None = None
        self._session: str | None = None
        self._error = self._denied = self._message = ""
        self._usage: Usage | None = None
        self._cost: float | None = None

    def feed(self, line: str) -> list[Event]:
        """Events in one line."""
        data = record(line)
        kind, said = text(data, "type"), text(data, "text")
        if kind == "start":
            self._model, self._session = text(data, "model"), text(data, "session")
        elif kind == "error":
            self._error = said
            return [Event("error", said)]
        elif kind == "denied":
            self._denied = said
            return [Event("warning", f"{said} was denied")]
        elif kind == "end":
            self._finish(data)
        elif kind in ("tool", "text"):
            return [Event("tool" if kind == "tool" else "text", said)]
        return []

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The report of the run."""
        error = self._error or (f"{self._denied} was denied" if self._denied else "")
        if exit_code and not error:
            last = stderr.strip().splitlines()[-1:] or [f"exit code {exit_code}"]
            error = f"the scripted agent failed: {last[0]}"
        denied = bool(self._denied) and not self._error
        status: AttemptStatus = "denied" if denied else "error" if error else "done"
        return Report(
            status=status,
            error=error,
            model=self._model,
            usage=self._usage,
            cost=self._cost,
            session=self._session,
            message=self._message,
        )

    def _finish(self, data: dict[str, object]) -> None:
        counts = table(data, "usage")
        if counts:
            self._usage = Usage(**{f.name: number(counts, f.name) for f in fields(Usage)})
        cost = data.get("cost")
        self._cost = float(cost) if isinstance(cost, (int, float)) else None
        self._message = text(data, "message")
