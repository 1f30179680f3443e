"""acr export: tables that other programs read, each column explained, unknown left empty."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acr import settings
from acr.cli.main import run
from acr.loop import open_memory
from acr.memory.views import VIEWS
from tests.cli.records import outcome, remember, task
from tests.filling import HOSTILE, fill

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def two() -> None:
    """A run of two tries, one of unknown cost, and a run that won."""
    first = task("aaaa000001")
    remember(
        [
            outcome(first, "fail", cost=None),
            outcome(first, "pass", number=1, profile="claude-b"),
            outcome(task("aaaa000002"), "pass"),
        ]
    )


def exported(capsys: Capture, *options: str) -> list[dict[str, Any]]:
    """The rows as JSON Lines give them."""
    assert run(["export", *options, "--format", "jsonl"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("two")
def test_runs_add_up_their_tries(capsys: Capture) -> None:
    first, second = sorted(exported(capsys, "runs"), key=lambda row: row["run"])
    assert (first["tries"], first["status"], first["profiles"]) == (
        2,
        "pass",
        "codex-sol > claude-b",
    )
    assert first["cost_usd"] is None
    assert (second["tries"], second["cost_usd"]) == (1, 0.25)


@pytest.mark.usefixtures("two")
def test_win_rates_and_spend_are_those_of_stats(capsys: Capture) -> None:
    rates = exported(capsys, "win_rates")
    assert sum(row["wins"] for row in rates) == 2
    assert [row["win_rate"] for row in rates if row["model"] == "model-of-codex-sol"] == [0.5]
    spent = exported(capsys, "spend_by_day")
    assert sum(row["cost_usd"] or 0 for row in spent) == 0.5
    assert sum(row["cost_unknown"] for row in spent) == 1


@pytest.mark.usefixtures("two")
def test_csv_has_the_same_rows_with_empty_cells_for_unknown(capsys: Capture) -> None:
    assert run(["export"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["cost"] for row in rows] == ["", "0.25", "0.25"]
    assert [row["status"] for row in rows] == ["fail", "pass", "pass"]


@pytest.mark.parametrize("table", VIEWS)
def test_every_column_is_explained_and_of_its_type(table: str, capsys: Capture) -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 60, models=8, names=HOSTILE, prompts=HOSTILE)
    rows = exported(capsys, table)
    assert run(["export", table, "--columns", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["columns"]
    assert rows
    assert [column["name"] for column in told] == list(rows[0])
    kinds = {"text": str, "integer": int, "real": (int, float)}
    for column in told:
        assert column["about"]
        for row in rows:
            value = row[column["name"]]
            assert value is None or isinstance(value, kinds[column["type"]]), column  # type: ignore[arg-type]


def test_pruned_attempts_are_still_counted(capsys: Capture) -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 30, models=3)
        memory.prune(10)
    rows = exported(capsys)
    assert len(rows) == 30
    assert [row["prompt"] is None for row in rows].count(True) >= 15


@pytest.mark.usefixtures("two")
def test_a_file_is_new_private_and_whole(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "runs.csv"
    assert run(["export", "runs", "--out", str(file)]) == 0
    assert file.stat().st_mode & 0o077 == 0
    assert len(file.read_text().splitlines()) == 3
    assert run(["export", "runs", "--out", str(file)]) == 2
    assert "is there already; choose a new name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["outcome"], "outcome"),
        (["--format", "xml"], "xml"),
        (["--json"], "--json belongs to --columns"),
        (["--format", "parquet"], "name a file with --out"),
    ],
)
def test_wrong_words_are_refused(options: list[str], said: str, capsys: Capture) -> None:
    assert run(["export", *options]) == 2
    assert said in capsys.readouterr().err


def test_parquet_without_pyarrow_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(["export", "--format", "parquet", "--out", str(tmp_path / "x.parquet")]) == 1
    assert "Parquet needs pyarrow" in capsys.readouterr().err
    assert not (tmp_path / "x.parquet").exists()


def test_parquet_holds_the_same_rows(tmp_path: Path, capsys: Capture) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is only used where it is")
    with open_memory(settings.load()) as memory:
        fill(memory, 60, models=8, names=HOSTILE, prompts=HOSTILE)
    for table in VIEWS:
        file = tmp_path / f"{table}.parquet"
        assert run(["export", table, "--format", "parquet", "--out", str(file)]) == 0
        assert parquet.read_table(file).to_pylist() == exported(capsys, table)


def test_an_empty_memory_is_a_table_without_rows(capsys: Capture) -> None:
    assert run(["export", "runs"]) == 0
    assert capsys.readouterr().out.splitlines() == [",".join(VIEWS["runs"].columns)]


@pytest.mark.usefixtures("two")
def test_sqlite_utils_shows_the_views_without_acr(home: Path) -> None:
    """In a process that knows nothing of acr or sqlite-vec, as datasette would."""
    for view, about in VIEWS.items():
        done = subprocess.run(
            [sys.executable, "-m", "sqlite_utils", "rows", str(home / "memory.db"), view],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert list(json.loads(done.stdout)[0]) == list(about.columns)
