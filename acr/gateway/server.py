"""The gateway's own process: told what to do on standard input, it serves until that closes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from acr import settings
from acr.errors import AcrError
from acr.files import replace_file
from acr.gateway.config import Config
from acr.nouns import from_json

__all__ = ["folder", "main", "serve"]

LOOPBACK = "127.0.0.1"
KEPT = 3600
"""Seconds that an idle connection is kept: an agent thinks that it may use it again."""
GRACE = 1
"""Seconds that calls under way are given when the gateway ends."""


def main() -> int:
    """Serves what standard input asks for; says `{"port": N}` when it does, or `{"error": …}`."""
    config: Config = from_json(Config, json.loads(sys.stdin.readline()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the agent; our input tells the end
    try:
        serve(config, until_closed=sys.stdin)
    except AcrError as e:
        _say({"error": str(e)})
        return e.exit_code
    return 0


def serve(config: Config, *, until_closed: IO[str] | None = None) -> None:
    """Serves until SIGTERM, ^C, or the end of `until_closed`.

    The first line on standard output is `{"port": N}`. Raises AcrError when the port is taken or
    a tier map is wrong.
    """
    import httpx2
    import uvicorn

    from acr.gateway import tiers
    from acr.gateway.ledger import Ledger
    from acr.gateway.proxy import Gateway
    from acr.steps import make

    router, maps = make(config.settings, config.credit), tiers.load_all().values()
    bound = _bind(config.port)
    port = bound.getsockname()[1]
    limits = config.settings
    timeout = httpx2.Timeout(limits.silence, connect=limits.connect, pool=None)
    pool = httpx2.Limits(max_connections=None, max_keepalive_connections=32)
    with _record(config) as stream, _registered(config, port):
        client = httpx2.AsyncClient(timeout=timeout, limits=pool, follow_redirects=False)
        server = uvicorn.Server(
            uvicorn.Config(
                Gateway(config, router, maps, client, Ledger(stream)),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEPT,
                timeout_graceful_shutdown=GRACE,
            )
        )
        if until_closed:
            _when_closed(until_closed, server)
        threading.Thread(target=_warm, args=(maps,), daemon=True).start()
        _say({"port": port})
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(server, client, bound))


async def _run(server: Any, client: Any, bound: socket.socket) -> None:
    async with client:
        await server.serve(sockets=[bound])


def _say(data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


def _bind(port: int) -> socket.socket:
    """A socket on the loopback, never elsewhere."""
    # asyncio turns Nagle's algorithm off only where the protocol is named: 40 ms an answer
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
        bound.listen(128)
    except OSError as e:
        bound.close()
        raise AcrError(f"port {port} cannot be used: {e.strerror}; choose another") from None
    return bound


@contextlib.contextmanager
def _record(config: Config) -> Iterator[IO[str]]:
    """Where steps are written, one JSON object a line."""
    if not config.record:
        yield sys.stdout
        return
    try:
        opened = os.open(config.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as e:
        raise AcrError(f"{config.record}: {e.strerror}; steps cannot be recorded there") from None
    with open(opened, "w", encoding="utf-8") as stream:
        try:
            yield stream
        finally:
            with contextlib.suppress(OSError):
                stream.flush()


@contextlib.contextmanager
def _registered(config: Config, port: int) -> Iterator[None]:
    """A file about this gateway; its lock shows that it lives. A full disk costs the file only."""
    about = {
        "id": config.id,
        "pid": os.getpid(),
        "port": port,
        "token": config.token,
        "started": time.time(),
        "record": config.record,
    }
    try:
        path = folder() / f"{config.id}.json"
        replace_file(path, json.dumps(about))
        held = path.open(encoding="utf-8")
    except OSError:
        yield
        return
    with held:
        fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def folder() -> Path:
    """Where running gateways are known, private to the user."""
    return settings.folder("gateway")


def _when_closed(stream: IO[str], server: Any) -> None:
    """Ends the server when `stream` does."""

    def wait() -> None:
        with contextlib.suppress(OSError, ValueError):
            while stream.readline():
                pass
        server.should_exit = True

    threading.Thread(target=wait, daemon=True).start()


def _warm(maps: Any) -> None:
    """The price table takes a moment to load; not while an agent waits."""
    for each in maps:
        for rung in each.rungs.values():
            each.price(rung.model)
