"""The three APIs that agents speak: whose call a request is, and how each words an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from acr.agents.records import rows, text
from acr.steps.nouns import Dialect

__all__ = ["dialect_of", "is_subagent", "refusal", "session_of", "wants_websocket"]

ENDS: dict[str, Dialect] = {
    "/responses": "responses",
    "/responses/compact": "responses",
    "/chat/completions": "chat",
    "/messages": "messages",
}
"""How the path of a call for an answer ends."""
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    504: "timeout_error",
}
"""Names of errors, as Anthropic has them; others are api_error."""
OWN_HEADERS = ("thread-id", "session-id", "x-claude-code-session-id", "x-session-id")
"""Where agents name their conversation, the narrowest name first."""


def dialect_of(method: str, path: str) -> Dialect | None:
    """The dialect of a call that a model answers; None for anything else."""
    ends = (dialect for end, dialect in ENDS.items() if path.rstrip("/").endswith(end))
    return next(ends, None) if method == "POST" else None


def wants_websocket(headers: Mapping[str, str]) -> bool:
    """Codex asks for one first, and falls back when it is told 426."""
    return "websocket" in headers.get("upgrade", "").lower()


def session_of(dialect: Dialect, headers: Mapping[str, str], body: Mapping[str, Any]) -> str:
    """A key of the conversation: the agent's own name for it, and how it began.

    Codex gives a sub-agent a thread of its own; sub-agents of Claude Code share the session's
    name, and opencode tells none: they are known by the first message.
    """
    named = next((headers[name] for name in OWN_HEADERS if headers.get(name)), "")
    if dialect == "responses":
        named = named or text(body, "prompt_cache_key")
        if named:
            return named
    messages = rows(body, "input" if dialect == "responses" else "messages")
    said = next((m["content"] for m in messages if m.get("role") == "user" and "content" in m), "")
    # blocks get and lose marks such as cache_control while their text stays
    told = said if isinstance(said, str) else "".join(text(b, "text") for b in said or ())
    began = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
    return f"{named}:{began[:8]}" if named else began[:16]


def is_subagent(headers: Mapping[str, str]) -> bool:
    """Whether the agent says that a sub-agent of it calls."""
    return bool(headers.get("x-openai-subagent"))


def refusal(dialect: Dialect | None, status: int, message: str) -> bytes:
    """The body of an error of the gateway's own, as clients of this dialect read it."""
    kind = TYPES.get(status, "api_error")
    error: dict[str, Any] = {"type": kind, "message": f"acr gateway: {message}"}
    if dialect == "messages":
        return json.dumps({"type": "error", "error": error}).encode()
    return json.dumps({"error": {**error, "code": kind, "param": None}}).encode()
