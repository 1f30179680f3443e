"""acr hooks: install, uninstall, status, diff and doctor, as they are typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acr import hooksfile
from acr.cli import doctor
from acr.cli.main import run
from acr.installer import AGENTS, command
from acr.installer.events import EVENTS

Capture = pytest.CaptureFixture[str]
THEIRS = '{\n  "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "x"}]}]}\n}'


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which every agent is found, and none answers."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in AGENTS:
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def user() -> Path:
    return Path(os.environ["HOME"])


def files(user: Path) -> dict[str, Path]:
    """Where each agent's hooks go by default."""
    return {
        "codex": user / ".codex" / "hooks.json",
        "claude": user / ".claude" / "settings.json",
        "opencode": user / ".config" / "opencode" / "plugin" / "acr.js",
        "gemini": user / ".gemini" / "settings.json",
        "qwen": user / ".qwen" / "settings.json",
    }


def told(capsys: Capture, *args: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run(["hooks", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_all_agents_get_their_events_and_lose_them_again(user: Path, capsys: Capture) -> None:
    assert run(["hooks", "install"]) == 0
    said = capsys.readouterr().out
    for name, file in files(user).items():
        assert f"✓ {name}: hooks in {file}" in said
        text = file.read_text()
        assert all(event.name in text for event in EVENTS[name])
        assert command.MARKER in text
    assert "trust" in said
    assert run(["hooks", "uninstall"]) == 0
    assert list(user.iterdir()) == []  # folders that acr made are gone as well


def test_all_means_those_that_are_found(user: Path, programs: Path, capsys: Capture) -> None:
    for name in AGENTS:
        if name != "claude":
            (programs / name).unlink()
    assert [c["agent"] for c in told(capsys, "install")["changes"]] == ["claude"]
    assert [c["agent"] for c in told(capsys, "install", "gemini")["changes"]] == ["gemini"]
    (programs / "claude").unlink()
    assert run(["hooks", "install"]) == 1
    assert "no agent is found" in capsys.readouterr().err
    assert {c["agent"] for c in told(capsys, "uninstall")["changes"]} == {"claude", "gemini"}


def test_installing_again_changes_nothing(user: Path, capsys: Capture) -> None:
    assert run(["hooks", "install", "all"]) == 0
    before = {name: file.read_bytes() for name, file in files(user).items()}
    found = told(capsys, "install", "all")
    assert not any(change["changed"] or change["diff"] for change in found["changes"])
    assert {name: file.read_bytes() for name, file in files(user).items()} == before


def test_homes_of_the_agents_are_respected(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, name.lower())  # relative, as a shell may have it
    assert run(["hooks", "install", "all"]) == 0
    assert (tmp_path / "codex_home" / "hooks.json").exists()
    assert (tmp_path / "claude_config_dir" / "settings.json").exists()
    assert (tmp_path / "xdg_config_home" / "opencode" / "plugin" / "acr.js").exists()
    assert sorted(p.name for p in user.iterdir()) == [".gemini", ".qwen"]


@pytest.mark.parametrize("agent", AGENTS)
def test_the_diff_is_one_that_patch_can_apply(
    agent: str, user: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = files(user)[agent]
    if agent != "opencode":
        file.parent.mkdir(parents=True)
        file.write_bytes(THEIRS.replace("\n", "\r\n").encode())
    before = file.read_bytes() if file.exists() else None
    capfdbinary.readouterr()
    assert run(["hooks", "install", agent, "--dry-run"]) == 0
    diff = capfdbinary.readouterr().out
    assert (file.read_bytes() if file.exists() else None) == before
    assert run(["hooks", "install", agent]) == 0
    capfdbinary.readouterr()
    assert run(["hooks", "diff", agent]) == 0
    assert capfdbinary.readouterr().out == diff
    patched = tmp_path / "patched"
    if before is not None:
        patched.write_bytes(before)
    lines = diff.split(b"\n")
    lines[0] = b"--- /dev/null" if before is None else b"--- a/patched"
    lines[1] = b"+++ b/patched"
    subprocess.run(["git", "apply", "-p1", "-"], input=b"\n".join(lines), cwd=tmp_path, check=True)
    assert patched.read_bytes() == file.read_bytes()
    assert run(["hooks", "uninstall", agent, "--dry-run"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"--- ")
    assert file.exists()


def test_a_project_has_files_of_its_own(
    git_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, user: Path, capsys: Capture
) -> None:
    root = git_repo({"sub/a.txt": "a"})
    monkeypatch.chdir(root / "sub")
    found = told(capsys, "install", "all", "--project")
    assert {c["path"] for c in found["changes"]} == {
        str(root / name)
        for name in (
            ".codex/hooks.json",
            ".claude/settings.local.json",
            ".opencode/plugin/acr.js",
            ".gemini/settings.json",
            ".qwen/settings.json",
        )
    }
    assert list(user.iterdir()) == []
    assert run(["hooks", "install", "claude"]) == 0
    notes = next(a for a in told(capsys)["agents"] if a["agent"] == "claude")["notes"]
    assert any("installed twice" in note for note in notes)
    assert run(["hooks", "uninstall"]) == 0
    assert f"still in {root / '.claude' / 'settings.local.json'}" in capsys.readouterr().out
    assert run(["hooks", "install", "claude"]) == 0
    assert run(["hooks", "uninstall", "--project"]) == 0
    assert sorted(p.name for p in root.iterdir()) == [".git", "sub"]
    assert (user / ".claude" / "settings.json").exists()


def test_a_project_link_that_leaves_the_repository_is_refused(
    git_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    root = git_repo({"a.txt": "a"})
    (tmp_path / "mine").mkdir()
    (root / ".gemini").symlink_to(tmp_path / "mine")
    monkeypatch.chdir(root)
    assert run(["hooks", "install", "gemini", "--project"]) == 1
    said = capsys.readouterr().err
    assert "leads out of the repository" in said
    assert said.count("\n") == 1
    assert list((tmp_path / "mine").iterdir()) == []


def test_codex_hooks_go_where_its_hooks_are(user: Path, capsys: Capture) -> None:
    folder = user / ".codex"
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text('[hooks.state."x"]\ntrusted_hash = "y"\n')
    assert told(capsys, "install", "codex")["changes"][0]["path"] == str(folder / "hooks.json")
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert os.listdir(folder) == ["config.toml"]
    theirs = '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ncommand = "x"\n'
    config.write_text(theirs)
    assert told(capsys, "install", "codex")["changes"][0]["path"] == str(config)
    assert os.listdir(folder) == ["config.toml"]
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert config.read_text() == theirs
    (folder / "hooks.json").write_text(THEIRS)
    assert run(["hooks", "install", "codex"]) == 0
    assert "both in" in capsys.readouterr().out
    assert command.MARKER in (folder / "hooks.json").read_text()
    assert config.read_text() == theirs


def test_trust_for_acrs_hooks_goes_with_them(user: Path) -> None:
    """Also where Codex has written it, which nobody told acr of."""
    assert run(["hooks", "install", "codex"]) == 0
    config = user / ".codex" / "config.toml"
    hooks = config.with_name("hooks.json")
    theirs = 'model = "o3"\n\n[hooks.state."/other/hooks.json:stop:0:0"]\ntrusted_hash = "a"\n'
    mine = f'\n[hooks.state."{hooks}:stop:0:0"]\nenabled = true\ntrusted_hash = "b"\n'
    config.write_text(theirs + mine + "\n[later]\n")
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert config.read_text() == theirs + "\n[later]\n"
    assert not hooks.exists()


def test_a_projects_hooks_take_their_own_trust_along_and_no_other(
    git_repo: Callable[..., Path], user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = git_repo({"a.txt": "a"})
    monkeypatch.chdir(root)
    config = user / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text('[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ncommand = "x"\n')
    before = config.read_bytes()
    assert run(["hooks", "install", "codex"]) == 0
    assert run(["hooks", "install", "codex", "--project"]) == 0
    installed = config.read_bytes()
    hooks = root / ".codex" / "hooks.json"
    trust = f'\n[hooks.state."{hooks}:stop:0:0"]\ntrusted_hash = "b"\n'
    config.write_bytes(installed + trust.encode())
    assert run(["hooks", "uninstall", "codex", "--project"]) == 0
    assert not hooks.exists()
    assert config.read_bytes() == installed
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert config.read_bytes() == before


def test_hooks_that_codex_will_ask_about_again_are_said(user: Path, capsys: Capture) -> None:
    file = files(user)["codex"]
    file.parent.mkdir()
    file.write_text(THEIRS)
    assert run(["hooks", "install", "codex"]) == 0
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert "move up" not in capsys.readouterr().out
    assert run(["hooks", "install", "codex"]) == 0
    data = json.loads(file.read_text())
    data["hooks"]["Stop"].append(data["hooks"]["Stop"][0])
    file.write_text(json.dumps(data))
    assert run(["hooks", "uninstall", "codex"]) == 0
    assert "codex: 1 hooks of others move up" in capsys.readouterr().out


def test_what_codex_thinks_is_unknown_where_it_does_not_answer(capsys: Capture) -> None:
    assert run(["hooks", "install", "codex"]) == 0
    (found,) = [a for a in told(capsys)["agents"] if a["agent"] == "codex"]
    assert (found["installed"], found["enabled"], found["trusted"]) == (True, None, None)
    assert run(["hooks"]) == 0
    assert "unknown" in capsys.readouterr().out
    assert run(["hooks", "install", "codex", "--trust"]) == 1
    assert "could not be asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("agent", "off"),
    [
        ("claude", {"disableAllHooks": True}),
        ("qwen", {"disableAllHooks": True}),
        ("gemini", {"hooksConfig": {"enabled": False}}),
    ],
)
def test_an_agent_that_has_hooks_turned_off_is_said(
    agent: str, off: dict[str, Any], user: Path, capsys: Capture
) -> None:
    file = files(user)[agent]
    file.parent.mkdir()
    file.write_text(json.dumps(off))
    assert run(["hooks", "install", agent]) == 0
    (found,) = [a for a in told(capsys)["agents"] if a["agent"] == agent]
    assert (found["installed"], found["enabled"], found["trusted"]) == (True, False, True)
    assert "turns hooks off" in found["notes"][0]


def test_status_is_the_default_and_needs_nothing(home: Path, capsys: Capture) -> None:
    found = told(capsys)
    assert [a["agent"] for a in found["agents"]] == list(AGENTS)
    assert not any(a["installed"] for a in found["agents"])
    assert run(["hooks"]) == 0
    assert run(["hooks", "diff"]) == 0
    assert run(["hooks", "uninstall"]) == 0
    assert not (home / "hooks").exists()


def test_one_file_that_cannot_be_read_stops_no_other(user: Path, capsys: Capture) -> None:
    broken = files(user)["claude"]
    broken.parent.mkdir()
    broken.write_text('{\n  "a": 1,\n}')
    assert run(["hooks", "install", "all"]) == 1
    said = capsys.readouterr().err
    assert f"{broken}:3: " in said
    assert said.count("\n") == 1
    assert broken.read_text() == '{\n  "a": 1,\n}'
    assert files(user)["gemini"].exists()
    assert told(capsys, "uninstall", code=1)["refused"]
    assert not files(user)["gemini"].exists()


@pytest.mark.parametrize(
    "args", [["install", "cursor"], ["uninstall", "--project"], ["install", "x"]]
)
def test_a_wrong_command_line_is_refused(args: list[str], capsys: Capture) -> None:
    assert run(["hooks", *args]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("args", [["claude", "--trust"], ["--trust", "--dry-run"]])
def test_trust_is_codexs_alone(args: list[str], capsys: Capture) -> None:
    assert run(["hooks", "install", *args]) == 2
    assert "--trust" in capsys.readouterr().err


def test_the_doctor_runs_each_hook_apart(home: Path, capsys: Capture) -> None:
    assert run(["hooks", "install"]) == 0
    found = told(capsys, "doctor")
    tried = [c for c in found["checks"] if "noted a sample" in c["detail"]]
    assert [c["name"] for c in tried] == [f"hooks {name}" for name in AGENTS]
    assert not (home / "spool").exists()


def test_the_doctor_finds_what_has_gone(home: Path, user: Path, capsys: Capture) -> None:
    assert run(["hooks", "install", "claude"]) == 0
    (home / "hooks" / "acr_hook.py").unlink()
    found = told(capsys, "doctor", code=1)
    failed = [c["detail"] for c in found["checks"] if c["status"] == "failure"]
    assert any("gone: " in detail and "acr_hook.py" in detail for detail in failed)
    assert any("noted nothing" in detail for detail in failed)
    assert run(["hooks", "install", "claude"]) == 0
    assert told(capsys, "doctor")["ok"]
    file = files(user)["claude"]
    file.write_text(file.read_text().replace(str(command.python()), "/old/python"))
    found = told(capsys, "doctor", code=1)
    assert any("/old/python" in check["detail"] for check in found["checks"])
    assert run(["hooks", "install", "claude"]) == 0
    assert told(capsys, "doctor")["ok"]


def test_a_hook_whose_script_or_python_is_gone_fails_nothing(home: Path, user: Path) -> None:
    """Exit code 2, which is Python's for a missing script, would block prompts."""
    assert run(["hooks", "install", "claude"]) == 0
    (home / "hooks" / "acr_hook.py").unlink()
    data = json.loads(files(user)["claude"].read_text())
    line = data["hooks"]["UserPromptSubmit"][0]["hooks"][0]["command"]
    for broken in (line, line.replace(str(command.python()), "/old/python")):
        done = subprocess.run(["sh", "-c", broken], input=b"{}", capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"")


def test_an_upgrade_changes_no_command(
    home: Path, tmp_path: Path, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codex would take its trust back."""
    assert run(["hooks", "install", "codex"]) == 0
    before = files(user)["codex"].read_bytes()
    moved = tmp_path / "moved"
    shutil.copytree(Path(__file__).parents[2] / "hooks", moved)
    monkeypatch.setattr("acr.settings.shipped", lambda _: moved)
    assert run(["hooks", "install", "codex"]) == 0
    assert files(user)["codex"].read_bytes() == before
    assert (home / "hooks" / "acr_hook.py").resolve().parent == moved


def test_hooks_are_told_which_python_has_acr(home: Path, capsys: Capture) -> None:
    home.mkdir()
    (home / "hooks.json").write_text('{"advise": true}')
    assert run(["hooks", "install", "claude"]) == 0
    told = hooksfile.load()
    assert told.advise
    assert told.python == sys.executable
    (home / "hooks.json").write_text("{")
    assert run(["hooks", "install", "claude"]) == 1
    assert "hooks.json" in capsys.readouterr().err
    assert (home / "hooks.json").read_text() == "{"


def test_acrs_own_records_are_never_replaced_by_nothing(
    home: Path, user: Path, capsys: Capture
) -> None:
    assert run(["hooks", "install", "claude"]) == 0
    records = home / "hooks" / "installed.json"
    for text in ("{", "[]", '{"files": {"x": {}}}'):
        records.write_text(text)
        assert run(["hooks", "uninstall", "claude"]) == 1
        assert capsys.readouterr().err.count("\n") == 1
        assert records.read_text() == text
    records.unlink()
    assert run(["hooks", "uninstall", "claude"]) == 0
    assert files(user)["claude"].read_text().split() == ["{}"]


def test_a_foreign_plugin_of_that_name_is_left(user: Path, capsys: Capture) -> None:
    plugin = files(user)["opencode"]
    plugin.parent.mkdir(parents=True)
    plugin.write_text("export const Mine = 1\n")
    assert run(["hooks", "install", "opencode"]) == 1
    assert "not acr's" in capsys.readouterr().err
    assert run(["hooks", "uninstall", "opencode"]) == 0
    assert plugin.read_text() == "export const Mine = 1\n"


def test_what_is_written_around_the_plugin_stays(user: Path) -> None:
    assert run(["hooks", "install", "opencode"]) == 0
    plugin = files(user)["opencode"]
    plugin.write_text("// mine\n" + plugin.read_text() + "// too\n")
    assert run(["hooks", "install", "opencode"]) == 0
    assert run(["hooks", "uninstall", "opencode"]) == 0
    assert plugin.read_text() == "// mine\n// too\n"


def test_every_agent_has_events_with_names_and_limits() -> None:
    assert EVENTS.keys() == AGENTS.keys()
    for name, events in EVENTS.items():
        assert len({event.name for event in events}) == len(events)
        limit = 5000 if name in ("gemini", "qwen") else 5
        assert all(0 < event.timeout <= limit for event in events)


def test_acr_doctor_says_what_is_installed_and_runs_nothing(home: Path) -> None:
    checks = [check for check in doctor.CHECKS if "agents_hooks" in check.__name__]
    (nothing,) = doctor.examine(checks)
    assert (nothing.status, "none installed" in nothing.detail) == ("ok", True)
    assert run(["hooks", "install", "gemini"]) == 0
    (found,) = doctor.examine(checks)
    assert (found.name, found.status) == ("hooks gemini", "ok")
    (home / "hooks" / "acr_hook.py").unlink()
    assert [f.status for f in doctor.examine(checks)] == ["ok", "failure"]
