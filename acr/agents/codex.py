"""OpenAI's Codex CLI."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acr.agents import Command, Detection, Report, Request, Upstream, detection
from acr.agents.failures import explain
from acr.agents.records import number, record, rows, shorten, table, text
from acr.agents.usage import Ledger, since
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Codex", "home"]

LOGIN = "codex login"
OPENAI = "openai"
"""The built-in provider."""
OPENAI_URL = "https://api.openai.com/v1"
PLAIN = "features.enable_request_compression=false"
"""With a ChatGPT login requests are compressed by zstd, which a gateway cannot read."""
REFUSED = re.compile(
    r"Read-only file system|Operation not permitted|rejected by user"
    r"|blocked by PreToolUse hook|patch rejected"
)
"""How a command's output looks when the sandbox, a rule or a hook refused it."""
NO_SANDBOX = re.compile(r"^bwrap: .*|.*codex-linux-sandbox.*|.*[Ll]andlock.*not.*", re.MULTILINE)
EXIT = re.compile(r"^Process exited with code (\d+)", re.MULTILINE)


def home() -> Path:
    """Codex's own folder."""
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")


class Codex:
    """Runs `codex exec`, or its screen."""

    name = "codex"
    binary = "codex"

    def detect(self) -> Detection:
        """A login leaves auth.json; a provider of one's own may need none."""
        return detection.look(
            self.binary,
            install="npm install -g @openai/codex",
            login=LOGIN,
            auth=detection.seen(
                ("CODEX_API_KEY", "OPENAI_API_KEY"), (home() / "auth.json", home() / "config.toml")
            ),
        )

    def command(self, request: Request) -> Command:
        """The prompt goes through stdin; `exec` never asks, so `ask` may only read."""
        sandbox = {"ask": "read-only", "edit": "workspace-write"}.get(request.autonomy)
        autonomy = ("-s", sandbox) if sandbox else ("--dangerously-bypass-approvals-and-sandbox",)
        resume = ("resume", request.resume) if request.resume else ()
        argv = ("codex", "exec", "--json", "--skip-git-repo-check", *autonomy)
        argv += (*_model(request), *request.profile.args, *request.args, *resume, "-")
        return Command(argv, _env(request), request.prompt)

    def interactive(self, request: Request) -> Command:
        """Without the background server, which would outlive the screen."""
        autonomy: tuple[str, ...] = {
            "ask": ("-s", "read-only", "-a", "on-request"),
            "edit": ("-s", "workspace-write", "-a", "on-request"),
            "full": ("--dangerously-bypass-approvals-and-sandbox",),
        }[request.autonomy]
        argv = ("codex", "--no-daemon", *autonomy, *_model(request), *request.profile.args)
        resume = ("resume", request.resume) if request.resume else ()
        return Command((*argv, *request.args, *resume, "--", request.prompt), _env(request))

    def upstream(self, request: Request) -> Upstream | None:
        """The built-in provider, or one of config.toml by its own base URL."""
        name = _provider()
        if name == OPENAI:
            url = _config().get("openai_base_url")
            return Upstream("openai", url if isinstance(url, str) else OPENAI_URL)
        url = text(_config(), "model_providers", name, "base_url")
        return Upstream(name, url) if url and "." not in name else None  # -c splits at dots

    def reader(self, request: Request) -> CodexReader:
        """Reads the events, and the rollout files for what the events leave out."""
        return CodexReader(request)


def _model(request: Request) -> tuple[str, ...]:
    """The model is always named: a trusted project's config would win over a profile file."""
    profile = request.profile
    argv: tuple[str, ...] = ("-m", profile.model)
    if (home() / f"acr-{profile.name}.config.toml").is_file():  # a missing one is ignored silently
        argv = ("-p", f"acr-{profile.name}", *argv)
    if profile.effort:
        argv += ("-c", f"model_reasoning_effort={profile.effort}")
    if request.gateway:
        name = _provider()
        key = "openai_base_url" if name == OPENAI else f"model_providers.{name}.base_url"
        argv += ("-c", f"{key}={json.dumps(request.gateway)}", "-c", PLAIN)
    return argv


