"""Statistics: every rate has its n and interval, and unknown is never 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from acr.cli.main import run
from acr.nouns import VerdictStatus
from tests import scripted
from tests.cli.records import outcome, remember, task


def stats(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert run(["stats", "--json", *args]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def three() -> None:
    """codex-sol: a win, a loss and an unverified attempt on bug_fixing, $0.25 each."""
    verdicts: tuple[VerdictStatus, ...] = ("pass", "fail", "unverified")
    remember(outcome(task(f"aaaa00000{i}"), v) for i, v in enumerate(verdicts))


def test_an_empty_memory_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "acr demo" in said.err


def test_an_empty_memory_is_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = stats(capsys)
    assert found["rows"] == []
    assert found["total"]["win_rate"] is None
    assert found["total"]["cost_usd"] is None


@pytest.mark.usefixtures("three")
def test_unverified_attempts_are_neither_won_nor_lost(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = stats(capsys)["rows"]
    assert (row["attempts"], row["n"], row["wins"], row["unverified"]) == (3, 2, 1, 1)
    assert row["win_rate"] == 0.5
    assert row["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-3)


@pytest.mark.usefixtures("three")
def test_a_narrow_terminal_loses_no_figure(tmp_path: Path) -> None:
    narrow, usual = (
        scripted.acr("stats", cwd=tmp_path, COLUMNS=columns).stdout for columns in ("40", "80")
    )
    assert "model / dimension" in narrow
    assert narrow == usual


@pytest.mark.usefixtures("three")
def test_a_win_costs_what_all_attempts_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert stats(capsys)["rows"][0]["cost_per_win_usd"] == pytest.approx(0.75)


def test_one_unknown_cost_makes_the_cost_of_a_win_a_lower_bound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = task("aaaa000001"), task("aaaa000002")
    remember([outcome(first, "pass"), outcome(second, "fail", cost=None)])
    (row,) = stats(capsys)["rows"]
    assert row["cost_per_win_usd"] is None
    assert row["cost_known"] == 1
    assert run(["stats"]) == 0
    assert "≥ $0.25" in capsys.readouterr().out


def test_a_cost_that_nobody_knows_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    remember([outcome(task(), "pass", cost=None)])
    assert stats(capsys)["rows"][0]["cost_usd"] is None
    assert run(["stats"]) == 0
    shown = capsys.readouterr().out
    assert "unknown" in shown
    assert "$0.00" not in shown


def test_a_model_is_shown_with_its_dimensions_below(capsys: pytest.CaptureFixture[str]) -> None:
    remember(
        [
            outcome(task("aaaa000001"), "pass"),
            outcome(task("aaaa000002", "algorithm"), "fail"),
            outcome(task("aaaa000003", "algorithm"), "fail", profile="other"),
        ]
    )
    assert run(["stats"]) == 0
    first = [line[1:20].rstrip() for line in capsys.readouterr().out.splitlines()]
    assert first[3:8] == [
        "model-of-codex-sol",
        "  algorithm",
        "  bug_fixing",
        "model-of-other",
        "  algorithm",
    ]


@pytest.mark.parametrize(
    ("by", "key"),
    [("profile", "codex-sol"), ("agent", "codex"), ("model", "model-of-codex-sol")],
)
@pytest.mark.usefixtures("three")
def test_rows_are_by_what_was_asked(by: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = stats(capsys, "--by", by)["rows"]
    assert row[by] == key


@pytest.mark.usefixtures("three")
def test_the_order_and_the_names_of_json_keys_are_fixed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = stats(capsys)
    assert list(found) == ["by", "filters", "rows", "total"]
    counts = ["attempts", "n", "wins", "losses", "unverified", "win_rate", "interval"]
    sums = ["cost_usd", "cost_known", "cost_per_win_usd", "mean_time_s", "tokens", "last"]
    figures = [*counts, *sums]
    assert list(found["total"]) == figures
    assert list(found["rows"][0]) == ["model", "dimension", *figures]


@pytest.mark.usefixtures("three")
def test_filters_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    assert stats(capsys, "--dimension", "algorithm")["rows"] == []
    assert stats(capsys, "--repo", "repo-1")["total"]["attempts"] == 3
    assert stats(capsys, "--since", "1h")["total"]["attempts"] == 3
    assert stats(capsys, "--since", "2999-01-01")["total"]["attempts"] == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--dimension", "bugfix"], "did you mean bug_fixing?"),
        (["--repo", "repo-2"], "did you mean repo-1?"),
        (["--since", "yesterday"], "24h, 7d or 2w"),
        (["--since", "2026-13-01"], "24h, 7d or 2w"),
        (["--by", "moon"], "moon"),
    ],
)
@pytest.mark.usefixtures("three")
def test_a_wrong_filter_is_refused_with_a_suggestion(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stats", *args]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_model_name_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    remember([outcome(task(), "pass", profile="\x1b[31m[red]x")])
    assert run(["stats"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]x" in shown
