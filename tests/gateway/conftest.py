"""A gateway in a process of its own before the loopback model server, with models for each tier."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from acr import settings
from acr.gateway import process
from acr.nouns import Step
from acr.settings import GatewaySettings
from tests.model_server import ModelServer

TIERS = """
dialects = ["responses", "chat", "messages"]
[minimal]
model = "mock-tiny"
drop = ["reasoning.effort", "thinking"]
price = {input = 0.1, output = 1.0, cached_input = 0.01}
[mid]
model = "mock-mid"
known = ["mock-mid-*"]
price = {input = 1.0, output = 10.0, cached_input = 0.1}
[frontier]
model = "mock-big"
price = {input = 10.0, output = 100.0, cached_input = 1.0}
"""
PATHS = {
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages?beta=true",
}
TOOL = {"name": "Bash", "type": "function", "function": {"name": "Bash"}}


def tier_map(folder: Path) -> None:
    """Puts the map of the mock models below `folder`."""
    path = folder / "profiles" / "tiers" / "mock.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TIERS)


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False
    """The connection broke off before the end."""

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Gate:
    """A started gateway and how to call it."""

    started: process.Started
    steps: list[Step] = field(default_factory=list)
    complete: bool = False

    def connect(self) -> http.client.HTTPConnection:
        """A connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.started.port, timeout=30)

    def path(self, rest: str, upstream: str = "mock") -> str:
        """The path of `rest` at an upstream."""
        return "/" + self.started.address(upstream).split("/", 3)[3] + rest

    def ask(
        self,
        rest: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        upstream: str = "mock",
    ) -> Answer:
        """One request on a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            method = method or ("POST" if body is not None else "GET")
            connection.request(method, self.path(rest, upstream), body, dict(headers or {}))
            return read(connection.getresponse())

    def finish(self) -> list[Step]:
        """Ends it; its steps."""
        steps, self.complete = self.started.finish()
        return list(steps)


def read(response: http.client.HTTPResponse) -> Answer:
    """The whole answer."""
    headers = {k.lower(): v for k, v in response.getheaders()}
    parts, broken = [], False
    try:
        while part := response.read1():
            parts.append(part)
    except (http.client.IncompleteRead, ConnectionError):
        broken = True
    except ValueError:  # a chunk's length never came
        broken = True
    return Answer(response.status, headers, b"".join(parts), broken)


def body(dialect: str, model: str = "mock-big", **fields: Any) -> bytes:
    """A small request with a tool."""
    said = [{"role": "user", "content": "hello"}]
    text = {"input": said} if dialect == "responses" else {"messages": said}
    return json.dumps({"stream": True, **text, "model": model, "tools": [TOOL], **fields}).encode()


@pytest.fixture
def models() -> Iterator[Callable[..., ModelServer]]:
    """Starts model servers."""
    with contextlib.ExitStack() as stack:
        yield lambda **script: stack.enter_context(ModelServer(**script))


@pytest.fixture
def gate(home: Path) -> Iterator[Callable[..., Gate]]:
    """Starts gateways before a server: `gate(url, router="frontier,minimal", silence=1.0)`."""
    with contextlib.ExitStack() as stack:

        def make(url: str, *, budget: float | None = None, record: str = "", **limits: Any) -> Gate:
            tier_map(home)
            wanted = process.config(
                GatewaySettings(**{"router": "as-asked", **limits}),
                {"mock": url},
                budget=budget,
                record=record,
            )
            return Gate(stack.enter_context(process.start(wanted)))

        yield make


Handle = Callable[[BaseHTTPRequestHandler, bytes], None]


class Upstream:
    """A server that answers by a function and keeps what it was asked; a context."""

    def __init__(self, handle: Handle) -> None:
        self.seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = []
        """Method, path, headers, body."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Silent."""

            def _any(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, self.headers.items(), raw))
                with contextlib.suppress(ConnectionError):
                    handle(self, raw)

            do_GET = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815  # named by the base class

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Without a final slash."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, raw: bytes, **headers: str) -> None:
    """A whole answer."""
    handler.send_response_only(status)
    handler.send_header("Content-Length", str(len(raw)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(raw)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for `condition`."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.01)


def home_config(text: str) -> None:
    """Writes config.toml."""
    (settings.folder() / "config.toml").write_text(text)
