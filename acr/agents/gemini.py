"""Gemini CLI: stream-json events, prompt on stdin."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path

from acr.agents import Command, Detection, Report, Request, detection
from acr.agents.failures import explain
from acr.agents.records import lines, number, record, rows, shorten, table, text
from acr.agents.sessions import Ran, Told, Turn
from acr.agents.usage import Ledger, moment, since
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Gemini", "turn"]

APPROVAL = {"ask": "default", "edit": "auto_edit", "full": "yolo"}
"""Where nobody can be asked, "ask" only reads, and "edit" changes files but runs no commands."""
LOGIN = "gemini"
UNAUTHORIZED = 41
"""Exit code where no way to log in is configured."""
STATUS = re.compile(r"\b(?:status|code): ([45]\d\d)\b")
"""The HTTP status in the error that gemini prints on stderr."""
REFUSALS = ("policy_violation", "execution_denied")
"""Types of tool errors where a rule refused the call."""
WITHHELD = 'Tool "run_shell_command" not found'
"""Without autonomy "full" the tool is not offered; a model may call it all the same."""
LOGIN = "gemini"


def home() -> Path:
    """Gemini CLI's own folder."""
    return Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini"


class Gemini:
    """Adapter of gemini (0.61 and later)."""

    name = "gemini"
    binary = "gemini"

    def detect(self) -> Detection:
        """Looks for the program."""
        keys = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS")
        return detection.look(
            self.binary,
            install="npm install -g @google/gemini-cli",
            login=LOGIN,
            auth=detection.seen(keys, (Path.home() / ".gemini/oauth_creds.json",)),
        )

    def command(self, request: Request) -> Command:
        """The headless run."""
        argv = (*_common(request), "--output-format", "stream-json")
        return Command((*argv, *request.profile.args, *request.args), stdin=request.prompt)

    def interactive(self, request: Request) -> Command:
        """The agent's own screen, with the prompt sent."""
        argv = (*_common(request), *request.profile.args, *request.args)
        return Command((*argv, f"--prompt-interactive={request.prompt}"))

    def reader(self, request: Request) -> _Reader:
        """A fresh reader."""
        return _Reader(request)


def _common(request: Request) -> tuple[str, ...]:
    resumed = ("--resume", request.resume) if request.resume else ()
    mode = APPROVAL[request.autonomy]
    model = request.profile.model
    return ("gemini", "-m", model, "--approval-mode", mode, "--skip-trust", *resumed)


