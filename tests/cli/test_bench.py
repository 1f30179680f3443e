"""acr bench: tables, JSON with its keys, own data, own log, plots; wrong input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr.cli.main import run


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert run(["bench", *argv]) == 0
    return capsys.readouterr().out


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    lines = ["task_id,model,score,cost,dimension"]
    for n in range(40):
        lines.append(f"t{n},good,{int(n % 4 > 0)},0.2,bug_fixing")
        lines.append(f"t{n},cheap,{int(n % 4 == 3)},0.01,bug_fixing")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_as_json_keeps_its_keys(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    shown = json.loads(said(capsys, "run", "--matrix", str(results), "--json"))
    assert {"split", "calls", "n", "matrix_sha256", "routers"} <= set(shown)
    assert (shown["split"], shown["calls"], shown["n"]) == ("id", 1, 20)
    by_name = {row["router"]: row for row in shown["routers"]}
    assert {"acr", "acr-cheap", "oracle", "random", "always-good"} <= set(by_name)
    keys = {"router", "avg_perf", "cum_regret", "cost_usd", "perf_per_usd", "calls_per_task"}
    assert keys | {"ci", "share"} <= set(by_name["acr"])
    assert by_name["oracle"]["cum_regret"] == pytest.approx(0)


def test_a_table_for_people_names_split_calls_and_verifier(
    capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    shown = said(capsys, "run", "--matrix", str(results), "--calls", "2", "--noise", "0.1")
    assert "at most 2 calls, noisy verifier (10% wrong)" in shown
    assert "AvgPerf" in shown
    assert "acr" in shown


def test_the_shipped_tasks_are_played(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "run", "--routers", "dimension-best,published-ACRouter_repo")
    assert "51.68" in shown
    assert "290.1" in shown


def test_the_ood_stream_starts_with_nothing_known(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "run", "--split", "ood", "--routers", "always-gpt-5.4", "--orders", "2")
    assert "nothing known before" in shown
    assert "25.1 ± 0.0" in shown


def test_without_each_part_the_loss_is_told(
    capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    shown = said(capsys, "run", "--ablate", "--matrix", str(results))
    assert all(f"without-{part}" in shown for part in ("own", "neighbours", "exploration"))
    assert "+0.00" in shown
    tables = json.loads(said(capsys, "run", "--ablate", "--matrix", str(results), "--json"))
    assert [table["split"] for table in tables] == ["id"]
    assert {"acr", "without-classifier"} <= {row["router"] for row in tables[0]["routers"]}


def test_each_router_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "list")
    assert "linucb" in shown
    assert "arXiv" in shown


@pytest.mark.parametrize("name", ["frontier.png", "frontier.svg"])
def test_the_frontier_is_drawn(
    capsys: pytest.CaptureFixture[str], results: Path, tmp_path: Path, name: str
) -> None:
    said(capsys, "plot", str(tmp_path / name), "--matrix", str(results))
    assert (tmp_path / name).stat().st_size > 1000


def test_it_is_drawn_in_the_terminal_too(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    assert len(said(capsys, "plot", "--matrix", str(results), "--kind", "regret").splitlines()) > 5


def test_an_empty_log_cannot_answer(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "replay", "uniform")
    assert "0 logged tasks" in shown


@pytest.mark.parametrize(
    ("argv", "code", "hint"),
    [
        (["run", "--routers", "nobody"], 2, "acr bench list"),
        (["run", "--tasks", "t.jsonl"], 2, "--matrix"),
        (["run", "--matrix", "/no/such.csv"], 1, "/no/such.csv"),
        (["replay", "epsilon_cost=abc"], 2, "always:PROFILE"),
        (["plot", "x.bmp", "--routers", "oracle"], 2, ".svg"),
    ],
)
def test_wrong_input_is_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], code: int, hint: str
) -> None:
    assert run(["bench", *argv]) == code
    told = capsys.readouterr().err
    assert hint in told
    assert told.count("\n") == 1


def test_a_malformed_row_is_named_by_its_line(
    capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    with results.open("a") as file:
        file.write("t99,good,1.5,0.1,bug_fixing\n")
    assert run(["bench", "run", "--matrix", str(results)]) == 1
    assert "results.csv, line 82" in capsys.readouterr().err
