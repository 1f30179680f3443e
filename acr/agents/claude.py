"""Anthropic's Claude Code."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from acr.agents import Command, Detection, Report, Request, Upstream, detection
from acr.agents.failures import explain
from acr.agents.records import dig, lines, number, record, rows, shorten, table, text
from acr.agents.sessions import Ran, Told, Turn
from acr.agents.usage import Ledger, moment, since
from acr.agents.usage import anthropic as _request
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Claude", "home", "turn"]

LOGIN = "claude auth login"
SYNTHETIC = "<synthetic>"
"""The model of messages that Claude Code writes itself."""
TOOLS = "Bash Edit Write NotebookEdit WebFetch WebSearch"
BASE_URL = "ANTHROPIC_BASE_URL"
CLOUDS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
SANDBOX: dict[str, Any] = {
    "sandbox": {
        "enabled": True,
        "autoAllowBashIfSandboxed": True,
        "allowUnsandboxedCommands": False,
    }
}
RETRIES = "5"
"""A refused key is tried again like any error: ten times, its default, last three minutes."""

EDITS = ("Edit", "Write", "MultiEdit", "NotebookEdit")
EXIT = re.compile(r"Exit code (\d+)")
"""How the result of a command that failed begins."""

LIMITS = {
    "error_max_budget_usd": "the budget is used up; raise --budget",
    "error_max_turns": "the limit of turns is reached; see --max-turns after --",
}
"""Ends that have no text of their own."""


def home() -> Path:
    """Claude Code's own folder."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


class Claude:
    """Runs `claude -p`, or its screen."""

    name = "claude"
    binary = "claude"

    def detect(self) -> Detection:
        """Logins live in a file, or on macOS in the keychain, which is not looked into."""
        variables = (
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
        )
        auth = detection.seen(variables, (home() / ".credentials.json",))
        if not auth and sys.platform == "darwin":
            auth = "the keychain, perhaps"
        install = "npm install -g @anthropic-ai/claude-code@latest"
        return detection.look(self.binary, install=install, login=LOGIN, auth=auth)

    def command(self, request: Request) -> Command:
        """The prompt goes through stdin."""
        argv = ("claude", "-p", "--output-format", "stream-json", "--verbose", *_options(request))
        if request.budget is not None and not request.gateway:  # it would price what it asked for
            argv += ("--max-budget-usd", f"{max(request.budget, 0.0001):.4f}")
        argv += (*request.profile.args, *request.args)
        return Command(argv, _env(request), request.prompt)

    def interactive(self, request: Request) -> Command:
        """The prompt comes last, after options that take several values."""
        argv = ("claude", *_options(request), *request.profile.args, *request.args)
        return Command((*argv, "--", request.prompt), _env(request))

    def upstream(self, request: Request) -> Upstream | None:
        """A settings file's variables win over the environment's; clouds have APIs of their own."""
        env = dict(os.environ)
        for path in _settings(request.cwd):
            env |= {k: v for k, v in table(_json(path), "env").items() if isinstance(v, str)}
        if any(env.get(name) not in (None, "", "0", "false") for name in CLOUDS):
            return None
        return Upstream("anthropic", env.get(BASE_URL) or "https://api.anthropic.com")

    def reader(self, request: Request) -> ClaudeReader:
        """Reads the stream, and the session's own files when the stream was cut off."""
        return ClaudeReader(request)


def _session(request: Request) -> str:
    """The session's id is known before it begins, so that an aborted one can be resumed."""
    return request.resume or str(uuid.uuid5(uuid.NAMESPACE_OID, request.attempt))


def _settings(cwd: Path) -> tuple[Path, ...]:
    """Settings files that may set variables, the one that wins last."""
    project = cwd / ".claude"
    return (home() / "settings.json", project / "settings.json", project / "settings.local.json")


