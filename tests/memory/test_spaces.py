"""The nearest vectors are found, at their true cosine, whatever was stored or removed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acr.bench.matrix import VECTORS
from acr.memory import vectors
from acr.memory.spaces import Spaces
from acr.memory.store import Memory
from tests.memory.makers import EMBEDDER, near, outcome, task, vector


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    with Memory.open(tmp_path / "memory.db") as memory:
        yield memory.db


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_the_nearest_come_first_at_their_cosine(db: Any) -> None:
    ask = vector(0)
    stored = {row: near(ask, row, 0.1 * row) for row in range(1, 40)}
    for row, made in stored.items():
        vectors.add(db, row, EMBEDDER, vectors.quantise(made))
    exact = {row: cosine(ask, made) for row, made in stored.items()}
    found = Spaces().nearest(db, EMBEDDER, ask, 39)
    assert list(found) == sorted(found, key=lambda row: -found[row])
    assert all(abs(found[row] - exact[row]) <= 0.02 for row in stored)
    best = sorted(exact, key=lambda row: -exact[row])[:10]
    assert len(set(best) & set(list(found)[:10])) >= 9


def test_extreme_vectors_are_taken(db: Any) -> None:
    peak = (1.0,) + (0.0,) * 383
    other = (0.0, 1.0) + (0.0,) * 382
    for row, made in enumerate((peak, other, (0.0,) * 384), 1):
        vectors.add(db, row, EMBEDDER, vectors.quantise(made))
    found = Spaces().nearest(db, EMBEDDER, peak, 3)
    assert found[1] == pytest.approx(1.0)
    assert found[2] == pytest.approx(0.0)
    assert Spaces().nearest(db, EMBEDDER, (0.0,) * 384, 3) == {}


def test_spaces_are_never_mixed(db: Any) -> None:
    vectors.add(db, 1, "a", vectors.quantise(vector(1)))
    vectors.add(db, 2, "b", vectors.quantise(vector(1)))
    vectors.add(db, 3, "c", vectors.quantise(vector(1, 8)))
    assert list(Spaces().nearest(db, "a", vector(1), 9)) == [1]
    assert list(Spaces().nearest(db, "c", vector(1, 8), 9)) == [3]
    assert Spaces().nearest(db, "unknown", vector(1), 9) == {}
    assert vectors.spaces(db) == {"a": 1, "b": 1, "c": 1}


def test_only_the_wanted_rows_come_and_some_of_the_others(db: Any) -> None:
    ask = vector(0)
    for row in range(1, 40):
        vectors.add(db, row, EMBEDDER, vectors.quantise(near(ask, 7, 0.05 * row)))
    among = range(20, 40)
    found = Spaces().nearest(db, EMBEDDER, ask, 5, among, others=3)
    assert sorted(found) == [1, 2, 3, 20, 21, 22, 23, 24]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert not Spaces().nearest(db, EMBEDDER, ask, 5, ())


def test_what_others_store_and_remove_is_seen_at_once(tmp_path: Path) -> None:
    path, ask = tmp_path / "memory.db", vector(0)
    with Memory.open(path) as reading, Memory.open(path) as writing:
        for number in range(3):
            writing.add_outcome(outcome(task(f"t{number}", embedding=near(ask, number, 0.1))))
            found = reading.neighbours(ask, EMBEDDER, 9, 0.0)
            assert {one.task for one in found} == {f"t{n}" for n in range(number + 1)}
        writing.forget(["t1"])
        assert {one.task for one in reading.neighbours(ask, EMBEDDER, 9, 0.0)} == {"t0", "t2"}
        writing.forget(["t0", "t2"])
        assert reading.neighbours(ask, EMBEDDER, 9, 0.0) == ()


def test_of_thousands_of_real_prompts_the_nearest_are_found(db: Any) -> None:
    """Signs choose whose cosine is worked out: hardly one of the 40 nearest is missed."""
    with np.load(VECTORS) as shipped:
        stored = shipped["vectors"][::2]
    for row, one in enumerate(stored, 1):
        vectors.add(db, row, EMBEDDER, one.tobytes())
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    spaces, hits = Spaces(), 0
    for asked in range(0, len(stored), 100):
        exact = np.argsort(-(unit @ unit[asked]), kind="stable")[:40] + 1
        found = spaces.nearest(db, EMBEDDER, tuple(unit[asked].tolist()), 50)
        hits += len({*exact.tolist()} & {*list(found)[:40]})
    assert hits / (40 * len(range(0, len(stored), 100))) >= 0.99
