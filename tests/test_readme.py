"""README.md is true: its commands run, its tables are complete, its picture is a real one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from acr.cli.demo import BROKEN, RIGHT, TESTS
from acr.cli.main import COMMANDS
from tests import readme
from tests.packaging import ROOT

FAKE_CODEX = """#!{python}
# A fake codex: answers --version, and mends basket.py as the real one would report it.
import json, sys
if "--version" in sys.argv:
    print("codex-cli 0.0-fake")
    raise SystemExit
sys.stdin.read()
open("basket.py", "w").write({right!r})
said = {{"type": "agent_message", "text": "Every price counts."}}
usage = {{"input_tokens": 3200, "cached_input_tokens": 1500, "output_tokens": 60}}
for event in (
    {{"type": "thread.started", "thread_id": "01a2"}},
    {{"type": "turn.started"}},
    {{"type": "item.completed", "item": said}},
    {{"type": "turn.completed", "usage": usage}},
):
    print(json.dumps(event))
"""
ONLY_INSTALLED_BY_OTHERS = ("./install.sh",)
"""Commands that tests/test_install.py runs: they would install, or run these tests."""


def _console_blocks() -> list[list[str]]:
    """Commands of each console block, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", readme.README.read_text(), re.DOTALL | re.M)
    return [[line[2:] for line in b.splitlines() if line.startswith("$ ")] for b in blocks]


@pytest.fixture
def shell(
    git_repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str]], subprocess.CompletedProcess[str]]:
    """Runs commands in a repository with a failing test, on a machine with a fake codex."""
    root = git_repo({"basket.py": BROKEN, "test_basket.py": TESTS})
    programs = tmp_path / "programs"
    programs.mkdir()
    codex = programs / "codex"
    codex.write_text(FAKE_CODEX.format(python=sys.executable, right=RIGHT))
    codex.chmod(0o755)
    system = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
    path = (str(programs), str(Path(sys.executable).parent), *system)
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    monkeypatch.setenv("OPENAI_API_KEY", "dummy")
    (Path(os.environ["HOME"]) / ".codex").mkdir()

    def run(commands: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_every_command_works_as_it_stands(
    shell: Callable[[list[str]], subprocess.CompletedProcess[str]],
) -> None:
    for commands in _console_blocks():
        ours = [c for c in commands if not c.startswith(ONLY_INSTALLED_BY_OTHERS)]
        done = shell(["set -x", *ours])
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_commands_of_install_sh_use_options_that_it_has() -> None:
    text = readme.README.read_text()
    asked = subprocess.check_output([ROOT / "install.sh", "--help"], text=True)
    options = set(re.findall(r"--[a-z-]+", asked))
    used = re.findall(r"\./install\.sh((?: --[a-z-]+)*)", text)
    assert {option for words in used for option in shlex.split(words)} <= options


def test_every_command_is_in_the_table() -> None:
    assert readme.block("commands") == readme.commands()


def test_the_picture_of_stats_is_what_stats_shows() -> None:
    assert readme.block("stats") == readme.stats()


def test_every_setting_is_in_the_table() -> None:
    assert readme.block("settings") == readme.settings_table()


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for sub, below in getattr(command, "commands", {}).items():
        yield from _leaves(below, f"{name} {sub}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    where, purpose = COMMANDS[name]
    module, _, attribute = where.partition(":")
    assert purpose.endswith(".")
    for command, found in _leaves(get_command(getattr(import_module(module), attribute)), name):
        assert found.help or command == name, f"acr {command} has no help"
        silent = [p.name for p in found.params if not getattr(p, "help", None) and p.name != "help"]
        assert not silent, f"acr {command}: {silent} have no help"


def test_the_picture_is_a_run_that_fails_escalates_passes_and_is_remembered() -> None:
    picture = readme.block("demo")
    steps = (
        "$ acr demo",
        "no model is called",
        '$ acr "fix the failing test"',
        "fail",
        "pass",
        "$ acr why",
        "$ acr stats",
        "No model was called",
    )
    places = [picture.find(step) for step in steps]
    assert places == sorted(places), dict(zip(steps, places, strict=True))
    assert min(places) > 0


def test_every_message_that_is_explained_exists() -> None:
    table = readme.README.read_text().partition("| message | what to do |")[2].partition("## ")[0]
    told = [
        m for row in table.splitlines() if row for m in re.findall("`(.*?)`", row.split("|")[1])
    ]
    sources = (*(ROOT / "acr").rglob("*.py"), ROOT / "install.sh")
    text = "\n".join(path.read_text() for path in sources)
    assert told
    assert not [message for message in told if message not in text]


def test_every_exit_code_is_listed() -> None:
    listed = re.findall(r"^\| (\d+) \| ", readme.README.read_text(), re.M)
    assert listed == ["0", "1", "2", "3", "4", "5", "130"]


def test_classifying_leaves_no_telemetry_behind(
    shell: Callable[[list[str]], subprocess.CompletedProcess[str]],
) -> None:
    done = shell(['acr classify "explain this function"'])
    assert done.returncode == 0, done.stderr
    queues = list(Path(os.environ["HOME"]).rglob("onnxruntime.db"))
    assert not queues, "ORT_DISABLE_TELEMETRY=1 must be set before onnxruntime is imported"
