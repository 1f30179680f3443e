"""Runs hooks/acr_hook.py as agents do, and knows payloads as agents give them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from acr import settings

SCRIPT = Path(__file__).parents[2] / "hooks" / "acr_hook.py"
COMMON = {
    "session_id": "95ed36ff",
    "transcript_path": "/home/user/.claude/projects/repo/95ed36ff.jsonl",
    "cwd": "/home/user/repo",
    "prompt_id": "1774615c",
}
TOOL = {"tool_name": "Bash", "tool_input": {"command": "pytest -q"}, "tool_use_id": "toolu_7a"}
PAYLOADS: dict[str, dict[str, Any]] = {
    "SessionStart": {"source": "startup"},
    "UserPromptSubmit": {"prompt": "fix the failing test"},
    "PreToolUse": TOOL,
    "PostToolUse": {**TOOL, "tool_response": {"stdout": "3 passed", "stderr": ""}},
    "SubagentStop": {"agent_id": "a7ce", "agent_transcript_path": "/home/user/a7ce.jsonl"},
    "PostModelRequest": {"model": "gpt-6", "token_usage": {"input_tokens": 1500}},
    "Stop": {"stop_hook_active": False, "last_assistant_message": "All done"},
    "SessionEnd": {"reason": "other"},
}
"""Event -> its payload, without what all have."""


def payload(event: str, **fields: Any) -> bytes:
    """What an agent writes to the hook's standard input."""
    return json.dumps({**COMMON, "hook_event_name": event, **PAYLOADS[event], **fields}).encode()


def command(event: str, agent: str = "claude") -> list[str]:
    """The command line in an agent's config."""
    return [sys.executable, "-I", "-S", str(SCRIPT), agent, event, "--acr-hook"]


def run(
    event: str, data: bytes | None = None, agent: str = "claude", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs the hook to its end."""
    return subprocess.run(
        command(event, agent),
        input=payload(event) if data is None else data,
        env={**os.environ, **env},
        capture_output=True,
        check=False,
        timeout=60,
    )


def silent(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether the agent noticed nothing."""
    return (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def noted() -> list[dict[str, Any]]:
    """All lines in the spool."""
    lines = (
        line
        for path in sorted((settings.home() / "spool").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    )
    return [json.loads(line) for line in lines if line]
