"""How much each signal counts, by the kind of request: u = sum(w * s), Eq. (8) of the paper.

The table is data/weights.toml, and what verifier.weights of the settings has instead; the weights
are normalised over the signals that could be had (arXiv 2606.22902).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from importlib import resources

from acr.nouns import Signal
from acr.settings import SignalWeights

__all__ = ["weighed", "weights"]

Own = Mapping[str, SignalWeights]
"""By dimension."""


def weighed(
    dimension: str, said: Sequence[Signal], own: Own | None = None
) -> tuple[tuple[Signal, ...], float]:
    """Signals with their normalised weights, and the score they add up to."""
    table = weights(dimension, own)
    present = {s.name: table.get(s.name, 0.0) for s in said if s.score is not None}
    total = sum(present.values())
    share = {name: weight / total for name, weight in present.items()} if total else {}
    weighed = tuple(replace(s, weight=round(share.get(s.name, 0.0), 4)) for s in said)
    return weighed, sum(share.get(s.name, 0.0) * (s.score or 0.0) for s in said)


def weights(dimension: str, own: Own | None = None) -> Mapping[str, float]:
    """Weight by signal name for a dimension; unknown dimensions have the default's.

    What the settings `own` say comes before the table.
    """
    shipped, made = _weights(), dict[str, float]()
    for name in ("default", dimension):
        told = (own or {}).get(name, SignalWeights())
        set_by_user = {k: v for k, v in asdict(told).items() if v is not None}
        made |= {**shipped.get(name, {}), **set_by_user}
    return made


@cache
def _weights() -> Mapping[str, Mapping[str, float]]:
    return tomllib.loads((resources.files("acr") / "data" / "weights.toml").read_text("utf-8"))
