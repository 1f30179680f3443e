"""int8 vectors find the nearest, at their true cosine, within one embedder's space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.errors import MemoryFileError
from acr.memory import vectors
from acr.memory.store import Memory
from tests.memory.makers import EMBEDDER, near, task, vector


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
    found = vectors.nearest(db, EMBEDDER, ask, 39)
    assert list(found) == sorted(found, key=lambda row: -found[row])
    assert all(abs(found[row] - exact[row]) <= 0.02 for row in stored)
    best = sorted(exact, key=lambda row: -exact[row])[:10]
    assert len(set(best) & set(list(found)[:10])) >= 9


@given(st.integers(0, 10**6), st.floats(0, 3), st.sampled_from([256, 384, 768, 1024]))
def test_int8_keeps_the_cosine_within_a_fiftieth(seed: int, noise: float, size: int) -> None:
    a = vector(seed, size)
    b = near(a, seed + 1, noise)
    stored = [vectors.dequantise(vectors.quantise(each)) for each in (a, b)]
    assert abs(cosine(*stored) - cosine(a, b)) <= 0.02


@given(st.integers(0, 10**6))
def test_a_stored_vector_is_a_unit_vector(seed: int) -> None:
    stored = vectors.dequantise(vectors.quantise(vector(seed)))
    assert math.isclose(cosine(stored, stored), 1.0)


def test_extreme_vectors_are_taken(db: Any) -> None:
    peak = (1.0,) + (0.0,) * 383
    other = (0.0, 1.0) + (0.0,) * 382
    for row, made in enumerate((peak, other, (0.0,) * 384), 1):
        vectors.add(db, row, EMBEDDER, vectors.quantise(made))
    found = vectors.nearest(db, EMBEDDER, peak, 3)
    assert found[1] == pytest.approx(1.0)
    assert found[2] == pytest.approx(0.0)
    assert vectors.nearest(db, EMBEDDER, (0.0,) * 384, 3) == {}


def test_spaces_are_never_mixed(db: Any) -> None:
    vectors.add(db, 1, "a", vectors.quantise(vector(1)))
    vectors.add(db, 2, "b", vectors.quantise(vector(1)))
    vectors.add(db, 3, "c", vectors.quantise(vector(1, 8)))
    assert list(vectors.nearest(db, "a", vector(1), 9)) == [1]
    assert list(vectors.nearest(db, "c", vector(1, 8), 9)) == [3]
    assert vectors.nearest(db, "unknown", vector(1), 9) == {}
    assert vectors.spaces(db) == {"a": 1, "b": 1, "c": 1}


def test_another_length_under_the_same_name_is_refused(db: Any) -> None:
    vectors.add(db, 1, "a", vectors.quantise(vector(1)))
    for use in (
        lambda: vectors.add(db, 2, "a", b"1234"),
        lambda: vectors.nearest(db, "a", (1.0,), 1),
    ):
        with pytest.raises(MemoryFileError, match="384 dimensions"):
            use()


def test_what_is_removed_is_gone(db: Any) -> None:
    vectors.add(db, 1, "a", vectors.quantise(vector(1)))
    assert vectors.read(db, 1, "a") == vectors.quantise(vector(1))
    vectors.remove(db, 1, "a")
    assert vectors.read(db, 1, "a") is None
    assert vectors.read(db, 1, "unknown") is None
    assert vectors.nearest(db, "a", vector(1), 9) == {}


def test_tasks_and_vectors_that_do_not_belong_together_are_found(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m.db") as memory:
        memory.add_task(task("t1"))
        assert vectors.wrong(memory.db) == []
        vectors.add(memory.db, 99, EMBEDDER, vectors.quantise(vector(1)))
        assert vectors.wrong(memory.db) == [
            f"{EMBEDDER}: 1 tasks and vectors do not belong together"
        ]
