"""acr memory: counts, finds, moves, forgets and checks what was learned."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acr import settings
from acr.cli.main import run
from acr.context.embedding import SHIPPED
from acr.context.repository import find
from acr.loop import open_memory, run_folder
from acr.memory import migrations
from acr.memory.store import Memory
from acr.settings import Settings
from tests.memory.makers import EMBEDDER, outcome, task

Capture = pytest.CaptureFixture[str]


def memory() -> Memory:
    return open_memory(Settings())


@pytest.fixture
def two() -> None:
    """Two runs with transcripts, one failed and one passed."""
    with memory() as opened:
        opened.add_outcome(outcome(task("aaa1", prompt="fix [red]it"), status="fail"))
        opened.add_outcome(outcome(task("bbb2", dimension="algorithm"), profile="claude-b"))
    for name in ("aaa1", "bbb2"):
        (run_folder(name) / "transcript.jsonl").write_text("{}")


def told(capsys: Capture, *command: str) -> Any:
    capsys.readouterr()
    assert run(["memory", *command]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("two")
def test_show_is_the_default_and_counts_everything(capsys: Capture, home: Path) -> None:
    counts = told(capsys, "--json")
    assert counts == told(capsys, "show", "--json")
    assert counts | {"size_bytes": 0} == {
        "path": str(home / "memory.db"),
        "schema": migrations.VERSION,
        "size_bytes": 0,
        "capacity": 20_000,
        "tasks": 2,
        "decisions": 2,
        "attempts": 2,
        "outcomes": 2,
        "judged_by_you": 0,
        "pruned": 0,
        "by_dimension": {"algorithm": 1, "bug_fixing": 1},
        "by_profile": {"claude-b": 1, "codex-a": 1},
        "embedder": SHIPPED,
        "embedders": {EMBEDDER: 2},
    }
    assert run(["memory"]) == 0
    shown = capsys.readouterr().out
    assert "2 tasks, 2 decisions, 2 attempts" in shown
    assert "algorithm" in shown
    assert f"2 vectors of {EMBEDDER}, not the one in use" in shown


def test_an_empty_memory_is_shown(capsys: Capture) -> None:
    assert told(capsys, "show", "--json")["tasks"] == 0
    assert run(["memory", "search", "anything"]) == 0
    assert "nothing is stored yet" in capsys.readouterr().err


def test_the_path_is_printed_and_nothing_is_made(capsys: Capture, home: Path) -> None:
    assert run(["memory", "path"]) == 0
    assert capsys.readouterr().out == f"{home / 'memory.db'}\n"
    assert not home.exists()


def test_search_finds_what_is_alike(capsys: Capture) -> None:
    from acr.context.embedding import load

    embedder = load(Settings().embedding)
    prompts = ["fix the [flaky] parser test", "write a quicksort in Rust", "explain the cache"]
    with memory() as opened:
        for number, prompt in enumerate(prompts):
            (vector,) = embedder.embed([prompt])
            made = task(f"t{number}", prompt=prompt, embedding=vector, embedder=embedder.id)
            opened.add_outcome(outcome(made, status="unverified"))
    found = told(capsys, "search", "sorting", "algorithm", "-n", "2", "--json")
    assert found[0]["run"] == "t1"
    assert found[0]["attempts"] == [{"profile": "codex-a", "status": "unverified"}]
    assert told(capsys, "search", "zebra", "--threshold", "0.99", "--json") == []
    assert run(["memory", "search", "flaky parser"]) == 0
    assert "fix the [flaky] parser test" in capsys.readouterr().out


@pytest.mark.usefixtures("two")
def test_export_and_import_move_everything(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "export.jsonl"
    assert run(["memory", "export", str(file)]) == 0
    assert file.stat().st_mode & 0o077 == 0
    assert run(["memory", "export", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert run(["memory", "export"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == file.read_text().splitlines()[1:]
    nothing = dict.fromkeys(("tasks", "decisions", "outcomes", "figures"), 0)
    assert told(capsys, "import", str(file), "--json") == nothing
    monkeypatch.setenv("ACR_HOME", str(tmp_path / "new"))
    assert run(["memory", "import", str(file)]) == 0
    assert capsys.readouterr().out == "2 tasks, 2 decisions, 2 outcomes added\n"
    with memory() as opened:
        assert len(opened.outcomes()) == 2


@pytest.mark.usefixtures("two")
def test_an_import_reads_a_pipe(tmp_path: Path) -> None:
    acr = [sys.executable, "-m", "acr", "memory"]
    exported = subprocess.run([*acr, "export"], capture_output=True, check=True).stdout
    done = subprocess.run(
        [*acr, "import", "-"],
        input=exported,
        capture_output=True,
        check=True,
        env={**os.environ, "ACR_HOME": str(tmp_path / "new")},
    )
    assert done.stdout == b"2 tasks, 2 decisions, 2 outcomes added\n"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda file: None, "No such file"),
        (lambda file: file.mkdir(), "Is a directory"),
        (lambda file: file.write_bytes(b""), "not what acr memory export writes"),
        (lambda file: file.write_bytes(os.urandom(4096)), "not a JSON object"),
    ],
)
def test_what_cannot_be_imported_is_said(
    capsys: Capture, tmp_path: Path, make: Callable[[Path], object], what: str
) -> None:
    make(tmp_path / "file")
    assert run(["memory", "import", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err
    assert what in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("two")
def test_forget_takes_a_run_with_its_transcripts(capsys: Capture, home: Path) -> None:
    assert run(["memory", "forget", "aaa", "--yes"]) == 0
    assert capsys.readouterr().out == "1 run forgotten\n"
    assert [folder.name for folder in (home / "runs").iterdir()] == ["bbb2"]
    with memory() as opened:
        assert opened.tasks() == ("bbb2",)
        assert [s.profile for s in opened.statistics()] == ["claude-b"]


@pytest.mark.usefixtures("two")
def test_forget_asks_first(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["memory", "forget", "--all"]) == 2
    assert "this forgets 2 runs; confirm it with --yes" in capsys.readouterr().err
    answers = io.StringIO("n\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", answers)
    assert run(["memory", "forget", "--all"]) == 1
    assert told(capsys, "show", "--json")["tasks"] == 2


@pytest.mark.parametrize("wrong", [[], ["aaa1", "--all"], ["--repo", "--all"]])
def test_forget_wants_one_thing(capsys: Capture, wrong: list[str]) -> None:
    assert run(["memory", "forget", *wrong]) == 2
    assert "say what to forget" in capsys.readouterr().err


@pytest.mark.usefixtures("two")
def test_forget_all_names_backups_that_still_hold_it(capsys: Capture, home: Path) -> None:
    (home / "memory.db.schema-0.1").touch()
    assert run(["memory", "forget", "--all", "-y"]) == 0
    assert "memory.db.schema-0.1: this backup" in capsys.readouterr().err
    assert told(capsys, "show", "--json")["attempts"] == 0
    assert list((home / "runs").iterdir()) == []


@pytest.mark.usefixtures("two")
def test_forget_repo_takes_this_repository_only(
    git_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = git_repo({"a.py": "a = 1\n"})
    monkeypatch.chdir(here)
    with memory() as opened:
        mine = task("ccc3", repository=find(here, settings.load()).id)
        opened.add_outcome(outcome(mine))
    assert run(["memory", "forget", "--repo", "-y"]) == 0
    with memory() as opened:
        assert opened.tasks() == ("aaa1", "bbb2")


@pytest.mark.usefixtures("two")
def test_prune_keeps_the_figures(capsys: Capture, home: Path) -> None:
    assert run(["memory", "prune", "--keep", "1"]) == 2
    assert run(["memory", "prune", "--keep", "1", "-y"]) == 0
    assert [folder.name for folder in (home / "runs").iterdir()] == ["bbb2"]
    counts = told(capsys, "show", "--json")
    assert (counts["attempts"], counts["pruned"]) == (1, 1)
    assert run(["memory", "prune", "--older-than", "30", "-y"]) == 0
    assert told(capsys, "show", "--json")["pruned"] == 2
    assert run(["memory", "forget", "aaa1", "bbb2", "-y"]) == 0
    with memory() as opened:
        assert opened.statistics() == ()
    assert run(["memory", "prune", "--keep", "-1"]) == 2


@pytest.mark.usefixtures("two")
def test_check_names_what_is_wrong_and_repairs_sums(capsys: Capture) -> None:
    assert told(capsys, "check", "--json") == {"ok": True, "problems": []}
    with memory() as opened:
        opened.db.execute("UPDATE statistics SET n = n + 1")
    assert run(["memory", "check"]) == 1
    assert "--repair" in capsys.readouterr().err
    assert run(["memory", "check", "--repair"]) == 0
    assert capsys.readouterr().out == "memory is sound\n"


@pytest.mark.parametrize("command", ["show", "check", "export", "forget --all", "search x"])
def test_a_file_that_is_no_database_is_said_and_left(
    capsys: Capture, home: Path, command: str
) -> None:
    home.mkdir()
    content = b"not a database, but long enough " * 40
    (home / "memory.db").write_bytes(content)
    assert run(["memory", *command.split()]) == 1
    said = capsys.readouterr().err
    assert "not a database; it is left as it is" in said
    assert said.count("\n") == 1
    assert (home / "memory.db").read_bytes() == content
