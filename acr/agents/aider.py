"""aider: edits by text, no tools; usage comes from its own local log."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from acr.agents import Command, Detection, Report, Request, detection
from acr.agents.records import number, record, shorten, table, text
from acr.nouns import AttemptStatus, Event, Usage

__all__ = ["Aider"]

FILES = {
    "--input-history-file": "input.history",
    "--chat-history-file": "chat.history.md",
    "--analytics-log": "usage.jsonl",
}
"""What aider would leave in the repository, kept in the run's folder instead."""
QUIET = (
    "--no-analytics",
    "--no-auto-commits",
    "--no-check-update",
    "--no-gitignore",
    "--no-pretty",
    "--no-show-model-warnings",
    "--no-show-release-notes",
    "--no-stream",
)
OFFLINE_PRICES = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
CACHE = ".aider.tags.cache.v4"
FAILED = re.compile(r"^(litellm\.)?(\w*(Error|Exception))\b.*", re.M)
EDITED = re.compile(r"^Applied edit to (.*)", re.M)


class Aider:
    """Adapter of aider (0.86 and later)."""

    name = "aider"
    binary = "aider"

    def detect(self) -> Detection:
        """Looks for the program."""
        keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY")
        return detection.look(
            self.binary,
            install="python -m pip install aider-install && aider-install",
            login="export OPENAI_API_KEY=… (or its provider's key)",
            auth=detection.seen(keys, (Path.home() / ".aider.conf.yml",)),
        )

    def command(self, request: Request) -> Command:
        """The run with the prompt in a file, which processes of others cannot see."""
        request.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        prompt = request.run_dir / "prompt.txt"
        prompt.touch(mode=0o600)
        prompt.write_text(request.redact(request.prompt), encoding="utf-8")
        yes = () if request.autonomy == "ask" else ("--yes-always",)
        argv = (*self._common(request), *yes, "--message-file", str(prompt))
        return Command((*argv, *request.profile.args, *request.args), OFFLINE_PRICES)

    def interactive(self, request: Request) -> Command:
        """aider's own chat; the prompt is not sent, since aider would end after it."""
        return Command((*self._common(request), *request.profile.args, *request.args))

    def reader(self, request: Request) -> _Reader:
        """A fresh reader."""
        return _Reader(request)

    def _common(self, request: Request) -> tuple[str, ...]:
        kept = ((flag, str(request.run_dir / name)) for flag, name in FILES.items())
        effort = request.profile.effort
        thinking = ("--reasoning-effort", effort) if effort else ()
        files = tuple(part for pair in kept for part in pair)
        return ("aider", "--model", request.profile.model, *thinking, *QUIET, *files)


class _Reader:
    def __init__(self, request: Request) -> None:
        self._log = request.run_dir / FILES["--analytics-log"]
        self._model = request.profile.model
        self._cache = request.cwd / CACHE
        self._had_cache = self._cache.exists()
        self._lines: list[str] = []

    def feed(self, line: str) -> list[Event]:
        """Events in one line."""
        self._lines = [*self._lines[-400:], line]
        if edited := EDITED.match(line):
            return [Event("tool", shorten(f"edit {edited.group(1)}"))]
        if FAILED.match(line):
            return [Event("error", shorten(line))]
        return [Event("text", line)] if line.strip() else []

    def finish(self, exit_code: int, stderr: str) -> Report:
        """The report of the run."""
        if not self._had_cache:
            shutil.rmtree(self._cache, ignore_errors=True)
        said = "\n".join(self._lines)
        failed = FAILED.search(said + "\n" + stderr)
        usage = self._usage()
        error = shorten(failed.group(0)) if failed and usage is None else ""
        if exit_code and not error:
            error = shorten(f"aider ended with exit code {exit_code}: {stderr.strip() or said}")
        status: AttemptStatus = "error" if error else "done"
        return Report(status, error, self._model, usage, message=_last_paragraph(said))

    def _usage(self) -> Usage | None:
        """The sum over aider's log of the messages it sent; None without one."""
        found = None
        for line in _lines_of(self._log):
            data = record(line)
            if text(data, "event") == "message_send":
                sent = table(data, "properties")
                one = Usage(
                    input=number(sent, "prompt_tokens"),
                    output=number(sent, "completion_tokens"),
                    requests=1,
                )
                found = one if found is None else found + one
        return found


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _last_paragraph(said: str) -> str:
    parts = [part.strip() for part in said.split("\n\n") if part.strip()]
    return parts[-1][-2000:] if parts else ""
