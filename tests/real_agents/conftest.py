"""The real agent binaries, each with a fresh home that points at the loopback model server."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acr.agents import Request
from acr.nouns import Event, Profile
from tests.model_server import ModelServer

INSTALL = "./install.sh --test"
Serve = Callable[..., ModelServer]
Ask = Callable[..., Request]

PRICES = {"input": 2, "output": 8, "cache_read": 0.2, "cache_write": 2.5}
"""USD per million tokens of opencode's model `mock/priced`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder drives real binaries."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("real_agents")


@pytest.fixture
def binaries(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the installed agents, first on PATH."""
    root = os.environ.get("ACR_TEST_AGENTS", "")
    folder = Path(root) / "node_modules" / ".bin"
    if not root or not folder.is_dir():
        reason = f"ACR_TEST_AGENTS names no installed agents; `{INSTALL}` installs them"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def agent_home(binaries: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HOME of the agents. Not below /tmp, where codex cannot set up its sandbox."""
    folder = Path(tempfile.mkdtemp(prefix="acr-agents-", dir="/var/tmp"))
    monkeypatch.setenv("HOME", str(folder))
    for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "CLAUDE", "OPENCODE"))]:
        monkeypatch.delenv(name)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def serve(agent_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a model server with a script, and points every agent at it."""
    running: list[ModelServer] = []

    def start(**script: Any) -> ModelServer:
        server = ModelServer(**script).start()
        running.append(server)
        _codex(agent_home, server.url, monkeypatch)
        _claude(agent_home, server.url, monkeypatch)
        _opencode(agent_home, server.url, monkeypatch)
        _gemini(agent_home, server.url, monkeypatch)
        _qwen(agent_home)
        monkeypatch.setenv("OPENAI_API_KEY", "dummy")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}/v1")
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def folder(agent_home: Path) -> Path:
    """Where the agent works; holds nothing."""
    work = agent_home / "work"
    work.mkdir()
    return work


@pytest.fixture
def ask(folder: Path, tmp_path: Path) -> Ask:
    """Makes a request to work in `folder`."""

    def make(profile: Profile, prompt: str = "Say hi in hello.txt", **fields: Any) -> Request:
        name = secrets.token_hex(5)  # processes are told by it, in other tests as well
        defaults: dict[str, Any] = {
            "attempt": name,
            "task": "task",
            "decision": "decision",
            "cwd": folder,
            "autonomy": "edit",
            "timeout": 120.0,
            "run_dir": tmp_path / name,
        }
        return Request(prompt=prompt, profile=profile, **{**defaults, **fields})

    return make


def quiet(_: Event) -> None:
    """Progress that nobody watches."""


def _codex(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(
        f"""
model_provider = "mock"
[model_providers.mock]
name = "Mock"
base_url = "{url}/v1"
env_key = "MOCK_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
    )
    monkeypatch.setenv("CODEX_HOME", str(folder))
    monkeypatch.setenv("MOCK_KEY", "dummy")


def _claude(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / ".claude"))
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "dummy")
    monkeypatch.setenv("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
    monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "0")
    monkeypatch.setenv("DISABLE_AUTOUPDATER", "1")


def _opencode(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "$schema": "https://opencode.ai/config.json",  # opencode would add it
        "provider": {
            "mock": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Mock",
                "options": {"baseURL": f"{url}/v1", "apiKey": "dummy"},
                "models": {
                    "priced": {"reasoning": True, "cost": PRICES},
                    "mock-big": {},
                    "mock-small": {},
                },
            }
        },
        "autoupdate": False,
        "share": "disabled",
    }
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "opencode.json").write_text(json.dumps(config))
    monkeypatch.setenv("OPENCODE_DISABLE_MODELS_FETCH", "1")


def _gemini(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    folder = home / ".gemini"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings))
    monkeypatch.setenv("GEMINI_API_KEY", "dummy")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", url)


def _qwen(home: Path) -> None:
    folder = home / ".qwen"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(
        json.dumps({"security": {"auth": {"selectedType": "openai"}}})
    )
