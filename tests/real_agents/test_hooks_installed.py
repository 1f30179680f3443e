"""The real agents read the settings that acr has written, and run the hook in them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acr import settings
from acr.cli.main import run
from acr.installer import AGENTS, codex_server
from tests.model_server import Step
from tests.real_agents import checks
from tests.real_agents.conftest import Serve

COMMANDS = {
    "codex": "codex exec --json --skip-git-repo-check -m mock-big "
    "--dangerously-bypass-approvals-and-sandbox",
    "claude": "claude --model sonnet --allowedTools Bash -p",
    "opencode": "opencode run --format json -m mock/mock-big",
    "gemini": "gemini -m gemini-3.5-pro -y -o json --skip-trust -p",
    "qwen": "qwen -y -o json --auth-type openai -m mock-big",
}
FIRED = {
    "codex": "SessionStart UserPromptSubmit PostModelRequest PostToolUse Stop SessionEnd",
    "claude": "SessionStart UserPromptSubmit PostToolUse Stop SessionEnd",
    "opencode": "UserPromptSubmit Stop",
    "gemini": "SessionStart BeforeAgent AfterTool AfterAgent SessionEnd",
    "qwen": "SessionStart UserPromptSubmit PostToolUse Stop",
}
"""Which events a session with one tool call fires."""
PROMPT = "Say hi in hello.txt"


def go(agent: str, folder: Path) -> None:
    """One session, started without acr; nothing reads what its hooks note."""
    (settings.home() / "hooks.json").unlink(missing_ok=True)
    done = subprocess.run(
        [*COMMANDS[agent].split(), PROMPT],
        cwd=folder,
        env={**os.environ, "PWD": str(folder)},  # opencode goes by it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "hello.txt").exists(), done.stdout + done.stderr


def noted() -> list[dict[str, Any]]:
    """What the hooks have appended to the spool."""
    files = sorted((settings.home() / "spool").glob("*"))
    return [json.loads(line) for f in files for line in f.read_text().splitlines() if line]


def says(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))


def status(capsys: pytest.CaptureFixture[str], agent: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["hooks", "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["agents"]
    return next(one for one in found if one["agent"] == agent)


def assert_opencode_tells_whose_prompt_it_is(events: list[dict[str, Any]]) -> None:
    """What other agents tell by themselves."""
    prompt, stop = events
    assert prompt["prompt"].strip('"') == PROMPT  # `opencode run` quotes it
    assert prompt["model"] == "mock/mock-big"
    assert prompt["turn_id"]
    assert prompt["session_id"] == stop["session_id"]


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_runs_the_installed_hook_and_not_after_uninstall(
    agent: str,
    serve: Serve,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(steps=checks.WRITES)
    trust = ["--trust"] if agent == "codex" else []
    says(monkeypatch, "y\n")
    assert run(["hooks", "install", agent, *trust]) == 0
    go(agent, folder)
    events = noted()
    assert {line["event"] for line in events} == set(FIRED[agent].split())
    assert {line["agent"] for line in events} == {agent}
    if agent == "opencode":
        assert_opencode_tells_whose_prompt_it_is(events)
    found = status(capsys, agent)
    assert (found["installed"], found["enabled"], found["trusted"]) == (True, True, True)
    assert found["notes"] == []
    assert run(["hooks", "uninstall", agent]) == 0
    (folder / "hello.txt").unlink()
    go(agent, folder)
    assert len(noted()) == len(events)


def test_an_untrusted_hook_is_skipped_silently_and_said(
    serve: Serve, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(steps=checks.WRITES)
    assert run(["hooks", "install", "codex"]) == 0
    go("codex", folder)
    assert noted() == []
    found = status(capsys, "codex")
    assert (found["installed"], found["enabled"], found["trusted"]) == (True, True, False)
    assert "9 of 9 are not trusted" in found["notes"][0]
    assert run(["hooks", "doctor"]) == 0
    assert "not trusted" in capsys.readouterr().out


def test_trust_is_written_only_after_a_yes_to_the_commands(
    serve: Serve,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(steps=[Step(message="done")])
    config = Path(os.environ["CODEX_HOME"], "config.toml")
    before = config.read_bytes()
    for answer in ("n\n", ""):
        says(monkeypatch, answer)
        assert run(["hooks", "install", "codex", "--trust"]) == 1
        assert config.read_bytes() == before
    seen = codex_server.ask(folder)
    assert seen is not None
    shown = capsys.readouterr().out
    assert all(hook.command in shown for hook in seen.hooks)
    says(monkeypatch, "y\n")
    assert run(["hooks", "install", "codex", "--trust"]) == 0
    assert status(capsys, "codex")["trusted"] is True
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert config.read_bytes() == before


def test_hooks_in_config_toml_stay_there_and_those_of_others_stay_trusted(
    serve: Serve,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(steps=checks.WRITES)
    config = Path(os.environ["CODEX_HOME"], "config.toml")
    theirs = (
        f'\n[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "command"\ncommand = "touch {folder}/x"\n'
    )
    config.write_text(config.read_text() + theirs)
    before = config.read_bytes()
    says(monkeypatch, "y\n")
    assert run(["hooks", "install", "codex", "--trust"]) == 0
    assert not config.with_name("hooks.json").exists()
    go("codex", folder)
    assert {line["event"] for line in noted()} == set(FIRED["codex"].split())
    assert status(capsys, "codex")["trusted"] is True
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert config.read_bytes() == before


def test_hooks_that_codex_has_turned_off_are_said(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(steps=checks.WRITES)
    says(monkeypatch, "y\n")
    assert run(["hooks", "install", "codex", "--trust"]) == 0
    config = Path(os.environ["CODEX_HOME"], "config.toml")
    config.write_text(
        config.read_text().replace("trusted_hash", "enabled = false\ntrusted_hash", 1)
    )
    found = status(capsys, "codex")
    assert (found["enabled"], found["trusted"]) == (False, True)
    assert "1 of 9 are turned off in Codex" in found["notes"]


def test_a_home_behind_a_link_is_trusted_by_the_name_that_codex_uses(
    serve: Serve,
    agent_home: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(steps=checks.WRITES)
    (agent_home / "link").symlink_to(agent_home / ".codex")
    monkeypatch.setenv("CODEX_HOME", str(agent_home / "link"))
    before = (agent_home / ".codex" / "config.toml").read_bytes()
    says(monkeypatch, "y\n")
    assert run(["hooks", "install", "codex", "--trust"]) == 0
    assert status(capsys, "codex")["trusted"] is True
    go("codex", folder)
    assert noted()
    config = agent_home / ".codex" / "config.toml"
    config.write_bytes(config.read_bytes() + b"# later\n")
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert config.read_bytes() == before + b"# later\n"
