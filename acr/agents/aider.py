"""aider: edits by text, no tools; usage comes from its own local log."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

from acr.agents import Command, Detection, Report, Request, detection
from acr.agents.failures import explain
from acr.agents.records import number, record, shorten, table, text
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Aider"]

LOGIN = "export OPENAI_API_KEY=…"
LOG = "usage.jsonl"
"""Counts, and no text; in the run's folder."""
NULL = os.devnull
TIDY = (
    "--no-analytics",
    "--no-auto-commits",
    "--no-check-update",
    "--no-detect-urls",
    "--no-gitignore",
    "--no-show-model-warnings",
    "--no-show-release-notes",
    "--no-suggest-shell-commands",
    *("--chat-history-file", NULL),
    *("--input-history-file", NULL),
)
"""No commits, no pages fetched because the prompt names them, nothing left in the repository."""
PLAIN = ("--no-pretty", "--no-stream", "--yes-always", "--message-file", "/dev/stdin")
OFFLINE_PRICES = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
WIDE = {"COLUMNS": "1000"}
"""Errors stay on one line."""
LEFT = ".aider.tags.cache*"
"""What aider still makes in the root of the repository: the cache of its map."""
MODEL = re.compile(r"(?:Main model|Model): (\S+) with ")
EDITED = re.compile(r"Applied edit to (.*)")
FAILED = re.compile(r"litellm\.\w+(?:Error|Exception)\b.*")
USED = re.compile(r"Tokens: .* sent, .* received\.")
NOISE = re.compile(
    r"HTTPSConnectionPool\(host='raw\.githubusercontent\.com'"  # its price list, when offline
    r"|Aider v\d|Git repo: |Repo-map: "
)
STATUS = {
    "AuthenticationError": 401,
    "BadRequestError": 400,
    "NotFoundError": 404,
    "PermissionDeniedError": 403,
    "RateLimitError": 429,
    "ServiceUnavailableError": 503,
}
"""HTTP statuses behind litellm's names."""


class Aider:
    """Adapter of aider (0.86 and later).

    It never runs commands by itself, so autonomy "full" is the same as "edit"; "ask" answers
    and changes nothing. It puts files that it creates into git's index.
    """

    name = "aider"
    binary = "aider"

    def detect(self) -> Detection:
        """Looks for the program."""
        keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY")
        return detection.look(
            self.binary,
            install="python -m pip install aider-install && aider-install",
            login=f"{LOGIN} (or its provider's key)",
            auth=detection.seen(keys, (Path.home() / ".aider.conf.yml",)),
        )

    def command(self, request: Request) -> Command:
        """The run; the prompt goes through stdin. aider without "diff" rewrites whole files."""
        answers_only = request.autonomy == "ask"
        mode = ("--edit-format", "ask", "--dry-run") if answers_only else ("--edit-format", "diff")
        argv = (*_common(request), *PLAIN, *mode, *request.profile.args, *request.args)
        return Command(argv, {**_env(request), **WIDE}, request.prompt)

    def interactive(self, request: Request) -> Command:
        """aider's own chat; the prompt is not sent, since aider would end after it."""
        return Command((*_common(request), *request.profile.args, *request.args), _env(request))

    def reader(self, request: Request) -> _Reader:
        """A fresh reader."""
        return _Reader(request)


def _common(request: Request) -> tuple[str, ...]:
    effort = request.profile.effort
    thinking = ("--reasoning-effort", effort) if effort else ()
    git = () if _root(request.cwd) else ("--no-git",)  # else it makes a repository
    log = ("--analytics-log", str(request.run_dir / LOG))
    return ("aider", "--model", request.profile.model, *thinking, *TIDY, *git, *log)


def _root(cwd: Path) -> Path | None:
    """The git work tree that aider would find."""
    return next((p for p in (cwd, *cwd.parents) if (p / ".git").exists()), None)


def _env(request: Request) -> dict[str, str]:
    """Where git knows no author, aider writes one into the repository's own configuration; it
    is told one for this run alone instead.
    """
    known = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(known) if known.isdecimal() else 0
    author = {"user.name": "aider", "user.email": "aider@localhost"}
    missing = [key for key in author if not _configured(key, request.cwd)]
    env = {"GIT_CONFIG_COUNT": str(first + len(missing))} if missing else {}
    for index, key in enumerate(missing, first):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": author[key]}
    return {**OFFLINE_PRICES, **env}


def _configured(key: str, cwd: Path) -> bool:
    try:
        done = subprocess.run(
            ["git", "config", "--get", key], cwd=cwd, capture_output=True, check=False
        )
    except OSError:  # without git, aider uses none either
        return True
    return bool(done.stdout.strip())


class _Reader:
    def __init__(self, request: Request) -> None:
        self._request = request
        self._root = _root(request.cwd) or request.cwd
        self._before = set(self._root.glob(LEFT))
        self._model = ""
        self._failure = ""
        self._last = ""
        self._said: list[str] = []

    def feed(self, line: str) -> list[Event]:
        """Events in one line."""
        if NOISE.match(line):
            return []
        if found := MODEL.match(line):
            self._model = found[1]
            return [Event("start", line)]
        if found := EDITED.match(line):
            return [Event("tool", shorten(f"edit {found[1]}"))]
        if FAILED.match(line):
            self._failure = line
            return [Event("error", shorten(line))]
        if USED.match(line):
            self._failure = ""  # a retry went well
            return []
        self._last = line.strip() or self._last
        self._said = [*self._said[-200:], line]
        return [Event("text", line)]

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The report of the run; what aider left in the repository is taken away."""
        for left in set(self._root.glob(LEFT)) - self._before:
            _remove(left)
        usage, cost = self._figures()
        error = self._error(exit_code, stderr)
        status: AttemptStatus = "error" if error else "done"
        message = "\n".join(self._said).strip()[-2000:]
        return Report(status, error, self._model or None, usage, cost, message=message)

    def _error(self, exit_code: int, stderr: str) -> str:
        if self._failure:
            kind = self._failure.partition(":")[0].removeprefix("litellm.")
            model = self._model or self._request.profile.model
            status = STATUS.get(kind, 0)
            return explain("aider", self._failure, model=model, login=LOGIN, status=status)
        if exit_code:
            said = stderr.strip().rpartition("\n")[2] or self._last or "it said nothing"
            return shorten(f"aider ended with exit code {exit_code}: {said}")
        return ""

    def _figures(self) -> tuple[Usage | None, float | None]:
        """(usage, USD) summed over the messages in aider's log. It knows the price of few models;
        cached tokens it counts as input, but not in the price.
        """
        usage, costs = Usage(), []
        for line in _lines(self._request.run_dir / LOG):
            entry = record(line)
            if text(entry, "event") == "message_send":
                sent = table(entry, "properties")
                tokens = number(sent, "prompt_tokens"), number(sent, "completion_tokens")
                usage += Usage(input=tokens[0], output=tokens[1], requests=1)
                costs.append(_usd(sent.get("cost")))
        known = bool(costs) and all(costs)
        return usage if costs else None, sum(costs) if known else None


def _usd(cost: object) -> float:
    """0 where aider knows no price."""
    if isinstance(cost, (int, float)) and math.isfinite(cost):
        return max(0.0, float(cost))
    return 0.0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()
