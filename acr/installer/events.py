"""Which events of each agent run the hook: the table behind every installed entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["EVENTS", "Event"]


class Event(NamedTuple):
    """One event of an agent."""

    name: str
    """The agent's own name of it."""
    matcher: str | None = None
    """Tools that it is about; None where the agent knows no matcher or all are meant."""
    timeout: int = 5
    """When the agent gives up waiting, in its own unit: seconds, or milliseconds."""


_MS = 5000
_QWEN_TOOLS = "run_shell_command|write_file|edit"

EVENTS: Mapping[str, tuple[Event, ...]] = {
    "codex": (
        Event("SessionStart"),
        Event("UserPromptSubmit"),
        Event("PreToolUse", "spawn_agent"),
        Event("PostToolUse", "Bash|apply_patch"),
        Event("PostModelRequest"),
        Event("SubagentStop"),
        Event("Stop"),
        Event("Interrupt", timeout=3),  # Codex allows these two no more
        Event("SessionEnd", timeout=3),
    ),
    "claude": (
        Event("SessionStart"),
        Event("UserPromptSubmit"),
        Event("PreToolUse", "Task|Agent"),
        Event("PostToolUse", "Bash|Edit|Write|MultiEdit|NotebookEdit"),
        Event("PostToolUseFailure", "Bash"),
        Event("SubagentStop"),
        Event("Stop"),
        Event("StopFailure"),
        Event("SessionEnd"),
    ),
    # its plugin reports these two under names of its own; the rest is in opencode's database
    "opencode": (
        Event("UserPromptSubmit"),
        Event("Stop"),
    ),
    "gemini": (
        Event("SessionStart", timeout=_MS),
        Event("BeforeAgent", timeout=_MS),
        Event("AfterTool", "run_shell_command|write_file|replace", _MS),
        Event("AfterAgent", timeout=_MS),
        Event("SessionEnd", timeout=_MS),
    ),
    "qwen": (
        Event("SessionStart", timeout=_MS),
        Event("UserPromptSubmit", timeout=_MS),
        Event("PostToolUse", _QWEN_TOOLS, _MS),
        Event("PostToolUseFailure", _QWEN_TOOLS, _MS),
        Event("SubagentStop", timeout=_MS),
        Event("Stop", timeout=_MS),
        Event("SessionEnd", timeout=_MS),
    ),
}
"""Agent -> its events, in the order in which they are written."""