def _config() -> dict[str, Any]:
    """The user's config.toml; empty when there is none, or none that can be read."""
    try:
        return tomllib.loads((home() / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _provider() -> str:
    return text(_config(), "model_provider") or OPENAI


def _env(request: Request) -> dict[str, str]:
    """Codex makes no sandbox helper when its home is below the folder for temporary files."""
    if not home().resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()):
        return {}
    folder = request.run_dir / "tmp"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {"TMPDIR": str(folder)}


class CodexReader:
    """Events tell what happens; rollouts tell models, each request's tokens and refusals."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._started = time.time()
        self._thread = ""
        self._message = ""
        self._failure = ""
        self._turn: Usage | None = None

    def feed(self, line: str) -> list[Event]:
        """Events of one line."""
        data = record(line)
        match data.get("type"):
            case "thread.started":
                self._thread = text(data, "thread_id")
                return [Event("start", f"session {self._thread}")]
            case "item.started" | "item.completed":
                return self._item(table(data, "item"), done=data["type"] == "item.completed")
            case "turn.completed":
                self._turn = _tokens(table(data, "usage"))
            case "turn.failed":
                self._failure = text(data, "error", "message") or "the turn failed"
            case "error":
                return [Event("warning", shorten(text(data, "message")))]
        return []

    def finish(self, exit_code: int, stderr: str) -> Report:
        """Usage of this run alone: what `turn.completed` says is cumulative over a session."""
        found = _rollouts(self._thread, self._request.cwd, self._started)
        usage = found.ledger.total()
        if usage is None and not self._request.resume:
            usage = self._turn
        status, error = self._status(exit_code, stderr, found)
        return Report(
            status=status,
            error=error,
            model=found.model or None,
            usage=usage,
            session=found.thread or self._thread or None,
            message=self._message,
            by_model=found.ledger.by_model(),
        )

    def _item(self, item: dict[str, Any], *, done: bool) -> list[Event]:
        match item.get("type"):
            case "command_execution" if not done:
                return [Event("tool", shorten(text(item, "command")))]
            case "file_change" if done:
                paths = ", ".join(text(change, "path") for change in rows(item, "changes"))
                return [Event("tool", shorten(f"edit {paths}"))]
            case "collab_tool_call" if not done:
                call = f"{text(item, 'tool')}: {text(item, 'prompt')}"
                return [Event("tool", shorten(call))]
            case "mcp_tool_call" if not done:
                return [Event("tool", shorten(f"{text(item, 'server')} {text(item, 'tool')}"))]
            case "web_search" if done:
                return [Event("tool", shorten(f"search {text(item, 'query')}"))]
            case "agent_message" if done:
                self._message = text(item, "text")
                return [Event("text", self._message)]
            case "error" if done:
                return [Event("warning", shorten(text(item, "message")))]
        return []

    def _status(self, exit_code: int, stderr: str, found: _Found) -> tuple[AttemptStatus, str]:
        model = self._request.profile.model
        if self._failure or exit_code != 0:
            last = stderr.strip().rpartition("\n")[2]
            message = self._failure or last or f"it ended with exit code {exit_code}"
            return "error", explain("codex", message, model=model, login=LOGIN)
        if found.no_sandbox and not found.worked:
            return "error", (
                f"codex could not start its sandbox ({shorten(found.no_sandbox)}); allow user "
                "namespaces, or use --autonomy full inside a container of your own"
            )
        if self._turn is not None and not self._turn.total and not self._message:
            return (
                "denied",
                "codex: a UserPromptSubmit hook blocked the prompt; see /hooks in codex",
            )
        if found.refused and self._request.autonomy != "full":
            return "denied", (
                f"codex was refused its last command ({shorten(found.refused)}); "
                f"autonomy is {self._request.autonomy}"
            )
        return "done", ""


def _tokens(usage: dict[str, Any]) -> Usage:
    """Codex counts cached and cache-written tokens as part of the input."""
    cached = number(usage, "cached_input_tokens")
    written = number(usage, "cache_write_input_tokens")
    return Usage(
        input=max(0, number(usage, "input_tokens") - cached - written),
        cached_input=cached,
        cache_write_5m=written,
        output=number(usage, "output_tokens"),
        reasoning=number(usage, "reasoning_output_tokens"),
    )


@dataclass
class _Found:
    """What the rollout files of one session say about one run."""

    ledger: Ledger = field(default_factory=Ledger)
    thread: str = ""
    model: str = ""
    worked: bool = False
    """Some tool call was not refused."""
    refused: str = ""
    """Why the last tool call was refused; empty when it was not."""
    no_sandbox: str = ""
    """What the sandbox said when it could not start."""


def _rollouts(thread: str, cwd: Path, start: float) -> _Found:
    """Reads what was written since `start` in the session's files, sub-agents' included.

    Without a thread, as after an interactive run, it is the session that began in `cwd`.
    """
    found = _Found(thread=thread)
    files = sorted((home() / "sessions").glob("*/*/*/rollout-*.jsonl"))
    recent = [path for path in files if _touched(path, start)]
    heads = [(path, table(next(_lines(path), {}), "payload")) for path in recent]
    if not thread:
        began = [h for _, h in heads if text(h, "cwd") == str(cwd) and _is_main(h)]
        found.thread = text(began[-1], "id") if began else ""
    for main in (True, False):  # a sub-agent's file may begin with a copy of its parent's
        for path, head in heads:
            root = text(head, "session_id") or text(head, "id")
            if found.thread and found.thread in {root, text(head, "id")} and _is_main(head) == main:
                _read(path, found, start, main=main)
    return found


def _is_main(head: dict[str, Any]) -> bool:
    return not text(head, "parent_thread_id") and not table(head, "source", "subagent")


def _touched(path: Path, start: float) -> bool:
    try:
        return path.stat().st_mtime >= start - 2  # some file systems round to two seconds
    except OSError:
        return False


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from map(record, file)
    except OSError:
        return


def _read(path: Path, found: _Found, start: float, *, main: bool) -> None:
    models: dict[str, str] = {}
    for line in _lines(path):
        payload, recent = table(line, "payload"), since(text(line, "timestamp"), start)
        match line.get("type"):
            case "turn_context":
                models[text(payload, "turn_id")] = text(payload, "model")
                if main and recent:
                    found.model = text(payload, "model") or found.model
            case "token_usage_record" if recent:
                key = text(payload, "response_id") or f"{path.name}:{line.get('ordinal')}"
                if key not in found.ledger:
                    model = models.get(text(payload, "turn_id"), "")
                    usage = _tokens(table(payload, "usage"))
                    found.ledger.add(key, model, usage, subagent=not main)
            case "response_item" if recent and main:
                _judge(payload, found)


def _judge(item: dict[str, Any], found: _Found) -> None:
    """Commands that the sandbox refuses show up in the rollout only, not in the events."""
    if item.get("type") not in {"function_call_output", "custom_tool_call_output"}:
        return
    output = text(item, "output") or " ".join(text(part, "text") for part in rows(item, "output"))
    exited = EXIT.search(output)
    failed = exited is None or exited[1] != "0"
    broken = NO_SANDBOX.search(output) if failed else None
    refused = REFUSED.search(output) if failed and not broken else None
    found.no_sandbox = broken[0] if broken else found.no_sandbox
    found.refused = _line_of(output, refused) if refused else ""
    found.worked = found.worked or not (broken or refused)


def _line_of(output: str, match: re.Match[str]) -> str:
    begin = output.rfind("\n", 0, match.start()) + 1
    return output[begin:].partition("\n")[0]
