"""Requests of an agent in the three dialects, for tests of what is read in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from acr.nouns import Tier
from acr.steps.nouns import Dialect, StepRequest

DIALECTS: tuple[Dialect, ...] = ("responses", "chat", "messages")
ALL: tuple[Tier, ...] = ("minimal", "efficient", "mid", "frontier")
Turn = tuple[str, str, bool]
"""Shell command, its result, whether the agent says that it failed."""


def request(
    dialect: Dialect,
    turns: Sequence[Turn] = (),
    prompt: str = "fix the failing test",
    *,
    tools: bool = True,
    signed: bool = False,
    after: str = "",
    **fields: Any,
) -> StepRequest:
    """A session of these calls; `after`: what a person says at the end."""
    items: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    for n, (command, result, failed) in enumerate(turns):
        items += _TURNS[dialect](str(n), command, result, failed, signed)
    if after:
        items.append({"role": "user", "content": after})
    body: dict[str, Any] = {"input" if dialect == "responses" else "messages": items}
    if tools:
        body["tools"] = [{"name": "Bash"}]
    given: dict[str, Any] = {"asked": "frontier", "offered": ALL, "session": "s"}
    return StepRequest(
        dialect=dialect, model="big", body=body, position=len(turns), seconds=1.0, **given | fields
    )


def _responses(n: str, command: str, result: str, failed: bool, signed: bool) -> list[Any]:
    code = f"Process exited with code {int(failed)}\n"
    thought = [{"type": "reasoning", "encrypted_content": "x"}] if signed else []
    arguments = json.dumps({"cmd": command})
    return [
        *thought,
        {"type": "function_call", "call_id": n, "name": "exec_command", "arguments": arguments},
        {"type": "function_call_output", "call_id": n, "output": code + result},
    ]


def _chat(n: str, command: str, result: str, failed: bool, signed: bool) -> list[Any]:
    function = {"name": "bash", "arguments": json.dumps({"command": command})}
    text = f"{result}\n<returncode>{int(failed)}</returncode>"
    return [
        {"role": "assistant", "content": "", "tool_calls": [{"id": n, "function": function}]},
        {"role": "tool", "tool_call_id": n, "content": text},
    ]


def _messages(n: str, command: str, result: str, failed: bool, signed: bool) -> list[Any]:
    call = {"type": "tool_use", "id": n, "name": "Bash", "input": {"command": command}}
    thought = [{"type": "thinking", "thinking": "hm", "signature": "x"}] if signed else []
    told = {"type": "tool_result", "tool_use_id": n, "content": result, "is_error": failed}
    reminder = {"type": "text", "text": "<system-reminder>be brief</system-reminder>"}
    return [
        {"role": "assistant", "content": [*thought, call]},
        {"role": "user", "content": [told, reminder]},
    ]


_TURNS = {"responses": _responses, "chat": _chat, "messages": _messages}
