"""The one driver of all adapters: starts the agent, follows its output, and ends it for sure."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import IO, Any

from acr.agents import Agent, Command, Progress, Reader, Report, Request, prices
from acr.agents.group import Ending
from acr.agents.transcript import NAME, Transcript, write_private
from acr.errors import AgentError
from acr.nouns import Attempt, AttemptStatus

__all__ = ["run", "run_interactive"]

STDERR = "stderr.txt"
TICK = 0.1
CHUNK = 1 << 16
LINE_CAP = 8 << 20
"""Bytes of one line that are kept."""
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
    with _Stops() as stops, Transcript(request, progress) as transcript:
        transcript.note("acr.start", **_about(request, command))
        followed = _Followed(reader, progress, transcript)
        child = _start(agent, request, command, pipes=True)
        ending = Ending(child, f"ACR_ATTEMPT={request.attempt}")
        ended = _follow(child, followed, stops, ending, clock + request.timeout)
        report = reader.finish(ended.exit_code, ended.stderr)
        attempt = _attempt(request, report, started, time.monotonic() - clock, ended)
        transcript.note("acr.end", status=attempt.status, exit_code=attempt.exit_code)
    write_private(request.run_dir / STDERR, request.redact(ended.stderr))
    return replace(attempt, transcript=f"{request.run_dir.name}/{NAME}")


def run_interactive(agent: Agent, request: Request) -> Attempt:
    """Hands the terminal to the agent's own screen and returns when it is closed.

    ^C belongs to the agent meanwhile. Usage is what the agent left on disk, if anything.
    Raises AgentError when the agent cannot be started.
    """
    reader = agent.reader(request)
    command = agent.interactive(request)
    started, clock = time.time(), time.monotonic()
    with _terminal_kept(), _Relayed() as relayed:
        child = relayed.child = _start(agent, request, command, pipes=False)
        exit_code = child.wait()
    report = reader.finish(exit_code, "")
    closed = exit_code in {0, 130, -signal.SIGINT}
    report = replace(
        report,
        status="done" if closed else "error",
        error="" if closed else f"{agent.name} ended with exit code {exit_code}",
    )
    ended = _Ended(exit_code, stopped="aborted" if relayed.stopped else None)
    return _attempt(request, report, started, time.monotonic() - clock, ended)


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


class _Relayed:
    """Leaves ^C to the child in the foreground, and passes requests to end on to it."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Relayed:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGQUIT):  # SIG_IGN would be inherited
                self._before[number] = signal.signal(number, lambda *_: None)
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        if self.child:
            self.child.terminate()


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """A screen that was killed leaves the terminal raw; this puts it right again."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _start(
    agent: Agent, request: Request, command: Command, *, pipes: bool
) -> subprocess.Popen[bytes]:
    # opencode believes $PWD rather than the folder that it is started in
    here = {"ACR_ATTEMPT": request.attempt, "PWD": str(request.cwd)}
    env = {**os.environ, **here, **(_direct() if request.gateway else {}), **command.env}
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


def _direct() -> dict[str, str]:
    """No proxy stands between the agent and this machine."""
    given = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    names = ",".join(filter(None, (given, "127.0.0.1")))
    return {"NO_PROXY": names, "no_proxy": names}


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
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
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
        "argv": [_plain(word, request.gateway) for word in command.argv],
        "cwd": str(request.cwd),
    }


def _plain(word: str, gateway: str) -> str:
    """`word` without the address of a gateway, which has its token."""
    return word.replace(gateway, "[gateway]") if gateway else word


class _Followed:
    """Standard output cut into lines; each goes to the transcript, the reader, the user."""

    def __init__(self, reader: Reader, progress: Progress, transcript: Transcript) -> None:
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
    child: subprocess.Popen[bytes], out: _Followed, stops: _Stops, end: Ending, deadline: float
) -> _Ended:
    """Reads until the agent has ended, or ends it at the deadline or when asked to stop."""
    stderr = _Tail(STDERR_CAP)
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


def _finished(
    child: subprocess.Popen[bytes], selector: selectors.BaseSelector, end: Ending
) -> bool:
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


def _attempt(
    request: Request, report: Report, started: float, duration: float, ended: _Ended
) -> Attempt:
    status, error = report.status, report.error
    if ended.stopped == "timeout":
        status = "timeout"
        error = f"stopped after {request.timeout:g} s; give it longer with --timeout"
    elif ended.stopped == "aborted":
        status, error = "aborted", "stopped by the user"
    cost, source = prices.charge(request.profile, report)
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
        error=request.redact(error),
        usage=report.usage,
        cost=cost,
        cost_source=source,
        plan=request.profile.plan,
        session=report.session,
        message=request.redact(report.message),
    )
