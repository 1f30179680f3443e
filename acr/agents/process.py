"""The one driver of all adapters: starts the agent, follows its output, and ends it for sure."""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from acr.agents import Agent, Command, Progress, Reader, Report, Request, prices
from acr.errors import AgentError
from acr.nouns import Attempt, AttemptStatus, Event, Profile, Usage

__all__ = ["TRANSCRIPT", "run", "run_interactive"]

TRANSCRIPT = "transcript.jsonl"
STDERR = "stderr.txt"
GRACE = 5.0
"""Seconds between asking a process group to end and killing it."""
DRAIN = 1.0
"""Seconds that output is still read after the agent itself has ended."""
TICK = 0.1
CHUNK = 1 << 16
LINE_CAP = 8 << 20
"""Bytes of one line that are kept."""
HEAD_CAP = 32 << 20
"""Characters at the start of a transcript; after them only the last TAIL_CAP are kept."""
TAIL_CAP = 2 << 20
STDERR_CAP = 1 << 16


def run(agent: Agent, request: Request, progress: Progress) -> Attempt:
    """Runs the agent to its end and returns what came of it.

    The transcript (`transcript.jsonl`) and the end of stderr (`stderr.txt`) are written to
    the request's run folder, redacted, mode 0600. ^C, SIGTERM and SIGHUP end the whole
    process group and give status "aborted"; the timeout gives "timeout". Raises AgentError
    when the agent cannot be started.
    """
    reader = agent.reader(request)
    command = agent.command(request)
    started, clock = time.time(), time.monotonic()
    request.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _Stops() as stops, _Transcript(request, progress) as transcript:
        transcript.note("acr.start", **_about(request, command))
        followed = _Followed(reader, progress, transcript)
        child = _start(agent, request, command, pipes=True)
        ended = _follow(child, followed, stops, clock + request.timeout)
        report = reader.finish(ended.exit_code, ended.stderr)
        attempt = _attempt(request, report, started, time.monotonic() - clock, ended)
        transcript.note("acr.end", status=attempt.status, exit_code=attempt.exit_code)
    _write_private(request.run_dir / STDERR, request.redact(ended.stderr))
    return replace(attempt, transcript=f"{request.run_dir.name}/{TRANSCRIPT}")


def run_interactive(agent: Agent, request: Request) -> Attempt:
    """Hands the terminal to the agent's own screen and returns when it is closed.

    ^C belongs to the agent meanwhile. Usage is what the agent left on disk, if anything.
    Raises AgentError when the agent cannot be started.
    """
    reader = agent.reader(request)
    command = agent.interactive(request)
    started, clock = time.time(), time.monotonic()
    with _ignoring(signal.SIGINT, signal.SIGQUIT):
        child = _start(agent, request, command, pipes=False)
        try:
            exit_code = child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
    report = reader.finish(exit_code, "")
    closed = exit_code in {0, 130, -signal.SIGINT}
    report = replace(
        report,
        status="done" if closed else "error",
        error="" if closed else report.error or f"{agent.name} ended with exit code {exit_code}",
    )
    return _attempt(request, report, started, time.monotonic() - clock, _Ended(exit_code))


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a process came to its end."""

    exit_code: int
    stderr: str = ""
    stopped: AttemptStatus | None = None
    """timeout or aborted when acr ended it."""


class _Stops:
    """Counts the signals that ask acr to stop, while the context is open."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Stops:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


@contextlib.contextmanager
def _ignoring(*numbers: signal.Signals) -> Iterator[None]:
    """Signals that are left to the child. A handler, unlike SIG_IGN, is not inherited by it."""
    main = threading.current_thread() is threading.main_thread()
    before = {n: signal.signal(n, lambda *_: None) for n in numbers} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(
    agent: Agent, request: Request, command: Command, *, pipes: bool
) -> subprocess.Popen[bytes]:
    # opencode believes $PWD rather than the folder that it is started in
    here = {"ACR_ATTEMPT": request.attempt, "PWD": str(request.cwd)}
    env = {**os.environ, **here, **command.env}
    piped = subprocess.PIPE if pipes else None
    with _stdin(command) if pipes else contextlib.nullcontext() as stdin:
        try:
            return subprocess.Popen(
                command.argv,
                cwd=request.cwd,
                env=env,
                stdin=stdin,
                stdout=piped,
                stderr=piped,
                start_new_session=pipes,
            )
        except (OSError, ValueError) as e:
            raise AgentError(_why_not(agent, request, command, e)) from None


