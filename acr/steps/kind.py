"""Foretells what kind of step an agent takes next, by a small linear model that acr ships.

Rebuilt by `python -m acr.training.steps` (acr[bench]); `python -m tests.bench_steps` has its
figures. It knows kinds and sizes of what came before, no text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["KINDS", "Past", "forecast", "signs"]

KINDS = ("plan", "search_read", "edit", "run_test", "repair", "summarise", "bookkeeping")
"""repair: an edit after an error; summarise: text, no tool."""
FAR = 9
"""Steps after which it no longer matters how long ago something was."""
SIZES = (0, 9, 10, 40, 200, 1000, 4000, 10_000)
"""Characters of a result, in classes; many results are a bare exit status."""
OUTPUTS = (0, 30, 80, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a trajectory when its next step is to come."""

    kinds: tuple[str, ...]
    """Of the steps so far, oldest first."""
    failed: bool = False
    """Whether the last result is an error."""
    size: int = 0
    """Characters of the last result."""
    output: int | None = None
    """Tokens of the last answer; None when unknown."""


def signs(past: Past) -> Iterator[str]:
    """The names of what is true of `past`: the model's inputs, 0 or 1 each."""
    kinds = past.kinds
    position = len(kinds)
    one, two, three, four = (kinds[-n] if position >= n else "-" for n in (1, 2, 3, 4))
    size = sum(past.size >= limit for limit in SIZES)
    told = "?" if past.output is None else str(sum(past.output >= limit for limit in OUTPUTS))
    at = min(position, 4) if position < 5 else 4 + min(6, position.bit_length())
    error = f"!{int(past.failed)}"
    yield "bias"
    yield f"1={one}{error}"
    yield f"2={two}{one}{error}"
    yield f"3={three}{two}{one}"
    yield f"4={four}{three}{two}{one}"
    yield f"size={size}{one}{error}"
    yield f"size2={size}{two}{one}"
    yield f"output={told}{one}"
    yield f"output2={told}{size}{one}"
    yield f"at={at}{one}"
    for kind in ("edit", "run_test", "repair", "bookkeeping", "summarise"):
        since = next((n for n in range(1, min(position, FAR) + 1) if kinds[-n] == kind), 0)
        yield f"since={kind}{since}"
        yield f"since1={kind}{since}{one}"
        yield f"count={kind}{min(6, kinds.count(kind))}"


def forecast(past: Past, weights: Mapping[str, list[float]] | None = None) -> dict[str, float]:
    """Share per kind, summing to 1; by the shipped model, or by `weights` of another."""
    weights = weights or _weights()
    rows = [row for sign in signs(past) if (row := weights.get(sign))]
    logits = [sum(column) for column in zip(*rows, strict=True)]
    top = max(logits)
    powers = [math.exp(value - top) for value in logits]
    whole = sum(powers)
    return {kind: power / whole for kind, power in zip(KINDS, powers, strict=True)}


@cache
def _weights() -> Mapping[str, list[float]]:
    path = Path(__file__).parent.parent / "data" / "step_kinds.json"
    loaded: dict[str, dict[str, list[float]]] = json.loads(path.read_bytes())
    return loaded["weights"]
