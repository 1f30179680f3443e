"""The command line finds the command that is meant and turns errors into exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acr import __version__
from acr.cli.main import COMMANDS, run


def acr(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "acr", *args],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_version_is_one_line() -> None:
    assert acr("--version").stdout == f"acr {__version__}\n"


def test_help_names_every_command_with_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, purpose) in COMMANDS.items():
        assert name in shown
        assert purpose.split()[0] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert f"acr {name}" in capsys.readouterr().out


def test_a_word_that_nearly_is_a_command_is_refused_as_a_prompt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["stast"]) == 2
    assert "did you mean `acr stats`" in capsys.readouterr().err


def test_a_wrong_option_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats", "--nope"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--nope" in said
    assert "acr stats --help" in said


def test_without_anything_the_help_is_all_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    said = capsys.readouterr()
    assert "Usage: acr" in said.out
    assert said.err == ""


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; acr() {{ {sys.executable} -m acr "$@"; }}; {line}'],
        env={**os.environ, "PYTHONUNBUFFERED": "", **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["agents", "agents --json", "--help", "completion bash"])
def test_output_that_cannot_be_written_is_one_line(command: str) -> None:
    done = shell(f"acr {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "acr: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["agents", "agents --json", "--help", "completion bash"])
def test_a_reader_that_leaves_early_is_no_error(command: str) -> None:
    done = shell(f"acr {command} | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    done = shell(f"mkdir {tmp_path}/x && cd {tmp_path}/x && rmdir ../x && acr context")
    assert done.returncode == 1
    assert done.stderr == "acr: the current folder is gone; change to one that exists\n"


def test_a_path_that_is_not_unicode_is_named_all_the_same() -> None:
    done = shell("acr -f $'/no/\\xff.md'")
    assert done.returncode == 2
    assert done.stderr.startswith("acr: --file /no/\\udcff.md: No such file")


@pytest.mark.parametrize("args", ["", "--json"])
def test_any_locale_gets_utf_8(args: str) -> None:
    done = shell(f"acr agents {args}", PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_wrong_choice_is_answered_with_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--sandbox", "foo", "fix it"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("acr: Invalid value for '--sandbox': 'foo' is not one of 'auto', ")


def test_a_broken_config_is_one_line_that_names_file_and_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[agents]\nautonomy = 3\n")
    assert run(["run", "--dry-run", "x"]) == 1
    said = capsys.readouterr().err
    assert f"{home / 'config.toml'}:2: agents.autonomy must be" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run", "--cwd", "/no/such", "x"], "no such folder"),
        (["run", "--dimension", "bugfixing", "x"], "did you mean bug_fixing?"),
        (["run", ""], "empty"),
        (["run", "--autonomy", "full", "x"], "--yes"),
        (["run", "--profile", "nope", "x"], "nope"),
        (["continue", ""], "empty"),
    ],
)
def test_a_wrong_command_line_is_said_before_anything_runs(args: list[str], says: str) -> None:
    done = acr(*args)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_completion_of_a_command_name_imports_no_command() -> None:
    done = acr(COMP_WORDS="acr st", COMP_CWORD="1", _ACR_COMPLETE="complete_bash")
    assert done.stdout.split() == ["stats", "status"]


def test_sigterm_ends_with_its_own_exit_code() -> None:
    code = (
        "import os, signal, acr.cli.main as m\n"
        "m._dispatch = lambda argv: os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise SystemExit(m.run(['stats']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 143


def test_a_bug_is_one_line_and_a_log_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "memory.db").mkdir()
    assert run(["stats"]) == 1
    assert str(home / "memory.db") in capsys.readouterr().err