@contextlib.contextmanager
def _stdin(command: Command) -> Iterator[IO[bytes]]:
    """The null device, or the text in a file without a name: nothing blocks, whoever reads it."""
    if command.stdin is None:
        with open(os.devnull, "rb") as null:
            yield null
        return
    with tempfile.TemporaryFile() as file:
        file.write(command.stdin.encode("utf-8", "surrogateescape"))
        file.seek(0)
        yield file


def _why_not(agent: Agent, request: Request, command: Command, error: Exception) -> str:
    program = command.argv[0]
    if not request.cwd.is_dir():
        return f"{request.cwd} is not a folder; {agent.name} cannot be started there"
    if shutil.which(program) is None:
        return f"{agent.name} is not installed ({program} is not on PATH); {agent.detect().hint}"
    if isinstance(error, OSError) and error.strerror == os.strerror(7):  # E2BIG
        return f"the prompt is too long for {agent.name}'s command line; shorten it"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{agent.name} could not be started: {shutil.which(program)}: {reason}"


def _about(request: Request, command: Command) -> dict[str, Any]:
    from acr import __version__

    return {
        "acr": __version__,
        "attempt": request.attempt,
        "profile": request.profile.name,
        "model": request.profile.model,
        "autonomy": request.autonomy,
        "argv": list(command.argv),
        "cwd": str(request.cwd),
    }


class _Transcript:
    """A private file of redacted lines: all of them, or the first and the last of a flood."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self._path = request.run_dir / TRANSCRIPT
        self._redact, self._progress = request.redact, progress
        self._room, self._kept, self._dropped = HEAD_CAP, 0, 0
        self._tail: deque[str] = deque()

    def __enter__(self) -> _Transcript:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file: IO[str] | None = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
        return self

    def __exit__(self, *_: object) -> None:
        if self._dropped:
            self._write(json.dumps({"type": "acr.dropped", "lines": self._dropped}))
        for line in self._tail:
            self._write(line)
        if self._file:
            with self._guarded():
                self._file.close()

    def note(self, kind: str, **fields: Any) -> None:
        """A line of acr's own."""
        self.add(json.dumps({"type": kind, "time": time.time(), **fields}))

    def add(self, line: str) -> None:
        """One line of the agent's."""
        safe = self._redact(line)
        if len(safe) <= self._room:
            self._room -= len(safe) + 1
            self._write(safe)
            return
        self._room = 0
        self._tail.append(safe)
        self._kept += len(safe)
        while self._kept > TAIL_CAP:
            self._kept -= len(self._tail.popleft())
            self._dropped += 1

    def _write(self, line: str) -> None:
        if self._file:
            with self._guarded():
                self._file.write(line + "\n")

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """A full disk costs the transcript, not the attempt."""
        try:
            yield
        except OSError as e:
            self._file = None
            self._progress(Event("warning", f"{self._path}: {e.strerror}; no transcript is kept"))


class _Followed:
    """Standard output cut into lines; each goes to the transcript, the reader, the user."""

    def __init__(self, reader: Reader, progress: Progress, transcript: _Transcript) -> None:
        self._reader, self._progress, self._transcript = reader, progress, transcript
        self._line = bytearray()

    def feed(self, chunk: bytes) -> None:
        """More bytes; the part of a line over LINE_CAP is dropped."""
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._grow(piece)
            self.flush()
        self._grow(rest)

    def flush(self) -> None:
        """Ends the line that has begun, if any."""
        line = self._line.decode("utf-8", "replace").rstrip("\r")
        self._line.clear()
        if not line:
            return
        self._transcript.add(line)
        for event in self._reader.feed(line):
            self._progress(event)

    def _grow(self, piece: bytes) -> None:
        self._line += piece[: LINE_CAP - len(self._line)]


