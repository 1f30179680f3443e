"""Prompts of every kind get an answer; the wish counts, not the words."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from acr.context import dimension
from acr.context.dimension import Nearest, classify, classify_many, human_ask
from acr.context.embedding import load
from acr.nouns import DIMENSIONS, Reading
from acr.settings import EmbeddingSettings


@pytest.fixture(scope="module")
def nearest() -> Nearest:
    return Nearest(load(EmbeddingSettings()))


@pytest.mark.parametrize(
    ("prompt", "dimension"),
    [
        ("fix the failing test", "bug_fixing"),
        ("explain why this test fails", "code_understanding"),
        ("write tests for the fix", "test_generation"),
        ("add type hints to the parser", "code_refactoring"),
        ("document this function", "code_understanding"),
        ("plot the complexity of both sorts", "data_science"),
        ("this test fails, make it pass", "bug_fixing"),
        ("port the parser to Rust", "multi_language"),
        ("what does this print: print(1 + 1)", "code_completion"),
        ("implement an LRU cache with O(1) operations", "algorithm"),
        ("migrate the whole code base to Python 3 and update CI", "agentic_programming"),
        ("write a function that parses ISO dates", "code_generation"),
        ("Der Test schlägt fehl, bitte beheben", "bug_fixing"),
        ("解释一下这个函数是做什么的", "code_understanding"),
        ("escribe pruebas unitarias para el carrito", "test_generation"),
    ],
)
def test_the_wish_counts(nearest: Nearest, prompt: str, dimension: str) -> None:
    assert classify(prompt, nearest).dimension == dimension


@pytest.mark.parametrize(
    "odd",
    ["", "   ", "\0\1\2", "x" * 1_000_000, "https://example.com", "}{", "\x1b[31mred", "🦊" * 50],
)
def test_odd_prompts_get_an_answer(nearest: Nearest, odd: str) -> None:
    found = classify(odd, nearest)
    assert found.dimension in DIMENSIONS
    assert sum(found.scores.values()) == pytest.approx(1)
    assert 0 <= found.difficulty <= 1


def test_a_stack_trace_alone_is_a_bug(nearest: Nearest) -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nKeyError: 3'
    assert classify(trace, nearest).dimension == "bug_fixing"


def test_a_reader_decides_and_what_it_says_is_passed_on() -> None:
    class Fake:
        def scores(self, prompts: Sequence[str]) -> list[Reading]:
            shares = {"algorithm": 0.6, "bug_fixing": 0.4}
            return [Reading(shares, 0.12345, {}, {}, f"read {len(p)}") for p in prompts]

    found = classify("<files>x</files>abc in Go", Fake())
    assert (found.dimension, found.confidence, found.runner_up) == ("algorithm", 0.6, "bug_fixing")
    assert (found.difficulty, found.language) == (0.123, "go")
    assert found.reason == "read 9; next is bug_fixing at 40%"


def test_many_are_answered_in_order_and_like_one(nearest: Nearest) -> None:
    prompts = [f"fix bug number {i}" if i % 2 else f"write tests for {i}" for i in range(150)]
    found = [c.dimension for c in classify_many(iter(prompts), nearest)]
    assert found == ["bug_fixing" if i % 2 else "test_generation" for i in range(150)]


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("fix main.rs", "rust"),
        ("in Go please", "go"),
        ("go on and fix it", None),
        ("the django view", "python"),
        ("a C++ class", "c++"),
        ("say hello", None),
    ],
)
def test_the_language_is_the_one_named(nearest: Nearest, prompt: str, language: str | None) -> None:
    assert classify(prompt, nearest).language == language


def test_the_vectors_of_the_descriptions_are_shipped(home: Path) -> None:
    """Else each new home waits for them. After a change of dimensions.toml: run acr classify and
    take the file from the cache folder into acr/data, in place of the old one."""
    source = Path(dimension.__file__).parents[1] / "data" / "dimensions.toml"
    embedder = load(EmbeddingSettings())
    classify("fix it", Nearest(embedder))
    assert not list((home / "cache").glob("dimensions-*"))
    (shipped,) = source.parent.glob("dimensions-*.f32")
    texts = [text for many in tomllib.loads(source.read_text()).values() for text in many]
    vectors = np.frombuffer(shipped.read_bytes(), np.float32).reshape(-1, embedder.dimensions)
    assert (vectors * np.array(embedder.embed(texts))).sum(axis=1).min() > 0.9999


def test_harness_noise_is_taken_out() -> None:
    noisy = (
        "<system-reminder>be nice\nand long</system-reminder>fix it<ide_selection>x</ide_selection>"
    )
    assert human_ask(noisy) == "fix it"
    assert human_ask("<b>keep</b> this") == "<b>keep</b> this"
    assert human_ask("<system-reminder>only</system-reminder>") != ""


def test_the_held_out_prompts_are_mostly_understood(nearest: Nearest) -> None:
    """A floor for regressions; the figure itself is printed by tests/bench_classify.py."""
    lines = (Path(__file__).parent / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = classify_many((row["prompt"] for row in rows), nearest)
    right = [c.dimension == row["dimension"] for c, row in zip(found, rows, strict=True)]
    assert sum(right) / len(right) > 0.5
