"""int8 vectors keep the cosine, and go when they are removed."""

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
from acr.memory.spaces import Spaces
from acr.memory.store import Memory
from tests.memory.makers import EMBEDDER, near, task, vector


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    with Memory.open(tmp_path / "memory.db") as memory:
        yield memory.db


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


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


def test_another_length_under_the_same_name_is_refused(db: Any) -> None:
    vectors.add(db, 1, "a", vectors.quantise(vector(1)))
    for use in (
        lambda: vectors.add(db, 2, "a", b"1234"),
        lambda: Spaces().nearest(db, "a", (1.0,), 1),
    ):
        with pytest.raises(MemoryFileError, match="384 dimensions"):
            use()


def test_what_is_removed_is_gone(db: Any) -> None:
    vectors.add(db, 1, "a", vectors.quantise(vector(1)))
    assert vectors.read(db, 1, "a") == vectors.quantise(vector(1))
    vectors.remove(db, 1, "a")
    assert vectors.read(db, 1, "a") is None
    assert vectors.read(db, 1, "unknown") is None
    assert Spaces().nearest(db, "a", vector(1), 9) == {}


def test_tasks_and_vectors_that_do_not_belong_together_are_found(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m.db") as memory:
        memory.add_task(task("t1"))
        assert vectors.wrong(memory.db) == []
        vectors.add(memory.db, 99, EMBEDDER, vectors.quantise(vector(1)))
        assert vectors.wrong(memory.db) == [
            f"{EMBEDDER}: 1 tasks and vectors do not belong together"
        ]
