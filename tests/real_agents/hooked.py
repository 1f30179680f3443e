"""The agents with acr's hooks in their own configs, run by themselves, without acr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from acr import hooksfile, settings
from acr.nouns import Outcome
from tests import scripted

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "hooks" / "acr_hook.py"
CLAUDE_LIKE = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "SubagentStop",
    "Stop",
    "SessionEnd",
)
EVENTS = {
    "codex": (*CLAUDE_LIKE, "PostModelRequest"),
    "claude": CLAUDE_LIKE,
    "gemini": ("SessionStart", "BeforeAgent", "AfterTool", "AfterAgent", "SessionEnd"),
    "qwen": CLAUDE_LIKE,
}
FILES = {
    "codex": ".codex/hooks.json",
    "claude": ".claude/settings.json",
    "gemini": ".gemini/settings.json",
    "qwen": ".qwen/settings.json",
}
TIMEOUT = {"gemini": 10_000, "qwen": 10_000}
RUN = {
    "codex": ("codex", "exec", "--dangerously-bypass-hook-trust", "-s", "danger-full-access"),
    "claude": ("claude", "-p", "--allowedTools=Bash Task"),
    "opencode": ("opencode", "run"),
    "gemini": ("gemini", "-y", "--skip-trust"),
    "qwen": ("qwen", "-y", "--auth-type", "openai"),
}
PLUGIN = """
import { spawn } from "node:child_process"
const tell = (event, data) => new Promise((done) => {
  const child = spawn(PYTHON, ["-I", "-S", SCRIPT, "opencode", event, "--acr-hook"],
    { stdio: ["pipe", "ignore", "ignore"] })
  child.on("close", done)
  child.on("error", done)
  child.stdin.end(JSON.stringify(data))
})
export const Acr = async ({ directory }) => ({
  "chat.message": async (input, output) => {
    const text = output.parts.filter((part) => part.type === "text").map((part) => part.text)
    await tell("UserPromptSubmit", { session_id: input.sessionID, turn_id: output.message.id,
      cwd: directory, prompt: text.join("\\n") })
  },
  event: async ({ event }) => {
    if (event.type === "session.idle")
      await tell("Stop", { session_id: event.properties.sessionID, cwd: directory })
  },
})
"""
PATIENCE = 90.0


def install(agent: str, user_home: Path) -> None:
    """Puts the hooks into the agent's config below `user_home`; acr can be started by them."""
    hooksfile.change(python=sys.executable)
    if agent == "opencode":
        folder = user_home / ".config" / "opencode" / "plugin"
        folder.mkdir(parents=True)
        plugin = PLUGIN.replace("PYTHON", json.dumps(sys.executable))
        (folder / "acr.js").write_text(plugin.replace("SCRIPT", json.dumps(str(SCRIPT))))
        return
    file = user_home / FILES[agent]
    file.parent.mkdir(exist_ok=True)
    data = json.loads(file.read_text()) if file.exists() else {}
    command = f"{sys.executable} -I -S {SCRIPT} {agent} {{}} --acr-hook"
    data["hooks"] = {
        event: [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": command.format(event),
                        "timeout": TIMEOUT.get(agent, 10),
                    }
                ]
            }
        ]
        for event in EVENTS[agent]
    }
    file.write_text(json.dumps(data))


def run(agent: str, prompt: str, cwd: Path, model: str, *args: str) -> str:
    """Runs the agent itself; returns what it printed."""
    argv = [*RUN[agent], "-m" if agent != "claude" else "--model", model, *args]
    argv += ["-p", prompt] if agent == "gemini" else [prompt]
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PWD": str(cwd)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def outcomes(n: int) -> list[Outcome]:
    """The first `n` outcomes, once the ingest that the hooks started has stored as many."""
    until(lambda: len(stored()) >= n)
    found = stored()
    assert len(found) == n
    return found


def stored() -> list[Outcome]:
    """All outcomes, oldest first."""
    if not (settings.home() / "memory.db").exists():
        return []
    return sorted(scripted.outcomes(), key=lambda outcome: outcome.attempt.started)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, (settings.home() / "logs").exists() and [
            path.read_text()[-3000:] for path in (settings.home() / "logs").iterdir()
        ]
        time.sleep(0.1)
