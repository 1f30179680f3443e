"""Which host folders a test command gets to see."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from acr.nouns import TestCommand
from acr.verifier.sandbox.toolchain import resolve


def make_program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    return root


def command(program: str, kind: str = "pytest") -> TestCommand:
    return TestCommand((program, "-m", "pytest"), kind, "test")


def test_a_virtual_environment_brings_the_python_behind_it(tmp_path: Path) -> None:
    base = make_program(tmp_path / "pythons" / "3.13" / "bin" / "python3")
    venv = tmp_path / "envs" / "one"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(base)
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    root = tmp_path / "repo"
    root.mkdir()
    found = resolve(command(str(venv / "bin" / "python")), root)
    assert {venv, base.parent.parent} <= set(found.readonly)
    assert found.env["PATH"].startswith(str(venv / "bin"))
    assert found.env["VIRTUAL_ENV"] == str(venv)


def test_a_virtual_environment_in_the_repository_is_in_the_copy_already(tmp_path: Path) -> None:
    base = make_program(tmp_path / "pythons" / "3.13" / "bin" / "python3")
    root = tmp_path / "repo"
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(base)
    found = resolve(command(str(root / ".venv" / "bin" / "python")), root)
    assert base.parent.parent in found.readonly
    assert not any(folder.is_relative_to(root) for folder in found.readonly)


def test_a_link_in_the_repository_makes_no_private_folder_visible(tmp_path: Path) -> None:
    keys = Path("~/.ssh").expanduser()
    keys.mkdir()
    make_program(keys / "id_rsa")
    root = tmp_path / "repo"
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(keys / "id_rsa")
    (root / ".venv" / "pyvenv.cfg").write_text(f"home = {keys}\n")
    found = resolve(command(str(root / ".venv" / "bin" / "python")), root)
    assert not any(keys.is_relative_to(folder) for folder in found.readonly)


def test_a_program_in_the_personal_bin_shows_that_folder_and_no_more(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Path("~/.local").expanduser()
    make_program(local / "bin" / "runner")
    monkeypatch.setenv("PATH", f"{local / 'bin'}:/usr/bin:/bin")
    found = resolve(command("runner"), repo)
    assert local / "bin" in found.readonly
    assert local not in found.readonly


def test_a_version_managers_shim_is_asked_for_the_program_behind_it(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = make_program(tmp_path / "versions" / "3.13" / "bin" / "python3")
    make_program(tmp_path / "shims" / "python3", f"#!/bin/sh\necho {real}\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:/usr/bin:/bin")
    found = resolve(command("python3"), repo)
    assert real.parent.parent in found.readonly
    assert found.env["PATH"].startswith(str(real.parent))


def test_only_what_the_kind_of_command_needs_is_shown(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARGO_HOME", raising=False)
    monkeypatch.delenv("RUSTUP_HOME", raising=False)
    home = Path("~").expanduser()
    for folder in (".cargo/registry", ".cargo/bin", "go/pkg/mod", ".m2/repository"):
        (home / folder).mkdir(parents=True)
    (home / ".cargo" / "credentials.toml").write_text("token")
    assert not any("cargo" in str(p) for p in resolve(command("pytest"), repo).readonly)
    found = resolve(TestCommand(("cargo", "test"), "cargo", "t"), repo)
    assert home / ".cargo" / "registry" in found.readonly
    assert home / ".cargo" not in found.readonly
    assert found.env["CARGO_NET_OFFLINE"] == "true"
    found = resolve(TestCommand(("go", "test"), "go", "t"), repo)
    assert found.env["GOMODCACHE"] == str(home / "go/pkg/mod")
    found = resolve(TestCommand(("mvn", "test"), "maven", "t"), repo)
    assert home / ".m2" / "repository" in found.readonly


def test_no_secret_of_the_environment_is_passed_on(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    env = resolve(command(sys.executable), repo).env
    assert "ANTHROPIC_API_KEY" not in env
    assert "PYTHONPATH" not in env
