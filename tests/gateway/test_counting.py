"""Tokens are read from an answer however its bytes are cut."""

from __future__ import annotations

import itertools
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.gateway.counting import Counter
from acr.nouns import Usage
from acr.steps.nouns import Dialect
from tests.model_server import Chat, Messages, Reply, Responses, Tokens

SPEAKERS: dict[Dialect, Any] = {"responses": Responses(), "chat": Chat(), "messages": Messages()}
USED = Tokens(input=1000, output=50, cached=400, written=100, reasoning=7)
STREAM = "text/event-stream"


def events(dialect: Dialect, end: str) -> bytes:
    """A streamed answer with lines that end in `end`."""
    parts = []
    for name, data in SPEAKERS[dialect].stream(Reply(text="née\n"), "model-1", USED):
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        head = f"event: {name}{end}" if name else ""
        parts.append(f"{head}data: {text}{end}{end}")
    return "".join(parts).encode()


def expected(dialect: Dialect) -> Usage:
    """What USED amounts to."""
    written, reasoning = (0, 7) if dialect == "chat" else (100, 7)
    reasoning = 0 if dialect == "messages" else reasoning
    return Usage(
        input=600 - written,
        cached_input=400,
        cache_write_5m=written,
        output=50,
        reasoning=reasoning,
        requests=1,
    )


@given(
    dialect=st.sampled_from(list(SPEAKERS)),
    cuts=st.lists(st.integers(0, 3000), max_size=20),
    end=st.sampled_from(["\n", "\r\n"]),
    packed=st.booleans(),
)
def test_a_stream_is_counted(dialect: Dialect, cuts: list[int], end: str, packed: bool) -> None:
    raw = events(dialect, end)
    raw = zlib.compress(raw) if packed else raw
    counter = Counter(dialect, f"{STREAM}; charset=utf-8", "deflate" if packed else "")
    at = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    for begin, stop in itertools.pairwise(at):
        counter.feed(raw[begin:stop])
    assert counter.whole
    assert (counter.usage, counter.model) == (expected(dialect), "model-1")
    assert not counter.failed


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_an_answer_in_one_piece_is_counted(dialect: Dialect) -> None:
    counter = Counter(dialect, "application/json", "")
    counter.feed(json.dumps(SPEAKERS[dialect].whole(Reply(text="x"), "model-1", USED)).encode())
    assert not counter.whole
    counter.finish()
    assert counter.whole
    assert (counter.usage, counter.model) == (expected(dialect), "model-1")


@given(raw=st.binary(max_size=200) | st.text('data: {}[]"usage\\n:1,').map(str.encode))
@pytest.mark.parametrize("kind", [STREAM, "application/json", ""])
@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
def test_nothing_breaks_it(kind: str, encoding: str, raw: bytes) -> None:
    for dialect in SPEAKERS:
        counter = Counter(dialect, kind, encoding)
        counter.feed(raw)
        counter.finish()
        assert counter.usage is None or counter.usage.requests == 1


def test_an_answer_without_figures_is_unknown_not_zero() -> None:
    counter = Counter("chat", STREAM, "")
    counter.feed(b'data: {"model": "m", "choices": [], "usage": null}\n\ndata: [DONE]\n\n')
    assert (counter.usage, counter.model, counter.whole) == (None, "m", True)


def test_long_cache_writes_are_told_apart() -> None:
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }
    counter = Counter("messages", STREAM, "")
    start = {"type": "message_start", "message": {"model": "m", "usage": usage}}
    counter.feed(f"data: {json.dumps(start)}\n\n".encode())
    counter.feed(b'data: {"type": "message_delta", "usage": {"output_tokens": 9}}\n\n')
    assert counter.usage == Usage(
        input=5, cache_write_5m=10, cache_write_1h=20, output=9, requests=1
    )
    assert not counter.whole


@pytest.mark.parametrize(
    ("dialect", "data"),
    [
        ("messages", '{"type": "error", "error": {"type": "overloaded_error"}}'),
        ("chat", '{"error": {"message": "no"}}'),
        ("responses", '{"type": "response.failed", "response": {"error": {"code": "x"}}}'),
    ],
)
def test_an_error_in_a_stream_is_seen(dialect: Dialect, data: str) -> None:
    counter = Counter(dialect, STREAM, "")
    counter.feed(f"data: {data}\n\n".encode())
    assert counter.failed


def test_talk_of_errors_is_no_error() -> None:
    counter = Counter("chat", STREAM, "")
    said = {"choices": [{"delta": {"content": 'the "error" is {"type": "error"}'}}]}
    counter.feed(f"data: {json.dumps(said)}\n\n".encode())
    assert not counter.failed
