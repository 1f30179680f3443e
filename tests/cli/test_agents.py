"""acr agents: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr.cli.main import run

SECRET = "sk-this-must-not-be-shown"


@pytest.fixture(autouse=True)
def only_codex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH with a program called codex and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "codex"
    program.write_text("#!/bin/sh\necho codex-cli 9.8.7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    for name in ("CODEX_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    assert run(["agents", "--json"]) == 0
    return {row["agent"]: row for row in json.loads(capsys.readouterr().out)}


def test_a_found_agent_tells_path_version_and_profiles(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = rows(capsys)["codex"]
    assert (row["found"], row["version"]) == (True, "9.8.7")
    assert str(row["path"]).endswith("/bin/codex")
    assert "codex-sol" in str(row["profiles"])


def test_a_missing_agent_tells_how_to_install_it(capsys: pytest.CaptureFixture[str]) -> None:
    row = rows(capsys)["claude"]
    assert not row["found"]
    assert "npm install -g @anthropic-ai/claude-code" in str(row["hint"])


def test_the_login_is_told_by_name_and_never_by_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "codex login" in str(rows(capsys)["codex"]["hint"])
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert run(["agents", "--json"]) == 0
    text = capsys.readouterr().out
    assert "$OPENAI_API_KEY" in text
    assert SECRET not in text


def test_the_list_is_the_default_and_hints_can_be_copied(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["agents"]) == 0
    default = capsys.readouterr().out
    assert "9.8.7" in default
    assert "opencode: install it with `npm install -g opencode-ai`\n" in default
    assert run(["agents", "list"]) == 0
    assert capsys.readouterr().out == default
