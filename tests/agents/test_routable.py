"""Where agents send their model calls, and how they are pointed at a gateway for one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from acr.agents import ADAPTERS, Request, Routable, Upstream, get
from acr.agents.claude import Claude
from acr.agents.codex import PLAIN, Codex
from acr.agents.opencode import OpenCode
from acr.nouns import Profile
from tests.agents import fakes

GATEWAY = "http://127.0.0.1:41233/token/openai"


def ask(tmp_path: Path, agent: str, model: str = "m", **fields: Any) -> Request:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    profile = Profile("p", agent, model, "mid")
    return fakes.request(tmp_path, **{"profile": profile, "cwd": work, **fields})


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh homes of the agents."""
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    for name in ("ANTHROPIC_BASE_URL", "OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_three_agents_can_be_pointed_elsewhere() -> None:
    able = {name for name in ADAPTERS if isinstance(get(name), Routable)}
    assert able == {"claude", "codex", "opencode"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", Upstream("openai", "https://api.openai.com/v1")),
        ('openai_base_url = "http://proxy/v1"', Upstream("openai", "http://proxy/v1")),
        (
            'model_provider = "own"\n[model_providers.own]\nbase_url = "http://own/v1"',
            Upstream("own", "http://own/v1"),
        ),
        ('model_provider = "amazon-bedrock"', None),
        ('model_provider = "a.b"\n[model_providers."a.b"]\nbase_url = "http://own"', None),
        ("model_provider = [", Upstream("openai", "https://api.openai.com/v1")),
    ],
)
def test_codex_is_pointed_by_an_option(
    config: str, expected: Upstream | None, tmp_path: Path
) -> None:
    (tmp_path / "CODEX_HOME" / "config.toml").write_text(config)
    assert Codex().upstream(ask(tmp_path, "codex")) == expected
    if expected is None:
        return
    plain = Codex().command(ask(tmp_path, "codex")).argv
    argv = Codex().command(ask(tmp_path, "codex", gateway=GATEWAY)).argv
    own = {"openai": "openai_base_url"}
    key = own.get(expected.name, f"model_providers.{expected.name}.base_url")
    assert set(argv) - set(plain) == {"-c", f'{key}="{GATEWAY}"', PLAIN}


def test_claude_is_pointed_by_its_environment_and_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(tmp_path, "claude", gateway=GATEWAY, budget=0.5)
    assert Claude().upstream(request) == Upstream("anthropic", "https://api.anthropic.com")
    for command in (Claude().command(request), Claude().interactive(request)):
        assert command.env["ANTHROPIC_BASE_URL"] == GATEWAY
        settings = json.loads(command.argv[command.argv.index("--settings") + 1])
        assert settings["env"] == {"ANTHROPIC_BASE_URL": GATEWAY}
        assert "--max-budget-usd" not in command.argv
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://env")
    assert Claude().upstream(request) == Upstream("anthropic", "http://env")
    for folder, url in ((tmp_path / "CLAUDE_CONFIG_DIR", "user"), (request.cwd / ".claude", "own")):
        folder.mkdir(exist_ok=True)
        told = {"env": {"ANTHROPIC_BASE_URL": f"http://{url}"}}
        (folder / "settings.json").write_text(json.dumps(told))
        assert Claude().upstream(request) == Upstream("anthropic", f"http://{url}")
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    assert Claude().upstream(request) is None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("anthropic/m", Upstream("anthropic", "https://api.anthropic.com", "/v1")),
        ("openai/m", Upstream("openai", "https://api.openai.com/v1")),
        ("openrouter/a/m", Upstream("openrouter", "https://openrouter.ai/api/v1")),
        ("own/m", Upstream("own", "http://own//v1")),
        ("secret/m", None),
        ("nobody/m", None),
    ],
)
def test_opencode_is_pointed_by_configuration_for_the_run(
    model: str, expected: Upstream | None, tmp_path: Path
) -> None:
    folder = tmp_path / "XDG_CONFIG_HOME" / "opencode"
    folder.mkdir()
    (folder / "opencode.jsonc").write_text(
        """{ // where "own" is
        "provider": {"own": {"options": {"baseURL": "http://own//v1", /* , } */ }, }, "secret":
        {"options": {"baseURL": "{env:URL}"}}}, }"""
    )
    request = ask(tmp_path, "opencode", model, gateway=GATEWAY)
    assert OpenCode().upstream(request) == expected
    config = json.loads(OpenCode().command(request).env["OPENCODE_CONFIG_CONTENT"])
    name = model.partition("/")[0]
    assert config["provider"] == {name: {"options": {"baseURL": GATEWAY}}}


def test_a_projects_opencode_configuration_wins_and_the_environments_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(tmp_path, "opencode", "openai/m", gateway=GATEWAY)
    own = {"provider": {"openai": {"options": {"baseURL": "http://project/v1"}}}}
    (request.cwd / "opencode.json").write_text(json.dumps(own))
    assert OpenCode().upstream(request) == Upstream("openai", "http://project/v1")
    kept = {"provider": {"openai": {"options": {"apiKey": "k"}, "models": {"m": {}}}}, "theme": "x"}
    monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", json.dumps(kept))
    config = json.loads(OpenCode().command(request).env["OPENCODE_CONFIG_CONTENT"])
    assert config["theme"] == "x"
    assert config["provider"]["openai"] == {
        "options": {"apiKey": "k", "baseURL": GATEWAY},
        "models": {"m": {}},
    }
