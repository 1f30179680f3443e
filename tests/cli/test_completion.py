"""The completion scripts, run by the shells themselves."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from acr.cli.completion import SHELLS, Shell
from acr.cli.main import COMMANDS, run

PROGRAMS = {
    "bash": "complete_acr() { COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1));"
    ' _acr_completion acr; printf "%%s\\n" "${COMPREPLY[@]}"; }; complete_acr',
    "zsh": "_arguments() { print -r -- $1 }; words=(%s); CURRENT=$#words; _acr_completion",
    "fish": 'complete -C "%s"',
}
"""What completes a line in each shell once the script is read."""
START = {"bash": ("--norc", "-c"), "zsh": ("-f", "-c"), "fish": ("--no-config", "-c")}


def completed(shell: str, line: str) -> str:
    """What `shell` offers for `line`."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    folder = str(Path(sys.executable).parent)
    read = {
        "bash": 'eval "$(acr completion bash)"; ',
        "zsh": 'compdef() { : }; eval "$(acr completion zsh)"; ',
        "fish": "acr completion fish | source; ",
    }[shell]
    done = subprocess.run(
        [shell, *START[shell], read + PROGRAMS[shell] % line],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_names_of_commands_complete(shell: Shell) -> None:
    assert "stats" in completed(shell, "acr sta")
    assert "runs" not in completed(shell, "acr sta")


@pytest.mark.parametrize("shell", SHELLS)
def test_subcommands_and_settings_complete(shell: Shell) -> None:
    assert "show" in completed(shell, "acr runs sh")
    assert "agents.timeout" in completed(shell, "acr config set agents.t")


@pytest.mark.parametrize("shell", SHELLS)
def test_profiles_agents_and_kinds_complete_with_or_without_the_word_run(shell: Shell) -> None:
    assert "codex-sol-high" in completed(shell, "acr run --profile codex-so")
    assert "codex-sol-high" in completed(shell, "acr --profile codex-so")
    assert "codex-sol-high" in completed(shell, "acr profiles show codex-so")
    assert "opencode" in completed(shell, "acr route --agent o")
    assert "bug_fixing" in completed(shell, "acr --dimension bug")
    assert "--max-tries" in completed(shell, "acr --max")


def test_names_complete_without_the_commands_being_imported() -> None:
    code = (
        "import os, sys\n"
        "os.environ.update(COMP_WORDS='acr r', COMP_CWORD='1', _ACR_COMPLETE='complete_bash')\n"
        "from acr.cli.main import run\n"
        "try:\n    run([])\n"
        "finally:\n    print([m for m in sys.modules if m.startswith('acr.') or m == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *names, modules = done.stdout.splitlines()
    assert names == [name for name in COMMANDS if name.startswith("r")]
    assert modules == "['acr.cli', 'acr.errors', 'acr.cli.main']"


@pytest.mark.parametrize("shell", SHELLS)
def test_install_writes_one_file_of_its_own(
    shell: Shell, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = tmp_path / "user-home"
    start_up = user / f".{shell}rc"
    start_up.write_text("# mine\n")
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for _ in range(2):
        assert run(["completion", shell, "--install"]) == 0
    (written,) = (p for p in user.rglob("*acr*") if p.is_file())
    assert written.read_text() == script
    assert str(written) in capsys.readouterr().out
    assert start_up.read_text() == "# mine\n"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert not home.exists()


def test_the_shell_of_the_login_is_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert run(["completion"]) == 0
    assert capsys.readouterr().out.startswith("complete --command acr")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert run(["completion"]) == 2
    assert "bash|zsh|fish" in capsys.readouterr().err
