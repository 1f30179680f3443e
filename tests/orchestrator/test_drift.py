"""A change is noticed when it is large and lasts; chance, hard times and little data are none."""

from __future__ import annotations

import random

import pytest

from acr.nouns import Recent
from acr.orchestrator.drift import LEFT, LIKELY, changes
from tests.orchestrator.fakes import FakeMemory, Row


def found(rows: list[Row]) -> dict[str, float]:
    memory = FakeMemory(rows)
    return {m: c.shift for m, c in changes(memory.totals(), memory.recent(400), {}).items()}


def coin(rng: random.Random, model: str, chance: float, n: int) -> list[Row]:
    return [Row(model, float(rng.random() < chance), model=model) for _ in range(n)]


def test_a_drop_is_noticed_with_its_sign() -> None:
    rng = random.Random(1)
    shifts = found(coin(rng, "a", 0.8, 200) + coin(rng, "b", 0.8, 200) + coin(rng, "a", 0.3, 40))
    assert list(shifts) == ["a"]
    assert -0.7 < shifts["a"] < -0.2


def test_a_rise_is_noticed() -> None:
    rng = random.Random(2)
    assert found(coin(rng, "a", 0.2, 200) + coin(rng, "a", 0.9, 30))["a"] > 0.2


def test_chance_is_seldom_taken_for_a_change() -> None:
    alarms = 0
    for seed in range(200):
        rng = random.Random(seed)
        alarms += bool(found(coin(rng, "a", 0.5, 200)))
    assert alarms <= 6


def test_few_outcomes_show_no_change() -> None:
    assert found([Row("a", 1.0, model="a")] * 10 + [Row("a", 0.0, model="a")] * 9) == {}


def test_hard_times_for_all_are_no_change_of_one() -> None:
    rng = random.Random(3)
    before = [row for name in "abcd" for row in coin(rng, name, 0.8, 150)]
    hard = [row for _ in range(40) for name in "abcd" for row in coin(rng, name, 0.45, 1)]
    assert set(found(before + hard)) != set("abcd")


def test_what_came_before_is_left_a_little_weight_and_moved() -> None:
    old = [Row("a", 1.0, model="a")] * 500
    change = changes(
        FakeMemory([*old, *[Row("a", 0.0, model="a")] * 30]).totals(),
        [Recent("a", "a", "bug_fixing", 0.0, 1.0)] * 30,
        {},
    )["a"]
    share, mean = change.cells["bug_fixing"]
    assert share * 530 == pytest.approx(LEFT + 30, abs=0.01)
    assert change.chance > 0.999
    assert mean < 0.5


def test_a_change_in_one_kind_of_task_is_noticed_there() -> None:
    rng = random.Random(4)
    kinds = ("bug_fixing", "algorithm", "test_generation", "data_science")

    def tasks(chances: tuple[float, ...], n: int) -> list[Row]:
        return [
            Row("a", float(rng.random() < chance), kind, model="a")
            for _ in range(n)
            for kind, chance in zip(kinds, chances, strict=True)
        ]

    memory = FakeMemory(tasks((0.9, 0.5, 0.5, 0.5), 80) + tasks((0.1, 0.5, 0.5, 0.5), 15))
    cells = changes(memory.totals(), memory.recent(400), {})["a"].cells
    assert cells["bug_fixing"][1] < 0.4
    assert abs(cells["algorithm"][1] - 0.5) < 0.15


def test_what_is_doubtful_counts_in_proportion() -> None:
    rows = [Row("a", float(n % 2), model="a") for n in range(200)]
    doubtful = FakeMemory([*rows, *[Row("a", 1.0, model="a")] * 17])
    change = changes(doubtful.totals(), doubtful.recent(400), {})["a"]
    assert LIKELY <= change.chance < 0.95
    share, mean = change.cells["bug_fixing"]
    assert 0.1 < share < 0.9
    assert 0.54 < mean < 0.9


def test_a_change_is_noticed_where_the_agent_does_not_tell_its_model() -> None:
    rows = [Row("p", 1.0)] * 60 + [Row("p", 0.0)] * 30
    memory = FakeMemory(rows)
    assert set(changes(memory.totals(), memory.recent(400), {"p": "gpt-x"})) == {"gpt-x"}