class _Reader:
    def __init__(self, request: Request) -> None:
        self._asked = request.profile.model
        self._started = time.time()
        self._session: str | None = request.resume
        self._models: list[str] = []
        self._usage: Usage | None = None
        self._requests = 0
        self._message = self._error = self._denied = ""

    def feed(self, line: str) -> list[Event]:
        """Events in one line."""
        data = record(line)
        kind = text(data, "type")
        if kind == "init":
            self._session = text(data, "session_id") or None
        elif kind == "tool_use":
            self._requests += 1
            about = table(data, "parameters")
            what = text(about, "command") or text(about, "file_path") or text(about, "path")
            return [Event("tool", shorten(f"{text(data, 'tool_name')} {what}"))]
        elif kind == "tool_result" and text(data, "status") == "error":
            return [self._refused(data)]
        elif kind == "message" and text(data, "role") == "assistant":
            self._message += text(data, "content")
            return [Event("text", text(data, "content"))]
        elif kind == "error":
            self._error = text(data, "message")
            return [Event("error", shorten(self._error))]
        elif kind == "result":
            self._result(data)
        return []

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The report of the run."""
        error = self._explained(exit_code, stderr) if exit_code or self._error else ""
        ledger = _chats(self._session or "", self._started)
        usage, by_model = self._figures(ledger)
        denied = bool(self._denied) and not error
        status: AttemptStatus = "denied" if denied else "error" if error else "done"
        return Report(
            status=status,
            error=error or self._denied,
            model=self._models[0] if len(self._models) == 1 else next(iter(by_model), None),
            usage=usage,
            session=self._session,
            message=self._message.strip(),
            by_model=by_model,
            requests=ledger.requests(),
        )

    def _figures(self, ledger: Ledger) -> tuple[Usage | None, dict[str, Usage]]:
        """What was printed at the end; the session's files tell it by model, and sub-agents.

        Without an end, as after a timeout, the files alone tell.
        """
        found = ledger.total()
        if found is None or self._usage is None:
            return found or self._usage, ledger.by_model()
        if found.total != self._usage.total:  # the files are not all there
            return self._usage, {}
        return found, ledger.by_model()

    def _explained(self, exit_code: int, stderr: str) -> str:
        lines = [line for line in stderr.splitlines() if "rror" in line]
        found = STATUS.findall(stderr)
        status = 401 if exit_code == UNAUTHORIZED else int(found[-1]) if found else 0
        said = self._error or (lines[-1] if lines else stderr.strip())
        return explain("gemini", said, model=self._asked, login=LOGIN, status=status)

    def _result(self, data: dict[str, object]) -> None:
        stats = table(data, "stats")
        self._models = [name for name in table(stats, "models") if isinstance(name, str)]
        whole, given = number(stats, "total_tokens"), number(stats, "input_tokens")
        output = max(number(stats, "output_tokens"), whole - given)
        cached = number(stats, "cached")
        self._usage = Usage(
            input=max(0, given - cached),
            cached_input=cached,
            output=output,
            reasoning=output - number(stats, "output_tokens"),
            requests=self._requests + 1,
        )
        if text(data, "status") == "error":
            self._error = text(data, "error", "message") or "gemini reported an error"

    def _refused(self, data: dict[str, object]) -> Event:
        """A tool's error, remembered where it means that acr's autonomy forbade the call."""
        why = text(data, "error", "message") or text(data, "output")
        if text(data, "error", "type") in REFUSALS or why.startswith(WITHHELD):
            self._denied = shorten(f"a tool was denied: {why}; --autonomy full would allow it")
        return Event("warning", shorten(why))


EXIT = re.compile(r"[Ee]xit(?:ed with)? [Cc]ode: (\d+)")


def turn(wanted: Turn) -> Told:
    """A turn from the session's file; a message is written again when its tools have run."""
    ledger, answers, model, last = Ledger(), dict[str, dict[str, object]](), "", ""
    for line in lines(wanted.transcript):
        during = wanted.start <= moment(text(line, "timestamp")) < wanted.end
        if line.get("type") != "gemini" or not during:
            continue
        model, last = text(line, "model") or model, text(line, "content")
        answers[text(line, "id")] = line
        ledger.add(text(line, "id"), model, _tokens(table(line, "tokens")))
    times = [moment(text(line, "timestamp")) for line in answers.values() if "toolCalls" in line]
    ran = [_ran(call) for line in answers.values() for call in rows(line, "toolCalls")]
    return Told(
        model=model or None,
        by_model=ledger.by_model(),
        ran=tuple(found for found in ran if found),
        acted=min(times, default=math.inf),
        complete=bool(last) and last.strip().startswith(wanted.message.strip()),
    )


def _ran(call: dict[str, object]) -> Ran | None:
    if text(call, "name") in ("write_file", "replace"):
        return Ran("")
    if text(call, "name") != "run_shell_command":
        return None
    said = text(call, "resultDisplay") + "".join(
        text(row, "functionResponse", "response", "output") for row in rows(call, "result")
    )
    exited = EXIT.search(said)
    return Ran(text(call, "args", "command"), int(exited[1]) if exited else 0)


def _chats(session: str, start: float) -> Ledger:
    """What the session's files hold since `start`; each sub-agent has a file of its own."""
    ledger, root = Ledger(), home() / "tmp"
    if not session:
        return ledger
    own = root.glob(f"*/chats/session-*-{session[:8]}.jsonl")
    for path in (*own, *root.glob(f"*/chats/{session}/*.jsonl")):
        rows = list(lines(path))
        main = path.parent.name == "chats"
        if main and text(next(iter(rows), {}), "sessionId") != session:
            continue
        for row in rows:
            if row.get("type") == "gemini" and since(text(row, "timestamp"), start):
                usage = _tokens(table(row, "tokens"))
                if usage.total:
                    ledger.add(text(row, "id"), text(row, "model"), usage, subagent=not main)
    return ledger


def _tokens(row: dict[str, object]) -> Usage:
    """Thoughts are counted apart from the output, cached tokens within the input."""
    cached, thoughts = number(row, "cached"), number(row, "thoughts")
    return Usage(
        input=max(0, number(row, "input") - cached),
        cached_input=cached,
        output=number(row, "output") + thoughts,
        reasoning=thoughts,
    )
