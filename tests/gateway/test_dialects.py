"""Whose call a request is, and which conversation it belongs to."""

from __future__ import annotations

import json

import pytest

from acr.gateway.dialects import dialect_of, refusal, session_of


@pytest.mark.parametrize(
    ("method", "path", "dialect"),
    [
        ("POST", "/t/openai/responses", "responses"),
        ("POST", "/t/openai/responses/compact", "responses"),
        ("POST", "/t/openai/v1/chat/completions/", "chat"),
        ("POST", "/t/anthropic/v1/messages", "messages"),
        ("POST", "/t/anthropic/v1/messages/count_tokens", None),
        ("POST", "/t/anthropic/v1/messages/batches", None),
        ("GET", "/t/openai/responses", None),
        ("POST", "/t/openai/embeddings", None),
    ],
)
def test_calls_for_an_answer_are_known_by_their_path(
    method: str, path: str, dialect: str | None
) -> None:
    assert dialect_of(method, path) == dialect


def test_a_conversation_keeps_its_key_while_marks_come_and_go() -> None:
    block = {"type": "text", "text": "do it", "cache_control": {"type": "ephemeral"}}
    forms = (
        [{"role": "system", "content": "x"}, {"role": "user", "content": [block]}],
        [{"role": "user", "content": [{"type": "text", "text": "do it"}]}, {"role": "assistant"}],
        [{"role": "user", "content": "do it"}],
    )
    headers = {"x-claude-code-session-id": "s"}
    keys = {session_of("messages", headers, {"messages": m}) for m in forms}
    assert len(keys) == 1
    other = {"messages": [{"role": "user", "content": "do that"}]}
    assert session_of("messages", headers, other) not in keys


def test_codex_names_its_threads() -> None:
    headers = {"session-id": "s", "thread-id": "t"}
    assert session_of("responses", headers, {"input": "x"}) == "t"
    assert session_of("responses", {}, {"prompt_cache_key": "k", "input": "x"}) == "k"
    assert session_of("responses", {}, {"input": "x"})


@pytest.mark.parametrize("body", [{}, {"messages": 7}, {"messages": [{"role": "user"}, 3]}])
def test_odd_requests_have_a_key_all_the_same(body: dict[str, object]) -> None:
    for dialect in ("responses", "chat", "messages"):
        assert session_of(dialect, {}, body)


def test_errors_are_worded_as_clients_read_them() -> None:
    anthropic = json.loads(refusal("messages", 413, "too much"))
    assert anthropic["type"] == "error"
    assert anthropic["error"]["type"] == "request_too_large"
    for dialect in ("chat", "responses", None):
        told = json.loads(refusal(dialect, 502, "not there"))
        assert told["error"]["message"] == "acr gateway: not there"
