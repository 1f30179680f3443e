"""Reads from an answer, as it passes, which model answered and what tokens it took."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from acr.agents.records import number, table, text
from acr.agents.usage import anthropic
from acr.nouns import Usage
from acr.steps.nouns import Dialect

__all__ = ["Counter"]

CAP = 64 << 20
"""Bytes of one event, or of an answer in one piece, that are looked at."""
MARKS = {
    "responses": (b"response.completed", b"response.incomplete", b"response.failed"),
    "chat": (b'"usage"',),
    "messages": (b"message_start", b"message_delta"),
}
"""What an event with figures has in it; others are not decoded."""


class Counter:
    """Is fed an answer's bytes; holds what they said so far."""

    def __init__(self, dialect: Dialect, content_type: str, encoding: str) -> None:
        """`encoding`: the answer's Content-Encoding; nothing is counted in an unknown one."""
        self._dialect: Dialect = dialect
        self._streams = content_type.startswith("text/event-stream")
        self._data, self._skips = bytearray(), False
        known = {"gzip": 47, "deflate": 47}
        wide = known.get(encoding)
        self._unpack: Callable[[bytes], bytes] = bytes
        if wide:
            self._unpack = zlib.decompressobj(wide).decompress
        self._blind = bool(encoding) and encoding != "identity" and not wide
        self._figures: dict[str, Any] = {}
        self.model = ""
        """As the answer names it; empty when it does not."""
        self.whole = False
        """Whether the answer came to its end by its own account."""
        self.events = 0
        """Events that have come."""
        self.failed = False
        """Whether the answer says that it failed."""

    @property
    def usage(self) -> Usage | None:
        """Tokens of this one request; None when the answer does not tell."""
        figures = self._figures
        return replace(READ[self._dialect](figures), requests=1) if figures else None

    def feed(self, chunk: bytes) -> None:
        """More bytes of the body. Never raises."""
        if self._blind:
            return
        try:
            chunk = self._unpack(chunk)
        except zlib.error:
            self._blind = True
            return
        if not self._streams:
            self._grow(chunk)
            return
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._grow(line)
            self._line(bytes(self._data).rstrip(b"\r"))
            self._data.clear()
            self._skips = False
        self._grow(rest)

    def finish(self) -> None:
        """The body is at its end."""
        if not self._streams and not self._blind:
            self._event(bytes(self._data))
        # a Chat stream may lack its last mark; what cannot be read is taken to be whole
        self.whole |= not self._streams or self._blind or self._dialect == "chat"

    def _grow(self, piece: bytes) -> None:
        self._skips = self._skips or len(self._data) + len(piece) > CAP
        if self._skips:
            self._data.clear()
        else:
            self._data += piece

    def _line(self, line: bytes) -> None:
        """One line of an event stream; the three dialects put an event's data into one."""
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        self.events += 1
        ends = data == b"[DONE]" or b"message_stop" in data
        self.whole = self.whole or ends
        self.failed = self.failed or (b'"error"' in data and _is_error(data))
        if any(mark in data for mark in MARKS[self._dialect]):
            self._event(data)

    def _event(self, data: bytes) -> None:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            return
        kind = text(event, "type")
        if self._dialect == "responses" and kind.startswith("response."):
            self.whole = kind in ("response.completed", "response.incomplete", "response.failed")
            self.failed = kind == "response.failed"
            event = table(event, "response")
        elif kind == "message_start":
            event = table(event, "message")
        self.model = text(event, "model") or self.model
        # a later figure of the same name is newer: message_delta counts on from message_start
        told = table(event, "usage")
        self._figures |= {name: value for name, value in told.items() if value is not None}


def _is_error(data: bytes) -> bool:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return text(event, "type") == "error" or bool(table(event, "error"))


def _responses(usage: dict[str, Any]) -> Usage:
    """Cached and written tokens are part of the input."""
    cached = number(usage, "input_tokens_details", "cached_tokens")
    written = number(usage, "input_tokens_details", "cache_write_tokens")
    return Usage(
        input=max(0, number(usage, "input_tokens") - cached - written),
        cached_input=cached,
        cache_write_5m=written,
        output=number(usage, "output_tokens"),
        reasoning=number(usage, "output_tokens_details", "reasoning_tokens"),
    )


def _chat(usage: dict[str, Any]) -> Usage:
    """Like Responses, with other names."""
    return _responses(
        {
            "input_tokens": usage.get("prompt_tokens"),
            "input_tokens_details": usage.get("prompt_tokens_details"),
            "output_tokens": usage.get("completion_tokens"),
            "output_tokens_details": usage.get("completion_tokens_details"),
        }
    )


READ: dict[Dialect, Callable[[dict[str, Any]], Usage]] = {
    "responses": _responses,
    "chat": _chat,
    "messages": anthropic,
}
