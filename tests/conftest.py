"""Every test has a home of its own; nothing reaches the user's."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import settings

pytest_plugins = ["tests.engines", "tests.judging"]
RUST = {"RUSTUP_HOME": Path.home() / ".rustup", "CARGO_HOME": Path.home() / ".cargo"}
"""Where rustup's programs look for what they stand for: not in the tests' homes."""
SERIAL = {
    "abuse/test_cheats": "verdicts",
    "abuse/test_aimed_cheats": "verdicts",
    "abuse": "sandboxes",
    "hooks/test_spool": "agents",
    "real_agents": "agents",
    "sessions/test_ingest": "verdicts",
    "sessions/test_judge": "verdicts",
    "verifier/sandbox": "sandboxes",
    "verifier/test_languages": "languages",
    "verifier/test_packages": "languages",
    "verifier": "verdicts",
}
"""Where tests are -> what they start: two of a kind at a time would only disturb each other."""


def pytest_configure() -> None:
    """Signals do in the tests' children what they do in a terminal, even below nohup or `&`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what runs after the parallel part, one of a kind at a time."""
    for item in items:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        if kind := next((kind for place, kind in SERIAL.items() if path.startswith(place)), None):
            item.add_marker("serial")
            item.add_marker(pytest.mark.xdist_group(kind))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ACR_HOME and HOME."""
    folder = tmp_path / "acr-home"
    user = tmp_path / "user-home"
    user.mkdir()
    monkeypatch.setenv("ACR_HOME", str(folder))
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("NO_COLOR", "1")
    for name, real in RUST.items():
        if real.is_dir():
            monkeypatch.setenv(name, os.environ.get(name, str(real)))
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert settings.home() == folder
    return folder


@pytest.fixture
def git_repo(tmp_path: Path) -> Callable[..., Path]:
    """Makes a committed git repository from {path: text}."""

    def make(files: dict[str, str], name: str = "repo") -> Path:
        root = tmp_path / name
        root.mkdir(parents=True)
        for path, text in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "start")
        return root

    return make


def git(root: Path, *args: str) -> str:
    """Runs git in `root` with a fixed identity; returns its output."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *args], capture_output=True, text=True, check=True
    )
    return done.stdout
