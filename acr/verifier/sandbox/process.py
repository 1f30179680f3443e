"""Runs a host command to its end: bounded output, wall clock, watchdog, whole group killed."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acr.errors import SandboxError
from acr.settings import Limits
from acr.verifier.sandbox.engine import Output
from acr.verifier.sandbox.limits import MIB
from acr.verifier.sandbox.watchdog import Watchdog

__all__ = ["Ended", "Kept", "run"]

POLL = 0.05
"""Seconds between two looks of the watchdog."""
DRAIN = 2.0
"""Seconds that output may still come after the command has ended."""


class Kept:
    """The first quarter and the last three quarters of `cap` bytes of a stream."""

    def __init__(self, cap: int) -> None:
        self._cap_head, self._cap_tail = cap // 4, cap - cap // 4
        self._head, self._tail = bytearray(), deque[bytes]()
        self._tail_bytes, self._dropped = 0, 0

    def add(self, data: bytes) -> None:
        """Takes the next bytes of the stream; memory stays bounded."""
        room = self._cap_head - len(self._head)
        self._head += data[:room]
        rest = data[room:]
        if not rest:
            return
        self._tail.append(rest)
        self._tail_bytes += len(rest)
        while self._tail_bytes > self._cap_tail:
            over = self._tail_bytes - self._cap_tail
            first = self._tail.popleft()
            if len(first) > over:
                self._tail.appendleft(first[over:])
            gone = min(over, len(first))
            self._tail_bytes -= gone
            self._dropped += gone

    def output(self) -> Output:
        """What was kept, with a line that says how much was not."""
        note = f"\n[… {self._dropped} bytes left out …]\n".encode() if self._dropped else b""
        return Output(bytes(self._head) + note + b"".join(self._tail), self._dropped > 0)


@dataclass(slots=True)
class Ended:
    """How a command ended."""

    code: int
    """As subprocess: negative for a signal."""
    duration: float
    stdout: Output
    stderr: Output
    stopped: str = ""
    """wall, memory or disk when acr stopped it."""


def run(
    argv: Sequence[str],
    limits: Limits,
    *,
    cwd: Path,
    env: Mapping[str, str],
    watched: Watchdog,
    pass_fds: Sequence[int] = (),
) -> Ended:
    """Runs `argv` in a session of its own and kills its group at the end, however it ends.

    Raises SandboxError when it cannot be started.
    """
    begun = time.monotonic()
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(env),
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        raise SandboxError(f"{argv[0]} could not be started: {e}") from None
    streams = _Streams(child, limits.output * MIB)
    try:
        stopped = _follow(child, streams, begun + limits.wall, watched)
    finally:
        _kill(child)
        streams.drain(time.monotonic() + DRAIN)
    code = child.wait()
    ended = time.monotonic() - begun
    return Ended(code, ended, streams.kept[0].output(), streams.kept[1].output(), stopped)


class _Streams:
    """Both output pipes of a child."""

    def __init__(self, child: subprocess.Popen[bytes], cap: int) -> None:
        self.kept = (Kept(cap), Kept(cap))
        self._selector = selectors.DefaultSelector()
        self._pipes = [pipe for pipe in (child.stdout, child.stderr) if pipe]
        for pipe, kept in zip(self._pipes, self.kept, strict=True):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, kept)

    @property
    def open(self) -> bool:
        return bool(self._selector.get_map())

    def pump(self, timeout: float) -> None:
        """Reads what there is, waiting up to `timeout` seconds for it."""
        for key, _ in self._selector.select(timeout):
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            if data:
                key.data.add(data)
            else:
                self._selector.unregister(key.fileobj)

    def drain(self, deadline: float) -> None:
        """Reads to the end, or to the deadline when somebody holds the pipe open."""
        while self.open and (left := deadline - time.monotonic()) > 0:
            self.pump(min(left, POLL))
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()


def _follow(
    child: subprocess.Popen[bytes], streams: _Streams, deadline: float, watched: Watchdog
) -> str:
    """Until the child has ended or must be stopped; then why."""
    next_look = 0.0
    while child.poll() is None:
        if streams.open:
            streams.pump(POLL)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(POLL)
        now = time.monotonic()
        if now >= deadline:
            return "wall"
        if now >= next_look:
            next_look = now + POLL
            if why := watched.look(child.pid):
                return why
    return ""


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
