"""Settings are shown with where they come from; a change keeps every other byte."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr import settings
from acr.cli.config import Leaf, leaves
from acr.cli.main import run
from acr.cli.toml import with_value
from acr.errors import SettingsError

COMMENTED = """\
# mine
[agents]
  timeout=60   # short
autonomy = 'edit'

[pool]  # who may
agents = ["codex"] # one

[[hooks.post_run]]
command = ["lint"]

[repositories."/a b".test]
"""


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir()
    return home / "config.toml"


def test_path_is_printed_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{home / 'config.toml'}\n"
    assert not home.exists()


def test_show_says_where_each_setting_comes_from(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[agents]\ntimeout = 60\n")
    assert run(["config", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["agents.timeout"] == {"value": 60.0, "source": "config.toml"}
    assert told["settings"]["agents.autonomy"] == {"value": "edit", "source": "default"}
    assert run(["config"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "agents.timeout 60 config.toml" in lines
    assert "budget.per_run none default" in lines


def test_every_setting_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config"]) == 0
    shown = capsys.readouterr().out
    for leaf in leaves(settings.Settings()):
        assert leaf.name in shown


def test_get_prints_the_value_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[pool]\nagents = ["codex", "claude"]\n')
    assert run(["config", "get", "pool.agents"]) == 0
    assert capsys.readouterr().out == "codex\nclaude\n"
    assert run(["config", "get", "agents.autonomy"]) == 0
    assert capsys.readouterr().out == "edit\n"
    assert run(["config", "get", "agents.timeout", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "key": "agents.timeout",
        "value": 1800.0,
        "source": "default",
    }


def test_set_makes_a_private_file_on_first_use(home: Path) -> None:
    assert run(["config", "set", "agents.autonomy", "ask"]) == 0
    assert (home / "config.toml").read_text() == '[agents]\nautonomy = "ask"\n'
    assert stat.S_IMODE((home / "config.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("before", "key", "values", "after"),
    [
        ("[agents]\ntimeout = 1", "agents.timeout", ["2"], "[agents]\ntimeout = 2"),
        ("agents.timeout=1 # s\n", "agents.timeout", ["2.5"], "agents.timeout=2.5 # s\n"),
        ("[pool]\n", "pool.agents", ["a", "b"], '[pool]\nagents = ["a", "b"]\n'),
        ('[pool]\nagents=["a"]#x\n', "pool.agents", [], "[pool]\nagents=[]#x\n"),
        ('[pool]\nagents = ["a]"]\n', "pool.agents", ["b"], '[pool]\nagents = ["b"]\n'),
        (
            "[agents]\r\ntimeout = 1\r\n\r\n[budget]\r\n",
            "agents.max_tries",
            ["2"],
            "[agents]\r\ntimeout = 1\r\nmax_tries = 2\r\n\r\n[budget]\r\n",
        ),
        (
            "[agents]\ntimeout = 1",
            "budget.per_run",
            ["0.5"],
            "[agents]\ntimeout = 1\n\n[budget]\nper_run = 0.5\n",
        ),
        (
            '[verifier."limits"]\nwall = 1 # "x"\n',
            "verifier.limits.wall",
            ["5"],
            '[verifier."limits"]\nwall = 5 # "x"\n',
        ),
        (
            "[orchestrator]\nepsilon_cost = -0.1\n",
            "orchestrator.epsilon_cost",
            ["-0.3"],
            "[orchestrator]\nepsilon_cost = -0.3\n",
        ),
        (
            "",
            'repositories."/a.b".test',
            ['make "x"'],
            '[repositories."/a.b"]\ntest = "make \\"x\\""\n',
        ),
    ],
)
def test_set_changes_one_value_and_no_other_byte(
    before: str, key: str, values: list[str], after: str, file: Path
) -> None:
    file.write_bytes(before.encode())
    assert run(["config", "set", key, *values]) == 0
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("agents = { timeout = 1 }\n", "agents.timeout", "2"),
        ("agents = { timeout = 1 }\n", "agents.max_tries", "2"),
        ("agents.timeout = 1\n", "agents.max_tries", "2"),
        ('[pool]\nagents = [\n "a", # x\n]\n', "pool.agents", "b"),
        ('[verifier]\nimage = """\n[agents]\n"""\n', "agents.timeout", "2"),
        ('[verifier]\nimage = """\nruntime = 1\n"""\n', "verifier.runtime", "x"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused_and_left(
    text: str, key: str, value: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert run(["config", "set", key, value]) == 1
    said = capsys.readouterr().err
    assert "acr config edit" in said
    assert said.count("\n") == 1
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["agents.autonomy", "x"], "one of ask, edit, full"),
        (["agents.timout", "1"], "did you mean agents.timeout?"),
        (["agents.timeout", "soon"], "must be a number"),
        (["agents.timeout", "nan"], "must be a number"),
        (["agents.max_tries", "1.5"], "must be a whole number"),
        (["agents.timeout"], "takes one value, not 0"),
        (["agents.timeout", "1", "2"], "takes one value, not 2"),
        (["agents.timeout", "1 # x"], "must be a number"),
        (["hooks.post_run", "x"], "acr config edit"),
        (["agents", "x"], "no setting called"),
        (["", "x"], "no setting called"),
        (["a\n[pool]\nb", "x"], "no setting called"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_written(
    args: list[str], says: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "set", *args]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not home.exists()


def test_a_broken_file_is_named_and_left(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("[agents\n")
    assert run(["config", "set", "agents.timeout", "1"]) == 1
    assert "line 1" in capsys.readouterr().err
    assert file.read_text() == "[agents\n"


def test_a_link_is_followed_and_its_mode_kept(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("")
    real.chmod(0o640)
    file.symlink_to(real)
    assert run(["config", "set", "agents.timeout", "9"]) == 0
    assert file.is_symlink()
    assert real.read_text() == "[agents]\ntimeout = 9\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_nothing_is_left_behind_when_the_folder_cannot_be_written(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file")
    assert run(["config", "set", "agents.timeout", "9"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert home.read_text() == "a file"


KEYS = [leaf for leaf in leaves(settings.Settings()) if leaf.kind in (int, float)]
LINES = st.lists(
    st.sampled_from(
        [*COMMENTED.splitlines(), "", "[verifier.limits]", "[budget]", "per_run = 1", "wall=2 #x"]
    ),
    max_size=14,
)


@given(LINES, st.sampled_from(KEYS), st.integers(0, 9), st.sampled_from(["\n", "\r\n"]))
def test_any_file_is_changed_in_one_line_or_refused(
    lines: list[str], leaf: Leaf, number: int, newline: str
) -> None:
    text = newline.join(lines)
    try:
        tomllib.loads(text)
        after = with_value(text, leaf.key, number, str(number), Path("config.toml"))
    except (tomllib.TOMLDecodeError, SettingsError):
        return
    value: Any = tomllib.loads(after)
    for name in leaf.key:
        value = value[name]
    assert value == number
    assert with_value(after, leaf.key, number, str(number), Path("config.toml")) == after
    gone = Counter(text.splitlines()) - Counter(after.splitlines())
    assert gone.total() <= 1
    rest = iter(after.splitlines())
    assert all(line in rest for line in text.splitlines() if line not in gone)


def editor(tmp_path: Path, code: str) -> str:
    """An $EDITOR that runs `code` on the file; it sees its text as `text`."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n" + code
    )
    return f"{sys.executable} {script}"


