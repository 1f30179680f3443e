"""acr profiles: shipped ones, one's own, and Codex's copies of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr.cli.main import run

ADD = ("profiles", "add", "fast", "--agent", "codex", "--model", "gpt-6-luna", "--effort", "low")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_every_agent_has_shipped_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    from acr.agents import ADAPTERS

    assert run(["profiles", "--json"]) == 0
    rows = json.loads(told(capsys))
    assert {row["profile"]["agent"] for row in rows} == set(ADAPTERS) - {"scripted"}


def test_the_table_breaks_no_word_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["profiles"]) == 0
    shown = told(capsys)
    run(["profiles", "--json"])
    for row in json.loads(told(capsys)):
        assert row["profile"]["name"] in shown
        assert row["profile"]["model"] in shown


def test_one_of_my_own_is_added_shown_and_removed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ADD, "--price-input", "0.1", "--price-output", "0.5"]) == 0
    path = home / "profiles" / "fast.toml"
    assert path.exists()
    assert run(["profiles", "show", "fast", "--json"]) == 0
    shown = json.loads(told(capsys).partition("\n")[2])
    assert shown["profile"]["effort"] == "low"
    assert shown["price"]["output"] == 0.5
    assert run([*ADD]) == 2  # there already
    assert run(["profiles", "remove", "fast"]) == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["show", "codex-so"], "did you mean codex-sol?"),
        (["remove", "codex-sol"], "ships with acr"),
        (["add", "a/b", "--agent", "codex", "--model", "m"], "letters, digits"),
        (["add", "x", "--agent", "codxe", "--model", "m"], "codex"),
        (["add", "x", "--agent", "codex", "--model", "m", "--price-input", "1"], "together"),
    ],
)
def test_mistakes_are_one_line(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["profiles", *args]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('tier = "huge"', "3: tier must be one of minimal, efficient, mid, frontier"),
        ('tier = "mid"\nagent = "codxe"', "4: agent must be one of aider, claude, codex"),
        ('tier = "mid"\nmodel = ""', "4: model must be the model's name, not ''"),
        ('tier = "mid"\n[price]\ninput = -1\noutput = 2', "5: price.input must be at least 0"),
        ('tier = "mid"\n[price]\ninput = 1\noutput = inf', "6: price.output must be at least 0"),
    ],
)
def test_a_broken_profile_names_file_line_and_what_was_expected(
    home: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    path = home / "profiles" / "odd.toml"
    path.parent.mkdir(parents=True)
    rest = [line for line in ('agent = "codex"', 'model = "m"') if line.split()[0] not in text]
    path.write_text("\n".join(["#"] * (2 - len(rest)) + [*rest, text]))
    assert run(["profiles"]) == 1
    assert f"{path}:{says}" in capsys.readouterr().err


@pytest.mark.parametrize(("edit", "code"), [("s/low/high/", 0), ("s/tier/teir/", 1)])
def test_a_wrong_edit_changes_nothing(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    edit: str,
    code: int,
) -> None:
    assert run([*ADD]) == 0
    path = home / "profiles" / "fast.toml"
    before = path.read_text()
    monkeypatch.setenv("EDITOR", f"sed -i {edit}")
    assert run(["profiles", "edit", "fast"]) == code
    assert (path.read_text() == before) is bool(code)


def test_sync_writes_and_removes_its_own_files_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codex = tmp_path / "codex"
    monkeypatch.setenv("CODEX_HOME", str(codex))
    assert run(["profiles", "sync"]) == 1
    assert "does not exist" in capsys.readouterr().err
    codex.mkdir()
    (codex / "config.toml").write_bytes(b"model = 'x' # mine\r\n")
    assert run([*ADD]) == 0
    assert run(["profiles", "sync"]) == 0
    made = (codex / "acr-fast.config.toml").read_text()
    assert 'model = "gpt-6-luna"' in made
    assert 'model_reasoning_effort = "low"' in made
    assert run(["profiles", "remove", "fast"]) == 0
    assert run(["profiles", "sync", "--json"]) == 0
    assert not (codex / "acr-fast.config.toml").exists()
    assert (codex / "config.toml").read_bytes() == b"model = 'x' # mine\r\n"
    (codex / "acr-codex-sol.config.toml").write_text("model = 'somebody else'\n")
    assert run(["profiles", "sync"]) == 1
    assert "is not acr's" in capsys.readouterr().err
