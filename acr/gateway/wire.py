"""How messages travel: an agent's request in, the provider's answer out, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "HOP_BY_HOP",
    "Answer",
    "Body",
    "Headers",
    "Receive",
    "RefusedError",
    "Send",
    "VanishedError",
    "body_of",
    "chained",
    "chunks",
    "encodings",
    "host",
    "unless_gone",
]

Headers = list[tuple[bytes, bytes]]
Body = AsyncIterator[bytes]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

HOP_BY_HOP = {
    b"connection",
    b"expect",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
"""Headers of a connection, not of a message (RFC 9110, 7.6.1)."""


class RefusedError(Exception):
    """The gateway itself turns a call down."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class VanishedError(Exception):
    """The client has gone."""


class Answer:
    """What goes back to the agent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.ended = False
        """Whether all of it has been handed over; the client may go then."""

    async def begin(self, response: httpx2.Response) -> None:
        """Status and headers."""
        headers = [(k.lower(), v) for k, v in response.headers.raw]
        kept = [pair for pair in headers if pair[0] not in HOP_BY_HOP]
        await self._start(response.status_code, kept)

    async def more(self, chunk: bytes) -> None:
        """Part of the body; returns when the agent can take more."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """The body is whole. Without it the connection breaks off, as the provider's did."""
        self.ended = True
        await self._send({"type": "http.response.body", "body": b""})

    async def whole(self, status: int, body: bytes) -> None:
        """An answer of the gateway's own."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, [(b"content-type", b"application/json"), length])
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


async def body_of(receive: Receive, limit: int) -> bytes:
    """The whole request. Raises RefusedError when it is over `limit` bytes, VanishedError."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise VanishedError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise RefusedError(413, f"a request may have {limit >> 20} MiB; see gateway.body")
        more = message.get("more_body", False)
    return b"".join(parts)


async def unless_gone(work: Awaitable[None], answer: Answer, receive: Receive) -> None:
    """Does `work` while the client is there. Raises VanishedError when it goes before the end."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    doing, watching = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done() and not answer.ended:
            raise VanishedError
        await doing
    finally:
        for task in (doing, watching):
            task.cancel()
        await asyncio.gather(doing, watching, return_exceptions=True)


async def chunks(response: httpx2.Response) -> Body:
    """The body as it comes, undecoded. Raises VanishedError when the provider breaks off."""
    import httpx2

    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except (httpx2.HTTPError, OSError) as e:
        raise VanishedError from e


async def chained(head: Iterable[bytes], rest: Body) -> Body:
    """What was read ahead, then the rest."""
    for chunk in head:
        yield chunk
    async for chunk in rest:
        yield chunk


def encodings(headers: Headers) -> bytes:
    """What the agent takes of the encodings in which an answer can be counted."""
    asked = b",".join(value for name, value in headers if name == b"accept-encoding")
    words = {word.partition(b";")[0].strip().lower() for word in asked.split(b",")}
    return b", ".join(sorted(words & {b"gzip", b"deflate"})) or b"identity"


def host(url: str) -> str:
    """Scheme and host of `url`, for messages."""
    return "/".join(url.split("/", 3)[:3])
