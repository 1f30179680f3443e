"""acr status: at a glance, true to stats; the short form imports nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from acr import lock, settings
from acr.cli import short
from acr.cli.main import run
from acr.loop import open_memory
from acr.memory import driver
from acr.memory.migrations import APPLICATION
from acr.memory.schema import steps
from tests import scripted
from tests.cli.records import outcome, remember, task
from tests.filling import fill

Capture = pytest.CaptureFixture[str]
HEAVY = ("acr.nouns", "acr.settings", "dataclasses", "numpy", "rich", "sqlite_utils", "typer")


def line(cwd: Path) -> str:
    """What `acr status --short` prints in a process of its own."""
    done = scripted.acr("status", "--short", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_before_the_first_run_it_says_so_and_makes_nothing(tmp_path: Path, home: Path) -> None:
    assert line(tmp_path) == "no runs yet\n"
    assert not home.exists()


def test_it_tells_model_verdict_spend_and_rate(tmp_path: Path) -> None:
    remember([outcome(task(), "fail"), outcome(task("aaaa000002"), "pass", profile="claude-b")])
    assert line(tmp_path) == "model-of-claude-b ✓ · $0.50 today · 50 % [9-91] of 2\n"


def test_unknown_is_not_zero_and_a_plan_is_said(tmp_path: Path) -> None:
    remember([outcome(task(), "unverified", cost=None)])
    assert line(tmp_path) == "model-of-codex-sol ? · cost unknown today · nothing verified\n"
    remember([outcome(task("aaaa000002"), "pass")])
    assert "≥ $0.25 today" in line(tmp_path)
    paid = outcome(task("aaaa000003"), "pass")
    remember([replace(paid, attempt=replace(paid.attempt, plan=True))])
    assert "≥ $0.25 + $0.25 plan today" in line(tmp_path)


def test_it_agrees_with_stats(capsys: Capture) -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 400, models=6, days=2)
    assert run(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    shown = short.line() or ""
    assert f"${told['today']['cost_usd']:.2f}" in shown
    assert run(["stats", "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    low, high = (round(100 * end) for end in total["interval"])
    rate = f"{100 * total['win_rate']:.0f} % [{low}-{high}] of {total['n']}"
    assert shown.endswith(rate)


def test_a_hostile_model_name_is_one_short_printable_line(tmp_path: Path) -> None:
    one = outcome(task(), "pass")
    name = "\x1b]0;title\x07\n\u202e" + "m" * 500
    remember([replace(one, attempt=replace(one.attempt, model=name))])
    told = line(tmp_path)
    assert told.count("\n") == 1
    assert told.strip().isprintable()
    assert len(told) < 100


def test_the_short_form_imports_next_to_nothing(tmp_path: Path) -> None:
    remember([outcome(task(), "pass")])
    code = (
        "import sys; sys.argv = ['acr', 'status', '--short']; from acr.__main__ import main\n"
        f"main(); print('loaded:', *sorted({{*sys.modules}} & {{*{HEAVY}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_an_older_memory_is_migrated_first(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    db = driver.connect(home / "memory.db")
    steps.apply(Database(db), stop_before="spending")
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute("PRAGMA user_version = 2")
    db.execute(
        "INSERT INTO figures (attempt, task, profile, model, status, started)"
        " VALUES ('a', 't', 'p', 'm', 'pass', ?)",
        (time.time(),),
    )
    db.close()
    assert short.line() is None
    assert line(tmp_path) == "m ✓ · cost unknown today · nothing verified\n"


def test_a_memory_that_cannot_be_read_is_one_line(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    (home / "memory.db").write_bytes(b"no database at all, but long enough to be one" * 99)
    done = scripted.acr("status", "--short", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("acr: ")
    assert done.stderr.count("\n") == 1


def test_the_long_form_tells_what_runs(tmp_path: Path, capsys: Capture) -> None:
    remember([outcome(task(), "fail")])
    with lock.hold(tmp_path, "fix the parser"):
        assert run(["status"]) == 0
    told = capsys.readouterr().out
    assert f"running: fix the parser ({tmp_path}, process {os.getpid()})" in told
    assert "last: fail · fix it · codex-sol (model-of-codex-sol) · $0.25" in told
    assert "today: 1 attempt · $0.25 · 0 % [0-79] won, n 1" in told
    assert run(["status"]) == 0
    assert "running" not in capsys.readouterr().out


def test_json_of_an_empty_memory_is_null(capsys: Capture) -> None:
    assert run(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["last"] is None
    assert told["today"]["cost_usd"] is told["days_30"]["win_rate"] is None


def test_short_and_json_exclude_each_other(capsys: Capture) -> None:
    assert run(["status", "--short", "--json"]) == 2
    assert "choose one" in capsys.readouterr().err


def test_today_begins_at_midnight_by_the_local_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        began = short.midnight(1_790_000_000.0)
        assert time.localtime(began)[3:6] == (0, 0, 0)
        assert 0 <= 1_790_000_000.0 - began < 25 * 3600
    monkeypatch.delenv("TZ")
    time.tzset()
