"""Runs: the list, one run's story, and its patch byte for byte."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from acr import settings
from acr.cli.main import run
from acr.cli.runs import run_ids
from acr.loop import open_memory, run_folder
from tests.cli.records import decision, outcome, remember, task

PATCH = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+\xff\x00\x1b[31m[red]\r\n"


@pytest.fixture
def escalated() -> None:
    """A run whose first try failed at unknown cost and whose second passed."""
    asked = task(prompt="fix\n\x1b[31m[red]it")
    remember(
        [
            outcome(asked, "fail", cost=None),
            outcome(asked, "pass", number=1, profile="claude-sonnet"),
        ]
    )


@pytest.mark.usefixtures("escalated")
def test_the_list_tells_how_a_run_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("aaaa000001  ✓ pass")
    assert "codex-sol → claude-sonnet" in shown
    assert "unknown" in shown
    assert "project · bug_fixing · fix �[31m[red]it" in shown


@pytest.mark.usefixtures("escalated")
def test_the_list_as_json_has_one_object_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["run"] == "aaaa000001"
    assert (row["status"], row["tries"], row["cost_usd"]) == ("pass", 2, None)
    assert row["profiles"] == ["codex-sol", "claude-sonnet"]
    assert row["duration_s"] == 20.0


def test_the_list_is_newest_first_and_ends_at_its_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remember(outcome(task(f"aaaa00000{i}"), "pass") for i in range(5))
    assert run(["runs", "--limit", "2", "--json"]) == 0
    assert [r["run"] for r in json.loads(capsys.readouterr().out)] == ["aaaa000004", "aaaa000003"]


def test_a_decision_without_a_result_is_listed_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_memory(settings.load()) as memory:
        memory.add_task(task())
        memory.add_decision(decision(task()))
    assert run(["runs"]) == 0
    assert "no result" in capsys.readouterr().out
    assert run(["runs", "show"]) == 0
    assert f"acr feedback {decision(task()).id}" in capsys.readouterr().out


def test_no_runs_yet_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs"]) == 0
    assert "no runs yet" in capsys.readouterr().err
    assert run(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("escalated")
def test_show_tells_the_whole_story(capsys: pytest.CaptureFixture[str]) -> None:
    (run_folder("aaaa000001") / "changes.patch").write_bytes(PATCH)
    assert run(["runs", "show", "aaaa"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "1. codex-sol codex/model-of-codex-sol · cost unknown · time 10 s",
        "2. claude-sonnet codex/model-of-claude-sonnet · cost $0.25 (price table) · time 10 s",
        "tokens: 1,200 input, 300 cached, 40 output, 2 requests",
        "tests (weight 0.90): 1 fixed (verify/tests.log)",
        "fixed: tests/test_a.py::test_one",
        "sandbox: engine bwrap, network none, cpus NOT limited",
        "changed: src/a.py",
        "changes.patch",
    ):
        assert part in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("escalated")
def test_show_as_json_is_complete_without_the_vector(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "show", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [a["verdict"]["status"] for a in told["attempts"]] == ["fail", "pass"]
    assert [d["chosen"] for d in told["decisions"]] == ["codex-sol", "claude-sonnet"]
    assert "embedding" not in told["task"]
    assert told["files"] == []


@pytest.mark.usefixtures("escalated")
def test_a_late_verdict_on_the_first_try_does_not_make_it_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["feedback", f"d0{task().id}", "--score", "0.1"]) == 0
    capsys.readouterr()
    assert run(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == "pass"


@pytest.mark.usefixtures("escalated")
def test_the_human_verdict_is_the_one_that_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bad"]) == 0
    capsys.readouterr()
    assert run(["runs"]) == 0
    assert "✗ fail (you)" in capsys.readouterr().out


@pytest.mark.usefixtures("escalated")
def test_diff_is_the_patch_byte_for_byte() -> None:
    (run_folder("aaaa000001") / "changes.patch").write_bytes(PATCH)
    done = subprocess.run(
        [sys.executable, "-m", "acr", "runs", "diff"], capture_output=True, check=True
    )
    assert done.stdout == PATCH


@pytest.mark.usefixtures("escalated")
def test_on_a_terminal_a_patch_cannot_write_control_characters() -> None:
    (run_folder("aaaa000001") / "changes.patch").write_bytes(PATCH)
    main, side = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "acr", "runs", "diff", "--no-pager"],
        stdout=side,
        check=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(side)
    shown = os.read(main, 65536)
    os.close(main)
    assert b"\x1b[31m[red]" not in shown
    assert b"[31m[red]" in shown


@pytest.mark.usefixtures("escalated")
@pytest.mark.parametrize("pager", ["cat", "no-such-pager", "'"])
def test_a_terminal_gets_the_patch_whatever_the_pager(pager: str) -> None:
    (run_folder("aaaa000001") / "changes.patch").write_bytes(PATCH)
    main, side = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "acr", "runs", "diff"],
        stdout=side,
        check=True,
        env={**os.environ, "PAGER": pager},
    )
    os.close(side)
    assert b"+++ b/x" in os.read(main, 65536)
    os.close(main)


@pytest.mark.parametrize("left", [None, b""])
@pytest.mark.usefixtures("escalated")
def test_a_run_without_changes_and_a_run_without_a_patch_are_told_apart(
    left: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if left is not None:
        (run_folder("aaaa000001") / "changes.patch").write_bytes(left)
    assert run(["runs", "diff"]) == (1 if left is None else 0)
    said = capsys.readouterr().err
    assert ("kept no patch" if left is None else "changed no file") in said


@pytest.mark.usefixtures("escalated")
def test_looking_at_a_run_makes_no_folder(home: Path) -> None:
    assert run(["runs", "show"]) == 0
    assert not (home / "runs").exists()


@pytest.mark.parametrize("command", ["show", "diff"])
def test_an_unknown_run_is_said(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", command, "zzz"]) == 1
    said = capsys.readouterr().err
    assert "zzz" in said
    assert said.count("\n") == 1


def test_ids_complete_with_their_prompts() -> None:
    remember([outcome(task("aaaa000001"), "pass"), outcome(task("bbbb000002"), "pass")])
    assert run_ids("b") == [("bbbb000002", "fix it")]


def test_completion_is_silent_when_memory_is_broken(home: Path) -> None:
    (home / "memory.db").mkdir(parents=True)
    assert run_ids("") == []
