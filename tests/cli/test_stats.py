"""Statistics: every rate has its n and interval, and unknown is never 0."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acr import loop, settings
from acr.cli.main import run
from acr.memory import statistics
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
    [
        ("profile", "codex-sol"),
        ("agent", "codex"),
        ("model", "model-of-codex-sol"),
        ("repo", "repo-1"),
        ("day", time.strftime("%Y-%m-%d")),
    ],
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
    assert list(found) == [
        "by", "sort", "filters", "rows", "total", "leaders", "leader_rule", "savings",
    ]  # fmt: skip
    figures = [
        "attempts", "runs", "n", "wins", "losses", "unverified", "win_rate", "interval",
        "cost_usd", "cost_known", "on_plan", "cost_per_win_usd", "tries_per_win",
        "median_time_s", "explored_share", "tokens", "last", "trend",
    ]  # fmt: skip
    assert list(found["total"]) == figures
    assert list(found["rows"][0]) == ["model", "dimension", *figures]
    assert list(found["filters"]) == [
        "since", "repository", "agent", "dimension", "language", "profile",
    ]  # fmt: skip


@pytest.mark.usefixtures("three")
def test_filters_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    assert stats(capsys, "--dimension", "algorithm")["rows"] == []
    assert stats(capsys, "--repo", "repo-1")["total"]["attempts"] == 3
    assert stats(capsys, "--language", "python")["total"]["attempts"] == 3
    assert stats(capsys, "--agent", "claude")["total"]["attempts"] == 0
    assert stats(capsys, "--profile", "codex-sol")["total"]["attempts"] == 3
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
        (["--sort", "moon"], "moon"),
        (["--agent", "codx"], "did you mean codex?"),
        (["--language", "pyton"], "did you mean python?"),
        (["--profile", "codex-sool"], "did you mean codex-sol?"),
        (["--baseline", "always-bestt"], "did you mean always-best?"),
        (["--baseline", "gone"], "no attempts of it"),
        (["--json", "--csv"], "exclude each other"),
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


@pytest.mark.usefixtures("three")
def test_csv_has_the_columns_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats", "--csv", "--by", "profile"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["profile"], row["wins"], row["cost_usd"]) == ("codex-sol", "1", "0.75")
    assert float(row["interval_low"]) == pytest.approx(0.0945, abs=1e-3)
    assert "trend" not in row


def test_csv_of_nothing_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats", "--csv"]) == 0
    (header,) = capsys.readouterr().out.splitlines()
    assert header.startswith("model,dimension,attempts")


def two_models() -> None:
    """dear wins 9 of 10 at $1, cheap 1 of 10 at $0.25."""
    for profile, wins, cost in (("dear", 9, 1.0), ("cheap", 1, 0.25)):
        remember(
            outcome(
                task(f"{profile}{i:04}"), "pass" if i < wins else "fail", profile=profile, cost=cost
            )
            for i in range(10)
        )


def test_savings_are_signed_and_name_their_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    two_models()
    for name, saved, wins in (("always-most-expensive", 7.5, -8.0), ("cheap", -7.5, 8.0)):
        found = stats(capsys, "--baseline", name)["savings"]
        assert (found["baseline"], found["saved"]) == (name, pytest.approx(saved))
        assert found["wins"] == pytest.approx(wins)
        assert found["interval"][0] < saved < found["interval"][1]
        assert "delta method" in found["method"]
    assert stats(capsys, "--baseline", "none")["savings"] is None
    assert stats(capsys, "--baseline", "last-month")["savings"] is None
    assert stats(capsys)["savings"]["label"] == "always dear, one try (10 attempts)"
    assert run(["stats", "--baseline", "cheap"]) == 0
    shown = capsys.readouterr().out
    assert "spent $7.50 more [" in shown
    assert "than always cheap, one try (10 attempts), with 8.0 more wins" in shown


def test_a_leader_is_named_where_it_leads_by_more_than_chance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    two_models()
    assert run(["stats"]) == 0
    told = capsys.readouterr().out
    assert "leads by Fisher's exact test, Holm-corrected: bug_fixing model-of-dear 9/10" in told
    assert "(p = 0.001)" in told


def test_no_leader_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    remember(
        outcome(task(f"{p}{i:04}"), "pass" if i % 2 else "fail", profile=p)
        for p in "ab"
        for i in range(6)
    )
    assert run(["stats"]) == 0
    assert "no model leads" in capsys.readouterr().out


def test_a_wide_terminal_shows_trend_tries_and_explorations(tmp_path: Path) -> None:
    two_models()
    shown = scripted.acr("stats", cwd=tmp_path, COLUMNS="120").stdout
    assert all(words in shown for words in ("trend", "tries/win", "explored", "█"))


def test_what_a_plan_pays_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = outcome(task("aaaa000001"), "pass"), outcome(task("aaaa000002"), "pass")
    on_plan = replace(one, attempt=replace(one.attempt, plan=True))
    remember([on_plan])
    assert run(["stats"]) == 0
    assert "$0.25 plan" in capsys.readouterr().out
    remember([two])
    assert run(["stats"]) == 0
    shown = capsys.readouterr().out
    assert "$0.25 part plan" in shown
    assert "of 1 attempt on a plan the list price" in shown


def test_right_to_left_and_unknown_names_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    rtl = outcome(task("aaaa000001"), "pass", profile="\u05d0\u05d1\u202e")
    none = outcome(task("aaaa000002", prompt="x" * 2_000_000), "pass")
    remember([rtl, replace(none, attempt=replace(none.attempt, model=None))])
    assert run(["stats"]) == 0
    shown = capsys.readouterr().out
    assert "\u05d0\u05d1" in shown
    assert "\u202e" not in shown
    assert "model unknown" in shown


def test_ten_thousand_models_are_cut_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with loop.open_memory(settings.load()) as memory, memory.merging() as merge:
        for i in range(10_000):
            merge(statistics.figures(outcome(task(f"t{i}"), "pass", profile=f"p{i:05}")))
    assert run(["stats", "--by", "model"]) == 0
    shown = capsys.readouterr().out
    assert "9,940 more rows; --limit 0 shows all" in shown
    assert shown.count("model-of-") == 60
    assert len(stats(capsys, "--by", "model")["rows"]) == 10_000


@pytest.mark.parametrize("odd", [float("nan"), -5.0, float("inf")])
def test_durations_of_clocks_that_jumped_are_unknown(
    odd: float, capsys: pytest.CaptureFixture[str]
) -> None:
    one = outcome(task(), "pass")
    remember([replace(one, attempt=replace(one.attempt, duration=odd, started=odd))])
    assert stats(capsys)["rows"][0]["median_time_s"] is None
    assert run(["stats", "--by", "day"]) == 0
