"""opencode."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acr.agents import Command, Detection, Report, Request, Upstream, detection
from acr.agents.failures import explain
from acr.agents.records import dig, number, record, shorten, table, text
from acr.agents.sessions import Ran, Told, Turn
from acr.agents.usage import Ledger
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["OpenCode", "data", "turn"]

LOGIN = "opencode auth login"
CONFIG = "OPENCODE_CONFIG_CONTENT"
PERMISSIONS: dict[str, dict[str, str]] = {
    "ask": {"edit": "ask", "bash": "ask"},
    "edit": {"external_directory": "deny"},
    "full": {},
}
"""By autonomy; laid over the user's own. Where nobody can answer, "ask" means no."""
FILES = ("config.json", "opencode.json", "opencode.jsonc")
COMMENT = re.compile(
    r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.S
)
"""Strings, and what JSON with comments has besides JSON."""
KNOWN = {
    "anthropic": "https://api.anthropic.com/v1",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
"""Providers built into opencode -> the base URL that their libraries use."""
REFUSALS = ("rejected permission", "specified a rule which prevents")
"""How the error of a tool call reads that a permission refused."""


def data() -> Path:
    """The folder of opencode's database and login."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "opencode"


class OpenCode:
    """Runs `opencode run`, or its screen."""

    name = "opencode"
    binary = "opencode"

    def detect(self) -> Detection:
        """Logins live in auth.json; providers may also take a key from the environment."""
        variables = ("OPENCODE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "opencode"
        files = (data() / "auth.json", base / "opencode.json", base / "opencode.jsonc")
        return detection.look(
            self.binary,
            install="npm install -g opencode-ai",
            login=LOGIN,
            auth=detection.seen(variables, files),
        )

    def command(self, request: Request) -> Command:
        """The prompt goes through stdin; a title of our own saves the request for one."""
        argv = ("opencode", "run", "--format", "json", *_options(request))
        argv += ("--variant", request.profile.effort) if request.profile.effort else ()
        argv += () if request.resume else ("--title", f"acr {request.attempt}")
        return Command((*argv, *request.profile.args, *request.args), _env(request), request.prompt)

    def interactive(self, request: Request) -> Command:
        """The screen takes no effort; the model's default applies."""
        argv = ("opencode", *_options(request), *request.profile.args, *request.args)
        return Command((*argv, f"--prompt={request.prompt}"), _env(request))

    def upstream(self, request: Request) -> Upstream | None:
        """The base URL of the model's provider, where a configuration gives one, else its own."""
        provider = _provider(request)
        url = KNOWN.get(provider, "")
        for config in _configs(request.cwd):
            url = text(config, "provider", provider, "options", "baseURL") or url
        if not url or "{" in url:
            return None
        path = "/v1" if provider == "anthropic" and url.endswith("/v1") else ""
        return Upstream(provider, url.removesuffix(path), path)

    def reader(self, request: Request) -> OpenCodeReader:
        """Reads the events, and the database for models and sub-agents."""
        return OpenCodeReader(request)


def _options(request: Request) -> tuple[str, ...]:
    argv: tuple[str, ...] = ("-m", request.profile.model)
    argv += () if request.autonomy == "ask" else ("--auto",)  # what is denied stays denied
    return argv + (("-s", request.resume) if request.resume else ())


def _env(request: Request) -> dict[str, str]:
    """Configuration for this run alone; the user's files are not touched."""
    env = {"OPENCODE_DISABLE_AUTOUPDATE": "1"}
    config = record(os.environ.get(CONFIG, ""))
    wanted: dict[str, Any] = {}
    if permissions := PERMISSIONS[request.autonomy]:
        wanted["permission"] = table(config, "permission") | permissions
    if request.gateway:
        name = _provider(request)
        providers, provider = table(config, "provider"), table(config, "provider", name)
        options = table(provider, "options") | {"baseURL": request.gateway}
        wanted["provider"] = providers | {name: provider | {"options": options}}
    if wanted:
        env[CONFIG] = json.dumps({**config, **wanted})
    return env


def _provider(request: Request) -> str:
    return request.profile.model.partition("/")[0]


def _configs(cwd: Path) -> Iterator[dict[str, Any]]:
    """The configurations that apply in `cwd`, the one that wins last."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "opencode"
    folders = [base, *reversed([cwd, *cwd.parents])]
    paths = [folder / name for folder in folders for name in FILES]
    if named := os.environ.get("OPENCODE_CONFIG"):
        paths.insert(len(FILES), Path(named))
    for path in paths:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            yield record(COMMENT.sub(_kept, path.read_text(encoding="utf-8")))
    yield record(os.environ.get(CONFIG, ""))


def _kept(found: re.Match[str]) -> str:
    """Strings stay; comments, and commas before a closing bracket, go."""
    return found[0] if found[0].startswith('"') else ""


class OpenCodeReader:
    """`step_finish` events tell tokens; the database tells models and what sub-agents used."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._started = time.time()
        self._session = request.resume or ""
        self._message = ""
        self._failure: dict[str, Any] = {}
        self._denials: list[str] = []
        self._ledger = Ledger()
        self._cost = 0.0

    def feed(self, line: str) -> list[Event]:
        """Events of one line."""
        event = record(line)
        part = table(event, "part")
        began = not self._session and text(event, "sessionID")
        self._session = text(event, "sessionID") or self._session
        events = [Event("start", f"session {self._session}")] if began else []
        match event.get("type"):
            case "tool_use":
                events += self._tool(part)
            case "text":
                self._message = text(part, "text")
                events.append(Event("text", self._message))
            case "step_finish":
                self._ledger.add(text(part, "id"), self._request.profile.model, _tokens(part))
                self._cost += _cost(part)
            case "error":
                self._failure = table(event, "error")
                events.append(Event("error", shorten(_message(self._failure))))
        return events

    def finish(self, exit_code: int, stderr: str) -> Report:
        """Usage of this run alone, sub-agents included."""
        stored = _stored(self._session, self._request.cwd, self._started)
        by_model, cost = self._figures(stored)
        status, error = self._judge(exit_code, stderr)
        return Report(
            status=status,
            error=error,
            model=stored.model or None,
            usage=sum(by_model.values(), Usage()) if by_model else None,
            cost=cost,
            session=stored.session or None,
            message=self._message,
            by_model=by_model,
            requests=self._requests(stored),
        )

    def _requests(self, stored: _Stored) -> tuple[tuple[str, Usage], ...]:
        """(model, usage) of each request, by the names of `_figures`."""
        main = self._ledger.requests()
        if not main:
            main = stored.main.requests()
        elif stored.model:
            main = tuple((stored.model, usage) for _, usage in main)
        return (*main, *stored.others.requests())

    def _figures(self, stored: _Stored) -> tuple[dict[str, Usage], float | None]:
        """({model: usage}, USD); a cost of nothing means a model without a price."""
        main, cost = self._ledger.by_model(), self._cost
        if not main:
            main, cost = stored.main.by_model(), stored.main_cost
        elif stored.model:
            main = {stored.model: sum(main.values(), Usage())}
        for model, usage in stored.others.by_model().items():
            main[model] = main.get(model, Usage()) + usage
        unpriced = not cost or (stored.others.total() and not stored.others_cost)
        return main, None if unpriced else cost + stored.others_cost

    def _tool(self, part: dict[str, Any]) -> list[Event]:
        state = table(part, "state")
        given = table(state, "input")
        keys = ("command", "filePath", "pattern", "url", "description")
        said = next((text(given, key) for key in keys if text(given, key)), text(state, "title"))
        call = shorten(f"{text(part, 'tool')} {said}".strip())
        error = text(state, "error")
        if any(words in error for words in REFUSALS):
            self._denials.append(call)
            return [Event("warning", shorten(f"denied {call}"))]
        return [Event("tool", call)]

    def _judge(self, exit_code: int, stderr: str) -> tuple[AttemptStatus, str]:
        if self._failure or exit_code != 0:
            last = stderr.strip().rpartition("\n")[2]
            message = _message(self._failure) or last or f"it ended with exit code {exit_code}"
            if "Unexpected server error" in message:  # all that it says of an unknown model
                message = "unknown model, or a broken configuration; see `opencode models`"
            status = number(self._failure, "data", "statusCode")
            model = self._request.profile.model
            return "error", explain("opencode", message, model=model, login=LOGIN, status=status)
        if self._denials:
            return "denied", (
                f"opencode was refused {len(self._denials)} tool calls ({self._denials[-1]}); "
                f"autonomy is {self._request.autonomy}"
            )
        return "done", ""


def _message(error: dict[str, Any]) -> str:
    return text(error, "data", "message") or text(error, "message") or text(error, "name")


def _tokens(part: dict[str, Any]) -> Usage:
    """opencode counts reasoning apart from output."""
    reasoning = number(part, "tokens", "reasoning")
    return Usage(
        input=number(part, "tokens", "input"),
        cached_input=number(part, "tokens", "cache", "read"),
        cache_write_5m=number(part, "tokens", "cache", "write"),
        output=number(part, "tokens", "output") + reasoning,
        reasoning=reasoning,
    )


def _cost(part: dict[str, Any]) -> float:
    cost = part.get("cost")
    return float(cost) if isinstance(cost, (int, float)) else 0.0


@dataclass
class _Stored:
    """What the database says about one run."""

    session: str
    turn: str = ""
    """The user's message that the session's own answers are to; empty for all."""
    model: str = ""
    main: Ledger = field(default_factory=Ledger)
    main_cost: float = 0.0
    others: Ledger = field(default_factory=Ledger)
    """Sub-agents, at any depth."""
    others_cost: float = 0.0
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Texts and tool calls of the session itself."""
    ended: bool = False
    """The last answer asks for nothing more."""
    inner: bool = False
    """Another session asked for this one."""


FAMILY = """
with recursive family(id) as (
  select ? union select session.id from session join family on session.parent_id = family.id
)
select message.id, message.session_id, message.data from message
join family on message.session_id = family.id
where message.time_created >= ? and message.time_created < ? order by message.time_created
"""
PARENT = "select parent_id from session where id = ?"
PARTS = """
select data from part where session_id = ? and time_created >= ? and time_created < ?
order by time_created
"""
LATEST = """
select id from session where directory = ? and parent_id is null and time_updated >= ?
order by time_updated desc limit 1
"""


def _stored(
    session: str, cwd: Path, start: float, end: float = math.inf, turn: str = ""
) -> _Stored:
    """Reads opencode's database; what it does not hold, or not in the known form, is left out.

    Without a session, as after an interactive run, it is the last one that was used in `cwd`.
    """
    found, since = _Stored(session, turn), int(start * 1000)
    until = int(min(end, 1e12) * 1000)
    database = data() / "opencode.db"
    if not database.is_file():
        return found
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            if not session:
                latest = connection.execute(LATEST, (str(cwd), since)).fetchone()
                found.session = latest[0] if latest else ""
            parent = connection.execute(PARENT, (found.session,)).fetchone()
            found.inner = bool(parent and parent[0])
            for key, owner, raw in connection.execute(FAMILY, (found.session, since, until)):
                _add(found, key, record(raw), own=owner == found.session)
            for (raw,) in connection.execute(PARTS, (found.session, since, until)):
                found.parts.append(record(raw))
    except sqlite3.Error:
        return found
    return found


def _add(found: _Stored, key: str, message: dict[str, Any], *, own: bool) -> None:
    other = own and found.turn and text(message, "parentID") != found.turn
    if message.get("role") != "assistant" or other:
        return
    model = f"{text(message, 'providerID')}/{text(message, 'modelID')}"
    usage = _tokens(message)
    if own:
        found.model = model
        found.ended = text(message, "finish") not in ("", "tool-calls")
        found.main_cost += _cost(message)
    else:
        found.others_cost += _cost(message)
    if usage.total:
        (found.main if own else found.others).add(key, model, usage, subagent=not own)


def turn(wanted: Turn) -> Told:
    """A turn from the database; the title's request, which it does not hold, is left out."""
    found = _stored(wanted.session, Path(), wanted.start, wanted.end, wanted.id)
    by_model, cost = found.main.by_model(), found.main_cost + found.others_cost
    for model, usage in found.others.by_model().items():
        by_model[model] = by_model.get(model, Usage()) + usage
    unpriced = not found.main_cost or (found.others.total() and not found.others_cost)
    return Told(
        model=found.model or None,
        by_model=by_model,
        cost=None if unpriced else cost,
        ran=tuple(ran for part in found.parts for ran in _ran(part)),
        acted=min(map(_began, found.parts), default=math.inf),
        complete=found.ended,
        inner=found.inner,
    )


def _began(part: dict[str, Any]) -> float:
    """When a tool was called; inf for a part that is no call."""
    return number(part, "state", "time", "start") / 1000 or math.inf


def _ran(part: dict[str, Any]) -> list[Ran]:
    if part.get("type") != "tool" or text(part, "state", "status") != "completed":
        return []
    if part.get("tool") in ("edit", "write", "patch", "multiedit"):
        return [Ran("")]
    if part.get("tool") != "bash":
        return []
    code = dig(part, "state", "metadata", "exit")
    return [Ran(text(part, "state", "input", "command"), code if isinstance(code, int) else None)]
