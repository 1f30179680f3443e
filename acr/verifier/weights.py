"""How much each signal counts, by the kind of request: u = sum(w * s), Eq. (8) of the paper.

The table is data/weights.toml; the weights are normalised over the signals that could be had
(arXiv 2606.22902).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources

from acr.nouns import Signal

__all__ = ["weighed", "weights"]


def weighed(dimension: str, said: Sequence[Signal]) -> tuple[tuple[Signal, ...], float]:
    """Signals with their normalised weights, and the score they add up to."""
    table = weights(dimension)
    present = {s.name: table.get(s.name, 0.0) for s in said if s.score is not None}
    total = sum(present.values())
    share = {name: weight / total for name, weight in present.items()} if total else {}
    weighed = tuple(replace(s, weight=round(share.get(s.name, 0.0), 4)) for s in said)
    return weighed, sum(share.get(s.name, 0.0) * (s.score or 0.0) for s in said)


def weights(dimension: str) -> Mapping[str, float]:
    """Weight by signal name for a dimension; unknown dimensions have the default's."""
    tables = _weights()
    return {**tables["default"], **tables.get(dimension, {})}


@cache
def _weights() -> Mapping[str, Mapping[str, float]]:
    return tomllib.loads((resources.files("acr") / "data" / "weights.toml").read_text("utf-8"))