def test_edit_begins_with_every_default_commented_out(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncomment = "file.write_text(text.partition('\\n')[2].replace('# ', ''))"
    monkeypatch.setenv("VISUAL", editor(tmp_path, uncomment))
    assert run(["config", "edit"]) == 0
    found = settings.load()
    assert found.agents == settings.AgentSettings()
    assert found.budget.per_run == 1.0
    assert os.listdir(home) == ["config.toml"]


def test_an_edit_that_does_not_parse_is_kept_as_a_draft(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_text("[agents]\ntimeout = 1\n")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, "file.write_text(text + 'timeout =\\n')"))
    assert run(["config", "edit"]) == 1
    assert "config.draft.toml" in capsys.readouterr().err
    assert file.read_text() == "[agents]\ntimeout = 1\n"
    mend = "file.write_text(text.replace('timeout =\\n', 'max_tries = 2\\n'))"
    monkeypatch.setenv("EDITOR", editor(tmp_path, mend))
    assert run(["config", "edit"]) == 0
    assert file.read_text() == "[agents]\ntimeout = 1\nmax_tries = 2\n"
    assert not file.with_name("config.draft.toml").exists()


@pytest.mark.parametrize("command", ["no-such-editor", "false", "'"])
def test_an_editor_that_fails_changes_nothing(
    command: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[agents]\ntimeout = 1\n")
    monkeypatch.setenv("VISUAL", command)
    assert run(["config", "edit"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert file.read_text() == "[agents]\ntimeout = 1\n"


def test_an_edit_without_a_change_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISUAL", "true")
    assert run(["config", "edit"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert not (home / "config.toml").exists()
