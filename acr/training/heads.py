"""Fits the outputs anew on the finished features, and measures what the whole is worth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from acr.memory.statistics import wilson
from acr.nouns import DIMENSIONS, TIERS
from acr.training import data
from acr.training.data import Example
from acr.training.encoder import Encoder
from acr.training.fit import FOUR

__all__ = ["calibrate", "measure", "refit", "shares", "understood"]

RIDGE = (1e-3, 3e-3, 1e-2, 3e-2, 0.1)
"""Penalties that are tried on the last fifth of the learned tasks."""
OWN = 0.3
"""Weight of an own prompt, whose scores are guessed from its kind and its difficulty."""
STEEPNESS = 3.0
"""Logits that a prompt of difficulty 1 lies below one of difficulty 0."""
BINS = 10


def targets(example: Example) -> list[float]:
    """Wanted difficulty, tier scores and model scores; guessed where only difficulty is known."""
    scores = example.scores
    if not scores:
        known = data.prior_scores(str(example.dimension))
        shift = STEEPNESS * (0.45 - (example.difficulty or 0.0))
        scores = tuple(_sigmoid(math.log(s / (1 - s)) + shift) for s in known)
    return [example.difficulty or 0.0, *data.tier_scores(scores), *scores]


def refit(model: Encoder, kept: Tensor, examples: list[Example]) -> float:
    """New rows for difficulty, tiers and models, by penalised logistic regression on `kept`.

    The first dimensions' rows stay. Returns the penalty that was best on tasks left out.
    """
    wanted = torch.tensor([targets(e) for e in examples])
    weight = torch.tensor([1.0 if e.scores else OWN for e in examples])
    mean, deviation = kept.mean(0), kept.std(0) + 1e-6
    scaled = (kept - mean) / deviation
    out = torch.tensor([bool(e.scores) and i % 5 == 4 for i, e in enumerate(examples)])
    losses = []
    for penalty in RIDGE:
        w, b = _logistic(scaled[~out], wanted[~out], weight[~out], penalty)
        left = functional.binary_cross_entropy_with_logits(scaled[out] @ w.T + b, wanted[out])
        losses.append(left.item())
    best = RIDGE[losses.index(min(losses))]
    w, b = _logistic(scaled, wanted, weight, best)
    size = len(DIMENSIONS)
    with torch.no_grad():
        model.head.weight[size:] = w / deviation
        model.head.bias[size:] = b - (w / deviation) @ mean
    return best


def _logistic(x: Tensor, y: Tensor, weight: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    w = torch.zeros(y.shape[1], x.shape[1], requires_grad=True)
    b = torch.logit(y.mean(0).clamp(0.01, 0.99)).clone().requires_grad_()
    optimiser = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        losses = functional.binary_cross_entropy_with_logits(x @ w.T + b, y, reduction="none")
        loss = (losses.mean(1) * weight).sum() / weight.sum() + penalty * (w * w).mean(0).sum()
        loss.backward()
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return w.detach(), b.detach()


def calibrate(model: Encoder, kept: Tensor, examples: list[Example]) -> float:
    """Scales the dimensions' logits so that shares are frequencies. Returns the temperature."""
    size = len(DIMENSIONS)
    labels = torch.tensor([DIMENSIONS.index(str(e.dimension)) for e in examples])
    with torch.no_grad():
        logits = model.head(kept)[:, :size]
        tried = [0.3 + 0.05 * i for i in range(55)]
        losses = [functional.cross_entropy(logits / t, labels).item() for t in tried]
        best = tried[losses.index(min(losses))]
        model.head.weight[:size] /= best
        model.head.bias[:size] /= best
    return round(best, 3)


Scores = Callable[[Sequence[str]], list[Any]]
"""Prompts to readings: what Model.scores does."""


def shares(model: Encoder, kept: Tensor) -> list[list[float]]:
    """Share per dimension of each row of features."""
    with torch.no_grad():
        found: list[list[float]] = model.head(kept)[:, : len(DIMENSIONS)].softmax(1).tolist()
    return found


def measure(scores: Scores, examples: dict[str, list[Example]]) -> dict[str, Any]:
    """The figures of the model card, each with n and, where it is a rate, its 95 % interval."""
    test = [e for e in examples["prompts"] if e.split == "test"]
    subjects = [e for e in examples["commits"] if e.split == "test"]
    tasks = [e for e in examples["matrix"] if e.split == "val"]
    return {
        "test": understood(
            [list(r.dimensions.values()) for r in scores([e.text for e in test])], test
        ),
        "commits": rate(
            max(FOUR, key=r.dimensions.__getitem__) == e.dimension
            for r, e in zip(scores([e.text for e in subjects]), subjects, strict=True)
        ),
        "benchmark": _benchmark(scores, tasks),
    }


def understood(told: list[list[float]], examples: list[Example]) -> dict[str, Any]:
    """How many prompts are given their dimension: all, by kind, by language and by tag."""
    best = [DIMENSIONS[row.index(max(row))] for row in told]
    right = [b == e.dimension for b, e in zip(best, examples, strict=True)]
    groups: dict[str, list[bool]] = defaultdict(list)
    for example, is_right in zip(examples, right, strict=True):
        groups["all"].append(is_right)
        groups["english" if example.human == "en" else "not English"].append(is_right)
        groups[f"{example.dimension}"].append(is_right)
        for tag in example.tags:
            groups[tag].append(is_right)
    found: dict[str, Any] = {name: rate(hits) for name, hits in sorted(groups.items())}
    found["macro"] = round(fmean(found[d]["rate"] for d in DIMENSIONS if d in found), 4)
    sure = [max(row) for row in told]
    found["calibration error"] = _error(sure, [float(hit) for hit in right])
    return found


def _benchmark(scores: Scores, tasks: list[Example]) -> dict[str, Any]:
    read = scores([e.text for e in tasks])
    wanted = [targets(e) for e in tasks]
    told = [[r.difficulty, *r.tiers.values(), *r.models.values()] for r in read]
    names = [label for label in data.labels() if not label.startswith("dimension:")]
    found: dict[str, Any] = {"n": len(tasks)}
    for i, name in enumerate(names):
        one, other = [t[i] for t in told], [w[i] for w in wanted]
        found[name] = {
            "calibration error": _error(one, other),
            "brier": round(fmean((a - b) ** 2 for a, b in zip(one, other, strict=True)), 4),
            "brier of the mean": round(fmean((fmean(other) - b) ** 2 for b in other), 4),
        }
    pooled = [t[i] for t in told for i in range(1, 1 + len(TIERS))]
    truth = [w[i] for w in wanted for i in range(1, 1 + len(TIERS))]
    found["tiers together"] = {"calibration error": _error(pooled, truth)}
    return found


def rate(hits: Any) -> dict[str, Any]:
    """Share of hits with n and Wilson's 95 % interval."""
    known = [bool(hit) for hit in hits]
    low, high = wilson(sum(known), len(known))
    share = sum(known) / max(1, len(known))
    return {"rate": round(share, 4), "n": len(known), "interval": [round(low, 4), round(high, 4)]}


def _error(told: list[float], came: list[float]) -> float:
    """Expected calibration error over ten bins with equally many cases."""
    order = sorted(range(len(told)), key=told.__getitem__)
    whole = 0.0
    for i in range(BINS):
        some = order[len(order) * i // BINS : len(order) * (i + 1) // BINS]
        if some:
            gap = abs(fmean(told[j] for j in some) - fmean(came[j] for j in some))
            whole += gap * len(some) / len(order)
    return round(whole, 4)


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