def _json(path: Path) -> dict[str, Any]:
    try:
        return record(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _options(request: Request) -> tuple[str, ...]:
    profile, session = request.profile, _session(request)
    argv: tuple[str, ...] = ("--model", profile.model)
    argv += ("--resume", session) if request.resume else ("--session-id", session)
    argv += ("--effort", profile.effort) if profile.effort else ()
    settings = SANDBOX if request.autonomy == "edit" and sandboxed() else {}
    if request.gateway:  # a settings file's own would win over the environment's
        settings = {**settings, "env": {BASE_URL: request.gateway}}
    argv += ("--settings", json.dumps(settings)) if settings else ()
    return argv + _autonomy(request)


def _autonomy(request: Request) -> tuple[str, ...]:
    """`edit`: files in the folder; commands run inside Claude Code's own sandbox."""
    if request.autonomy == "ask":
        return ("--permission-mode", "manual")
    if request.autonomy == "edit":
        return ("--permission-mode", "acceptEdits")
    if os.geteuid() == 0 and os.environ.get("IS_SANDBOX") != "1":  # root may not bypass
        return ("--permission-mode", "acceptEdits", f"--allowedTools={TOOLS}")
    return ("--permission-mode", "bypassPermissions")


def sandboxed() -> bool:
    """Whether Claude Code can sandbox commands here: on Linux it needs bwrap and socat."""
    if sys.platform == "darwin":
        return True
    bwrap = shutil.which("bwrap")
    if bwrap is None or shutil.which("socat") is None:
        return False
    probe = [bwrap, "--unshare-net", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc"]
    return subprocess.run([*probe, "true"], capture_output=True, check=False).returncode == 0


def _env(request: Request) -> dict[str, str]:
    """CLAUDECODE is set inside a session of Claude Code, which refuses to nest."""
    env = {BASE_URL: request.gateway} if request.gateway else {}
    env |= {"CLAUDECODE": ""} if os.environ.get("CLAUDECODE") else {}
    if "CLAUDE_CODE_MAX_RETRIES" not in os.environ:
        env["CLAUDE_CODE_MAX_RETRIES"] = RETRIES
    return env


class ClaudeReader:
    """Figures come from `result` lines; from the session's files where there is none."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._started = time.time()
        self._session = _session(request)
        self._model = ""
        self._message = ""
        self._failure = ""
        self._status = 0
        self._denials: list[str] = []
        self._requests: set[str] = set()
        self._results: list[dict[str, Any]] = []

    def feed(self, line: str) -> list[Event]:
        """Events of one line."""
        data = record(line)
        match data.get("type"):
            case "system":
                return self._system(data)
            case "assistant":
                return self._assistant(data)
            case "result":
                self._results.append(data)
                self._result(data)
        return []

    def finish(self, exit_code: int, stderr: str) -> Report:
        """Usage and cost of this run alone, sub-agents included."""
        stored = _transcript(self._session, self._started)
        usage, by_model, cost = self._figures(stored)
        status, error = self._judge(exit_code, stderr)
        return Report(
            status=status,
            error=error,
            model=self._model or next(iter(by_model), None),
            usage=usage,
            cost=cost,
            session=self._session,
            message=self._message,
            by_model=by_model,
            requests=stored.requests(),
        )

    def _system(self, data: dict[str, Any]) -> list[Event]:
        match data.get("subtype"):
            case "init":
                self._session = text(data, "session_id") or self._session
                return [Event("start", f"session {self._session}, {text(data, 'model')}")]
            case "api_retry":
                tries = f"{number(data, 'attempt')}/{number(data, 'max_retries')}"
                problem = f"{text(data, 'error')} {dig(data, 'error_status') or ''}".strip()
                return [Event("warning", f"{problem}; trying again ({tries})")]
            case "permission_denied":
                reason = f"{text(data, 'tool_name')}: {text(data, 'message')}"
                return [Event("warning", shorten(f"denied {reason}"))]
        return []

    def _assistant(self, data: dict[str, Any]) -> list[Event]:
        message = table(data, "message")
        model, own = text(message, "model"), not text(data, "parent_tool_use_id")
        if model != SYNTHETIC:
            self._requests.add(text(message, "id"))
            self._model = model if own and model else self._model
        events = []
        for block in rows(message, "content"):
            if block.get("type") == "tool_use":
                events.append(Event("tool", _tool(block)))
            elif block.get("type") == "text" and own:
                self._message = text(block, "text")
                events.append(Event("text", self._message))
        return events

    def _result(self, data: dict[str, Any]) -> None:
        self._message = text(data, "result") or self._message
        self._denials += [text(d, "tool_name") for d in rows(data, "permission_denials")]
        self._failure = ""
        if data.get("is_error") is True:
            self._status = number(data, "api_error_status")
            self._failure = text(data, "result") or text(data, "subtype") or "it failed"

    def _figures(self, stored: Ledger) -> tuple[Usage | None, dict[str, Usage], float | None]:
        if not self._results:
            return stored.total(), stored.by_model(), None
        main = sum((_request(table(result, "usage")) for result in self._results), Usage())
        # the stream leaves sub-agents' requests out
        requests = max(len(self._requests), len(stored.requests()))
        parts = self._parts()
        if parts is None:
            return replace(main, requests=requests), {}, None
        by_model: dict[str, Usage] = {}
        for model, row in parts:
            by_model[model] = by_model.get(model, Usage()) + _by_model(row)
        total = sum(by_model.values(), Usage())
        others = max(0, total.total - main.total)
        usage = replace(total, requests=requests, subagent=others)
        return usage, by_model, _cost(row for _, row in parts)

    def _parts(self) -> list[tuple[str, dict[str, Any]]] | None:
        """(model, figures) of this run; None when only those of the whole session are known."""
        newest = "model_usage_since_last_result"
        if newest in self._results[-1]:
            tables = [table(result, newest) for result in self._results]
        elif not self._request.resume:
            tables = [table(self._results[-1], "modelUsage")]
        else:
            return None
        return [(model, table(figures, model)) for figures in tables for model in figures]

    def _judge(self, exit_code: int, stderr: str) -> tuple[AttemptStatus, str]:
        if self._failure in LIMITS:
            return "error", f"claude: {LIMITS[self._failure]}"
        if self._failure or exit_code != 0:
            last = stderr.strip().rpartition("\n")[2]
            message = self._failure or last or f"it ended with exit code {exit_code}"
            model = self._request.profile.model
            return "error", explain(
                "claude", message, model=model, login=LOGIN, status=self._status
            )
        if self._denials:
            tools = ", ".join(sorted(set(self._denials)))
            return (
                "denied",
                f"claude was refused {len(self._denials)} tool calls ({tools}); {_way()}",
            )
        return "done", ""


def _way() -> str:
    if sandboxed():
        return "it may only write in the folder; --autonomy full lifts that"
    return "install bubblewrap and socat for its sandbox, or use --autonomy full"


def _tool(block: dict[str, Any]) -> str:
    """A line for a tool call: its name and its most telling argument."""
    given = table(block, "input")
    keys = ("command", "file_path", "pattern", "url", "query", "description", "prompt")
    said = next((text(given, key) for key in keys if text(given, key)), "")
    return shorten(f"{text(block, 'name')} {said}".strip())


def _by_model(row: dict[str, Any]) -> Usage:
    """Claude Code's figures by model."""
    long = number(row, "cacheCreationEphemeral1hInputTokens")
    return Usage(
        input=number(row, "inputTokens"),
        cached_input=number(row, "cacheReadInputTokens"),
        cache_write_5m=max(0, number(row, "cacheCreationInputTokens") - long),
        cache_write_1h=long,
        output=number(row, "outputTokens"),
        reasoning=number(row, "thinkingTokens"),
    )


def _cost(rows: Iterable[dict[str, Any]]) -> float | None:
    """USD; None when a model is priced by a guess, as Claude Code does with unknown ones."""
    total = 0.0
    for row in rows:
        cost = row.get("costUSD")
        if not isinstance(cost, (int, float)) or row.get("costBasis") == "unknown":
            return None
        total += cost
    return total


def _transcript(session: str, start: float) -> Ledger:
    """What the session's files hold since `start`; sub-agents have files of their own."""
    ledger, root = Ledger(), home() / "projects"
    for path in (*root.glob(f"*/{session}.jsonl"), *root.glob(f"*/{session}/subagents/*.jsonl")):
        own = path.stem == session
        for line in lines(path):
            message = table(line, "message")
            model = text(message, "model")
            counts = line.get("type") == "assistant" and model != SYNTHETIC
            if counts and since(text(line, "timestamp"), start):
                usage = _request(table(message, "usage"))
                ledger.add(text(message, "id"), model, usage, subagent=not own)
    return ledger


def turn(wanted: Turn) -> Told:
    """A turn from the session's files; each content block has a line of its own there."""
    if wanted.transcript is None:
        return Told()
    ledger, ran, calls = Ledger(), [], {}
    model, effort, last, acted = "", "", "", math.inf
    for line in _within(wanted.transcript, wanted):
        message = table(line, "message")
        for block in rows(message, "content"):
            match block.get("type"):
                case "tool_use":
                    calls[text(block, "id")] = block
                    acted = min(acted, moment(text(line, "timestamp")))
                case "tool_result":
                    ran += _ran(calls.get(text(block, "tool_use_id"), {}), block)
                case "text" if line.get("type") == "assistant":
                    last = text(block, "text")
        if _counts(line):
            model, effort = text(message, "model"), text(line, "effort")
            ledger.add(text(message, "id"), model, _request(table(message, "usage")))
    for path in wanted.transcript.with_suffix("").glob("subagents/*.jsonl"):
        for line in filter(_counts, _within(path, wanted)):
            message = table(line, "message")
            usage = _request(table(message, "usage"))
            ledger.add(text(message, "id"), text(message, "model"), usage, subagent=True)
    return Told(
        model=model or None,
        effort=effort or None,
        by_model=ledger.by_model(),
        ran=tuple(ran),
        acted=acted,
        complete=bool(last) and last.strip().startswith(wanted.message.strip()),
    )


def _within(path: Path, wanted: Turn) -> Iterator[dict[str, Any]]:
    return (x for x in lines(path) if wanted.start <= moment(text(x, "timestamp")) < wanted.end)


def _counts(line: dict[str, Any]) -> bool:
    """Whether the line is a model's answer."""
    return line.get("type") == "assistant" and text(line, "message", "model") != SYNTHETIC


def _ran(call: dict[str, Any], result: dict[str, Any]) -> list[Ran]:
    """What a tool call did, when it ran a command or changed a file."""
    if call.get("name") in EDITS:
        return [Ran("")] if result.get("is_error") is not True else []
    if call.get("name") != "Bash":
        return []
    said = text(result, "content") or " ".join(text(r, "text") for r in rows(result, "content"))
    exited = EXIT.match(said)
    failed = int(exited[1]) if exited else None
    return [Ran(text(call, "input", "command"), failed if result.get("is_error") is True else 0)]
