"""Makes the shipped prior from CodeRouterBench's probing set.

python -m acr.orchestrator.build_prior MATRIX.csv.gz OUT.json
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import correlation, fmean
from typing import Any

from acr.errors import UsageError
from acr.nouns import Tier

__all__ = ["build", "main", "tier_of_price"]

OUTPUT_PRICE = {
    "claude-opus-4-6": 25.0,
    "claude-sonnet-4-6": 15.0,
    "gpt-5.4": 15.0,
    "glm-5": 3.0,
    "MiniMax-M2.7": 3.0,
    "kimi-k2.5": 2.9,
    "Qwen3-Max": 1.38,
    "qwen3.5-plus": 0.66,
}
"""USD per million output tokens, from the benchmark's own price list."""

FLOORS: tuple[tuple[float, Tier], ...] = (
    (20.0, "frontier"),
    (5.0, "mid"),
    (2.0, "efficient"),
    (0.0, "minimal"),
)
"""USD per million output tokens from which a model counts to a tier."""

Row = Mapping[str, str]


def tier_of_price(output: float) -> Tier:
    """The tier of a model that costs `output` USD per million output tokens."""
    return next(tier for floor, tier in FLOORS if output >= floor)


def build(rows: Iterable[Row], sha256: str) -> dict[str, Any]:
    """The prior from rows of the matrix (task_id, dimension, model, score, tokens; see main)."""
    rows = list(rows)
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    tokens: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        cells[row["dimension"], row["model"]].append(float(row["score"]))
        if row["input_tokens"]:
            tokens[row["dimension"]].append((int(row["input_tokens"]), int(row["output_tokens"])))
    dimensions = sorted({dimension for dimension, _ in cells})
    models = {model: _model(model, dimensions, cells) for _, model in sorted(cells)}
    every = [score for scores in cells.values() for score in scores]
    return {
        "about": "Mean scores per model and kind of task; read by acr/orchestrator/benchmark.py, "
        "made by python -m acr.orchestrator.build_prior. Pairs are [mean score 0..1, n]. The "
        "benchmark has no probing tasks for agentic_programming: overall means stand in for it.",
        "source": "CodeRouterBench (arXiv 2606.22902), probing set; MIT licence",
        "sha256": sha256,
        "overall": _pair(every),
        "tiers": _tiers(cells),
        "dimensions": {
            name: {
                "score": _pair(s for (d, _), scores in cells.items() if d == name for s in scores),
                "tokens": [round(fmean(side)) for side in zip(*tokens[name], strict=True)],
            }
            for name in dimensions
        },
        "models": models,
        "correlation": _correlation(rows),
    }


def _model(name: str, dimensions: Sequence[str], cells: Mapping[Any, list[float]]) -> Any:
    scores = {d: cells[d, name] for d in dimensions if cells.get((d, name))}
    return {
        "tier": tier_of_price(OUTPUT_PRICE[name]),
        "overall": _pair(s for each in scores.values() for s in each),
        "dimensions": {d: _pair(each) for d, each in scores.items()},
    }


def _tiers(cells: Mapping[tuple[str, str], list[float]]) -> dict[str, list[float]]:
    """Mean per tier, dearest first, pooled where a dearer tier would be worse than a cheaper one.

    Pool-adjacent-violators: a price class of two or three models says little beyond its order.
    """
    blocks: list[tuple[list[Tier], list[float]]] = []
    for _, tier in FLOORS:
        scores = [s for (_, m), each in cells.items() for s in each if _tier(m) == tier]
        blocks.append(([tier], scores))
        while len(blocks) > 1 and not _above(blocks[-2][1], blocks[-1][1]):
            names, more = blocks.pop()
            blocks[-1] = (blocks[-1][0] + names, blocks[-1][1] + more)
    return {tier: _pair(scores) for tiers, scores in blocks for tier in tiers}


def _above(dearer: list[float], cheaper: list[float]) -> bool:
    return bool(dearer and cheaper) and fmean(dearer) >= fmean(cheaper)


def _tier(model: str) -> Tier:
    return tier_of_price(OUTPUT_PRICE[model])


def _correlation(rows: Iterable[Row]) -> float:
    """How alike two models do on one task: Pearson's correlation of their scores within a
    dimension, mean over pairs and dimensions."""
    scores: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        scores[row["dimension"]][row["model"]][row["task_id"]] = float(row["score"])
    each = []
    for by_model in scores.values():
        for one, other in itertools.combinations(sorted(by_model), 2):
            shared = sorted(by_model[one].keys() & by_model[other].keys())
            pair = [[by_model[m][t] for t in shared] for m in (one, other)]
            if all(len(set(side)) > 1 for side in pair):
                each.append(correlation(*pair))
    return round(fmean(each), 3) if each else 0.0


def _pair(scores: Iterable[float]) -> list[float]:
    values = list(scores)
    return [round(fmean(values), 4), len(values)]


def main(argv: Sequence[str]) -> None:
    """Writes the prior; argv is [MATRIX.csv.gz, OUT.json]. Raises UsageError."""
    if len(argv) != 2:
        raise UsageError("usage: python -m acr.orchestrator.build_prior MATRIX.csv.gz OUT.json")
    packed = Path(argv[0]).read_bytes()
    text = io.StringIO(gzip.decompress(packed).decode())
    prior = build(csv.DictReader(text), hashlib.sha256(packed).hexdigest())
    Path(argv[1]).write_text(json.dumps(prior, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
