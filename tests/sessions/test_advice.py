"""Advice is given where one model clearly wins, and a pool's best is chosen with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr import hooksfile, loop, settings
from acr.nouns import Profile
from acr.sessions import advice, arms
from acr.sessions.advice import Record
from tests.memory.makers import outcome, task


def record(model: str, wins: int, n: int, price: float | None = 0.1) -> Record:
    known = n if price is not None else 0
    return Record(model, f"p-{model}", wins, n, n, (price or 0.0) * known, known)


@pytest.mark.parametrize(
    ("now", "other"),
    [
        (record("a", 1, 12), record("b", 12, 12)),
        (record("a", 10, 12, 1.0), record("b", 40, 40, 0.2)),
    ],
    ids=["wins more", "half the price, not worse"],
)
def test_a_clear_winner_is_named_with_its_figures(now: Record, other: Record) -> None:
    said = advice.line("bug_fixing", now, [now, other])
    assert "\n" not in said
    assert f"profile p-b (b) won {other.wins} of {other.n}" in said
    assert f"a, in use here, {now.wins} of {now.n}" in said


@pytest.mark.parametrize(
    ("now", "other"),
    [
        (record("a", 5, 12), record("b", 8, 12)),
        (record("a", 0, 2), record("b", 12, 12)),
        (record("a", 0, 12), record("b", 2, 2)),
        (record("a", 10, 12, None), record("b", 40, 40, 0.2)),
        (record("a", 10, 12, 0.3), record("b", 40, 40, 0.2)),
        (record("a", 1, 12), record("a", 12, 12)),
    ],
    ids=["unclear", "little known", "little known of it", "no price", "near price", "itself"],
)
def test_where_nothing_is_clear_nothing_is_said(now: Record, other: Record) -> None:
    assert advice.line("bug_fixing", now, [now, other]) == ""


def test_weak_verdicts_weigh_little() -> None:
    weak = replace(record("b", 12, 12), weight=2.4)
    assert advice.line("bug_fixing", record("a", 0, 12), [weak]) == ""


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0, 5)), min_size=2, max_size=6
    )
)
def test_who_is_advised_against_is_never_who_is_advised(
    made: list[tuple[int, int, float]],
) -> None:
    cell = {f"m{i}": record(f"m{i}", w, w + x, c) for i, (w, x, c) in enumerate(made)}
    for name, now in cell.items():
        if said := advice.line("d", now, cell.values()):
            winner = next(r for m, r in cell.items() if f"({m}) won" in said)
            assert winner.model != name
            assert winner.interval[0] >= now.wins / now.n


def test_the_pools_best_is_chosen_and_an_alias_is_known() -> None:
    known = {
        "bug_fixing": {
            "claude-haiku-5-5": record("claude-haiku-5-5", 1, 9),
            "claude-sonnet-5-5": record("claude-sonnet-5-5", 8, 9),
            "claude-opus-5-5": record("claude-opus-5-5", 9, 9),
        }
    }
    chosen = advice.choices(("haiku", "sonnet"), known)
    assert chosen["bug_fixing"].model == "sonnet"
    assert chosen["bug_fixing"].why.startswith("8 of 9 [")
    assert chosen[""].model == "haiku"
    assert advice.choices((), known) == {}


def test_the_table_is_what_memory_says(home: Path) -> None:
    hooksfile.change(pool={"claude": ("haiku",)})
    with loop.open_memory(settings.Settings()) as memory:
        for number in range(12):
            won = outcome(task(f"w{number}"), profile="codex-a")
            lost = outcome(task(f"l{number}"), status="fail", profile="claude-b")
            memory.add_outcome(replace(won, attempt=replace(won.attempt, model="good")))
            memory.add_outcome(replace(lost, attempt=replace(lost.attempt, model="poor")))
        advice.write(memory, ["/repo"])
    table = json.loads((home / "cache" / "advice.json").read_text())
    assert list(table["lines"]) == ["bug_fixing"]
    assert list(table["lines"]["bug_fixing"]) == ["poor"]
    assert "codex-a (good) won 12 of 12" in table["lines"]["bug_fixing"]["poor"]
    assert table["roots"] == ["/repo"]
    assert table["subagents"]["claude"][""][0] == "haiku"


def test_an_arm_is_the_agents_profile_of_the_model_and_effort() -> None:
    profiles = [
        Profile("a", "codex", "gpt-6.1-sol", "mid", effort="high"),
        Profile("b", "codex", "gpt-6.1-sol", "mid"),
        Profile("c", "opencode", "openai/gpt-6.1-sol", "mid"),
    ]
    assert arms.profile(profiles, "codex", "gpt-6.1-sol", "high").name == "a"
    assert arms.profile(profiles, "codex", "gpt-6.1-sol", "low").name == "b"
    assert arms.profile(profiles, "codex", "gpt-6.1-sol-2026-01-01", None).name == "b"
    assert arms.profile(profiles, "opencode", "openai/gpt-6.1-sol", None).name == "c"
    assert arms.profile(profiles, "claude", "gpt-6.1-sol", None).name == "claude/gpt-6.1-sol"
    assert arms.profile(profiles, "claude", "", None).name == "claude/unknown"
