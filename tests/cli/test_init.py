"""acr init finds installed agents and writes the first config.toml, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr import settings
from acr.cli.main import run


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without agents; programs can be put there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put(folder: Path, name: str) -> None:
    program = folder / name
    program.write_text("#!/bin/sh\necho 1.2.3\n")
    program.chmod(0o755)


def test_without_agents_it_says_how_to_install_one_and_writes_nothing(
    path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--yes"]) == 5
    said = capsys.readouterr()
    assert "npm install -g @openai/codex" in said.out
    assert "no coding agent is installed" in said.err
    assert not (home / "config.toml").exists()


def test_the_pool_is_what_is_installed(
    path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(path, "codex")
    put(path, "claude")
    assert run(["init", "--yes"]) == 0
    assert settings.load().pool.agents == ("claude", "codex")
    assert f"written: {home / 'config.toml'}" in capsys.readouterr().out
    assert run(["init", "--yes"]) == 0
    assert f"{home / 'config.toml'} allows them already" in capsys.readouterr().out


def test_a_config_that_is_there_is_left_as_it_is(
    path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(path, "codex")
    home.mkdir()
    (home / "config.toml").write_text("# mine\n")
    assert run(["init", "--yes"]) == 0
    assert (home / "config.toml").read_text() == "# mine\n"
    assert 'agents = ["codex"]' in capsys.readouterr().out


def test_json_tells_agents_and_pool(
    path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(path, "opencode")
    assert run(["init", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pool"] == ["opencode"]
    assert told["written"] is True
    assert told["agents"]["codex"]["found"] is False
