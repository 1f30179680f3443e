"""Qwen Code: Claude-like stream-json events, prompt on stdin."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from acr.agents import Command, Detection, Report, Request, detection
from acr.agents.failures import explain
from acr.agents.records import dig, lines, number, record, rows, shorten, table, text
from acr.agents.sessions import Ran, Told, Turn
from acr.agents.usage import Ledger, moment
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Qwen", "turn"]

APPROVAL = {"ask": "default", "edit": "auto-edit", "full": "yolo"}
"""Where nobody can be asked, "ask" only reads, and "edit" changes files but runs no commands."""
LOGIN = "qwen"


class Qwen:
    """Adapter of qwen (0.24 and later)."""

    name = "qwen"
    binary = "qwen"

    def detect(self) -> Detection:
        """Looks for the program."""
        keys = ("OPENAI_API_KEY", "DASHSCOPE_API_KEY")
        return detection.look(
            self.binary,
            install="npm install -g @qwen-code/qwen-code",
            login=LOGIN,
            auth=detection.seen(keys, (Path.home() / ".qwen/oauth_creds.json",)),
        )

    def command(self, request: Request) -> Command:
        """The headless run."""
        argv = (*self._common(request), "--output-format", "stream-json")
        return Command((*argv, *request.profile.args, *request.args), stdin=request.prompt)

    def interactive(self, request: Request) -> Command:
        """The agent's own screen, with the prompt sent."""
        argv = (*self._common(request), *request.profile.args, *request.args)
        return Command((*argv, f"--prompt-interactive={request.prompt}"))

    def reader(self, request: Request) -> _Reader:
        """A fresh reader."""
        return _Reader(request)

    def _common(self, request: Request) -> tuple[str, ...]:
        resumed = ("--resume", request.resume) if request.resume else ()
        mode = APPROVAL[request.autonomy]
        return ("qwen", "-m", request.profile.model, "--approval-mode", mode, *resumed)


class _Reader:
    def __init__(self, request: Request) -> None:
        self._asked = request.profile.model
        self._session: str | None = None
        self._model: str | None = None
        self._resumed = request.resume is not None
        self._whole: Usage | None = None
        self._ledger = Ledger()
        self._others: dict[str, int] = {}
        """Tokens of each sub-agent in the background, which no message shows."""
        self._message = self._error = self._denied = ""

    def feed(self, line: str) -> list[Event]:
        """Events in one line."""
        data = record(line)
        kind = text(data, "type")
        if kind == "system":
            self._session = text(data, "session_id") or self._session
            if used := number(data, "data", "usage", "total_tokens"):
                self._others[text(data, "data", "task_id")] = used
        elif kind == "assistant":
            return self._said(table(data, "message"), bool(text(data, "parent_tool_use_id")))
        elif kind == "result":
            return self._result(data)
        return []

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The report of the run."""
        error = ""
        if exit_code or self._error:
            said = self._error or stderr.strip().rpartition("\n")[2]
            error = explain("qwen", said, model=self._asked, login=LOGIN)
        denied = bool(self._denied) and not error
        status: AttemptStatus = "denied" if denied else "error" if error else "done"
        return Report(
            status=status,
            error=error or self._denied,
            model=self._model,
            usage=self._figures(),
            session=self._session,
            message=self._message,
            requests=self._ledger.requests(),
        )

    def _figures(self) -> Usage | None:
        """Usage of this run: the end's figures hold requests that no message shows, such as those
        of qwen's own memory; in a resumed session they hold all that was before, too."""
        told, others = self._ledger.total(), sum(self._others.values())
        if self._whole is None or self._resumed:
            return None if others else told  # of what classes theirs are nobody tells
        if told is None or self._whole.total <= told.total:
            return told or self._whole
        return replace(self._whole, requests=told.requests, subagent=told.subagent + others)

    def _said(self, message: dict[str, object], subagent: bool) -> list[Event]:
        if not subagent:
            self._model = text(message, "model") or self._model
        usage = _tokens(table(message, "usage"))
        if usage.total:
            model = text(message, "model")
            self._ledger.add(text(message, "id"), model, usage, subagent=subagent)
        events = []
        for block in rows(message, "content"):
            if text(block, "type") == "tool_use":
                about = table(block, "input")
                what = text(about, "command") or text(about, "file_path") or text(about, "path")
                events.append(Event("tool", shorten(f"{text(block, 'name')} {what}")))
            elif text(block, "type") == "text":
                events.append(Event("text", text(block, "text")))
        return events

    def _result(self, data: dict[str, object]) -> list[Event]:
        used = _tokens(table(data, "usage"))
        self._whole = replace(used, requests=number(data, "num_turns"))
        self._message = text(data, "result")
        if refused := rows(data, "permission_denials"):
            tool = text(refused[0], "tool_name")
            self._denied = f"{tool} was denied; --autonomy full would allow it"
            return [Event("warning", self._denied)]
        if data.get("is_error") is True:
            said = text(data, "error", "message") or text(data, "error") or self._message
            self._error = said or "qwen reported an error"
            return [Event("error", shorten(self._error))]
        return []


def turn(wanted: Turn) -> Told:
    """A turn from the session's file."""
    ledger, ran, calls = Ledger(), list[Ran](), dict[str, dict[str, object]]()
    model, last, acted = "", "", math.inf
    for line in lines(wanted.transcript):
        if not wanted.start <= moment(text(line, "timestamp")) < wanted.end:
            continue
        if line.get("type") == "assistant":
            model, parts = text(line, "model") or model, rows(line, "message", "parts")
            last = next((text(part, "text") for part in parts if text(part, "text")), last)
            made = [table(part, "functionCall") for part in parts]
            calls |= {text(call, "id"): call for call in made if call}
            acted = min(acted, moment(text(line, "timestamp"))) if any(made) else acted
            ledger.add(text(line, "uuid"), model, _metadata(table(line, "usageMetadata")))
        elif line.get("type") == "tool_result":
            result = table(line, "toolCallResult")
            ran += _ran(calls.get(text(result, "callId"), {}), result)
    return Told(
        model=model or None,
        by_model=ledger.by_model(),
        ran=tuple(ran),
        acted=acted,
        complete=bool(last) and last.strip().startswith(wanted.message.strip()),
    )


def _metadata(usage: dict[str, object]) -> Usage:
    cached = number(usage, "cachedContentTokenCount")
    return Usage(
        input=max(0, number(usage, "promptTokenCount") - cached),
        cached_input=cached,
        output=number(usage, "candidatesTokenCount"),
        reasoning=number(usage, "thoughtsTokenCount"),
    )


def _ran(call: dict[str, object], result: dict[str, object]) -> list[Ran]:
    if text(call, "name") in ("write_file", "edit"):
        return [Ran("")]
    if text(call, "name") != "run_shell_command":
        return []
    code = dig(result, "resultDisplay", "exitCode")
    return [Ran(text(call, "args", "command"), code if isinstance(code, int) else None)]


def _tokens(used: dict[str, object]) -> Usage:
    """Cached tokens are counted within the input; reasoning is not told apart."""
    cached = number(used, "cache_read_input_tokens")
    return Usage(
        input=max(0, number(used, "input_tokens") - cached),
        cached_input=cached,
        output=number(used, "output_tokens"),
    )