class _Tail:
    """The last bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, bytearray()

    def feed(self, chunk: bytes) -> None:
        """More bytes; the oldest fall out."""
        self._bytes += chunk
        del self._bytes[: -self._limit]

    def text(self) -> str:
        """What is kept."""
        return self._bytes.decode("utf-8", "replace")


def _follow(
    child: subprocess.Popen[bytes], out: _Followed, stops: _Stops, deadline: float
) -> _Ended:
    """Reads until the agent has ended, or ends it at the deadline or when asked to stop."""
    stderr, end = _Tail(STDERR_CAP), _End(child)
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        with child.stdout, child.stderr, selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ, out.feed)
            selector.register(child.stderr, selectors.EVENT_READ, stderr.feed)
            while not _finished(child, selector, end):
                if stops.count or time.monotonic() > deadline:
                    end.press("aborted" if stops.count else "timeout", hard=stops.count > 1)
        out.flush()
    finally:
        end.surely()
    return _Ended(child.returncode, stderr.text(), end.reason)


def _finished(child: subprocess.Popen[bytes], selector: selectors.BaseSelector, end: _End) -> bool:
    """One turn of reading. Whoever else holds the pipes of an ended agent is not waited for."""
    if not selector.get_map():
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(TICK)
        return child.poll() is not None
    ready = selector.select(TICK)
    for key, _ in ready:
        feed: Callable[[bytes], None] = key.data
        if chunk := os.read(key.fd, CHUNK):
            feed(chunk)
        else:
            selector.unregister(key.fileobj)
    return child.poll() is not None and (not ready or end.overdue())


class _End:
    """Ends a process group, and what its members started in sessions of their own."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._family: set[_Process] = set()
        self._kill_at = math.inf
        self._ended_at = math.inf
        self.reason: AttemptStatus | None = None

    def overdue(self) -> bool:
        """Whether the agent ended more than DRAIN ago (first asked when it has ended)."""
        self._ended_at = min(self._ended_at, time.monotonic())
        return time.monotonic() > self._ended_at + DRAIN

    def press(self, reason: AttemptStatus, *, hard: bool) -> None:
        """Asks the group to end; kills it once GRACE is over, or at once when `hard`."""
        if self.reason is None:
            self.reason = reason
            self._family = _family(self._child.pid)
            self._kill_at = time.monotonic() + GRACE
            self._signal(signal.SIGTERM)
        if hard or time.monotonic() > self._kill_at:
            self._signal(signal.SIGKILL)

    def surely(self) -> None:
        """Nothing of the group is left when this returns, whatever happened before."""
        if self._child.poll() is None:
            self._family = self._family or _family(self._child.pid)
        elif self._group_lives():
            self._signal(signal.SIGTERM)
            limit = time.monotonic() + DRAIN
            while self._group_lives() and time.monotonic() < limit:
                time.sleep(0.01)
        self._signal(signal.SIGKILL)
        for process in self._family & _processes():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
        self._child.wait()

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._child.pid, 0)
        except (ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


@dataclass(frozen=True, slots=True)
class _Process:
    """A process, told from a later one with the same number by its start."""

    pid: int
    started: str
    parent: int = field(compare=False)
    group: int = field(compare=False)


def _processes() -> set[_Process]:
    """All processes; empty where `ps` is missing."""
    try:
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,pgid=,lstart="],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    except OSError:
        return set()
    found = (line.split(None, 3) for line in listed.splitlines())
    return {_Process(int(f[0]), f[3], int(f[1]), int(f[2])) for f in found if len(f) == 4}


def _family(leader: int) -> set[_Process]:
    """The leader, the members of its group, and all their descendants."""
    everyone = _processes()
    family = {p for p in everyone if leader in {p.pid, p.group}}
    while True:
        pids = {p.pid for p in family}
        grown = family | {p for p in everyone if p.parent in pids}
        if len(grown) == len(family):
            return family
        family = grown


def _attempt(
    request: Request, report: Report, started: float, duration: float, ended: _Ended
) -> Attempt:
    status, error = report.status, report.error
    if ended.stopped == "timeout":
        status, error = (
            "timeout",
            (f"stopped after {request.timeout:g} s; give it longer with --timeout"),
        )
    elif ended.stopped == "aborted":
        status, error = "aborted", "stopped by the user"
    cost, source = _cost(request.profile, report)
    return Attempt(
        id=request.attempt,
        task=request.task,
        decision=request.decision,
        profile=request.profile.name,
        agent=request.profile.agent,
        model=report.model,
        status=status,
        started=started,
        duration=duration,
        exit_code=ended.exit_code,
        error=error,
        usage=report.usage,
        cost=cost,
        cost_source=source,
        session=report.session,
        message=report.message,
    )


def _cost(profile: Profile, report: Report) -> tuple[float | None, str]:
    """(USD, where from): the profile's own price, else the agent's word, else the price table."""
    if report.usage is None or (profile.price is None and report.cost is not None):
        return report.cost, "agent" if report.cost is not None else ""
    main = report.model or profile.model
    parts: Mapping[str, Usage] = report.by_model or {main: report.usage}
    total = 0.0
    for model, usage in parts.items():
        override = profile.price if model == main else None
        price = prices.price(replace(profile, model=model, price=override))
        if price is None:
            return None, ""
        total += prices.cost(usage, price)
    return total, "override" if profile.price else "price table"


def _write_private(path: Path, content: str) -> None:
    with contextlib.suppress(OSError):  # the end of stderr is in the attempt's error as well
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(content)
