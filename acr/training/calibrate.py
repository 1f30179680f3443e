"""Fits voters and kinds of request to one's own outcomes; numpy, no torch.

Fitted are: the strength of each voter; for voters from outside, scale and bias per tier of what
they expect (Platt 1999); temperature and bias per dimension of the reader's shares. Each figure is
drawn to "no change" by a normal prior and found by a search along one figure after the other. Kept
is what foretells the newest outcomes, which it was not fitted to, better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from acr.memory.statistics import figures
from acr.nouns import DIMENSIONS, TIERS, Outcome
from acr.orchestrator.calibration import FROM_OUTSIDE, NARROW, Correction

__all__ = ["NAMED", "OUTCOMES", "Held", "Tried", "fit_kinds", "fit_voters", "tries"]

OUTCOMES = 60
"""Verified outcomes that fitting voters needs."""
NAMED = 40
"""Prompts of a kind named by the user that fitting kinds needs."""
MOST = 4000
"""Of them, the newest, are looked at; a fit takes a second for every few hundred."""
HELD_OUT = 0.3
"""Share of them, the newest, that only measures."""
STRENGTH, SCALE, BIAS, TEMPERATURE, KIND = 0.7, 0.4, 0.4, 0.4, 0.5
"""Deviations of the priors: of logarithms of factors, and of logits."""
PASSES = 4
STEPS = 21
"""Values tried along one figure, three times over, each time in a narrower span."""
FURTHEST = 2.5
"""Deviations that are tried to either side."""
FLOOR = 1e-3
"""Chances nearer to 0 or 1 are scored as this far away."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A first try that was verified."""

    votes: Mapping[str, tuple[float, float]]
    """Voter -> (expected score, strength) on the profile that tried, as they were given."""
    tier: str
    score: float
    weight: float
    started: float


@dataclass(frozen=True, slots=True)
class Held:
    """What held-out cases say of a fit."""

    n: int
    """Cases in all."""
    held_out: int
    log_loss: tuple[float, float]
    """Per case: without any calibration, with the fit."""
    brier: tuple[float, float]
    gain: tuple[float, float, float]
    """Log loss saved per held-out case, with its 95 % interval."""

    @property
    def better(self) -> bool:
        """Whether the fit foretold them better."""
        return self.gain[0] > 0


def tries(outcomes: Iterable[Outcome], tiers: Mapping[str, str]) -> list[Tried]:
    """First tries with a verdict and with votes, oldest first; `tiers` is profile name -> tier.

    Later tries at a task are left out: that others failed shaped what was expected of them.
    """
    found = []
    for outcome in outcomes:
        counted, decision = figures(outcome), outcome.decision
        if decision is None or decision.tried or counted.weight <= 0:
            continue
        profile = outcome.attempt.profile
        given = {v.voter: (v.raw or v.scores).get(profile) for v in decision.votes}
        votes = {name: vote for name, vote in given.items() if vote and vote[1] > 0}
        if votes:
            tier = tiers.get(profile, "")
            found.append(Tried(votes, tier, counted.score, counted.weight, counted.started))
    return sorted(found, key=lambda one: one.started)[-MOST:]


def fit_voters(cases: Sequence[Tried]) -> tuple[dict[str, Correction], Held]:
    """Corrections fitted to all cases, and what those fitted to the older ones are worth."""
    names = sorted({voter for case in cases for voter in case.votes})
    layout = [("strength", name, "") for name in names]
    for name in names:
        if name in FROM_OUTSIDE:
            layout += [("scale", name, ""), *(("bias", name, tier) for tier in TIERS)]
    widths = {"strength": STRENGTH, "scale": SCALE, "bias": BIAS}

    def build(some: Sequence[Tried]) -> _Problem:
        return _voting(some, names, layout)

    values, held = _fitted(cases, build, [widths[kind] for kind, _, _ in layout])
    given = {key: float(value) for key, value in zip(layout, values, strict=True)}
    made = {}
    for name in names:
        bias: dict[str, float] = {
            t: round(given["bias", name, t], 4) for t in TIERS if ("bias", name, t) in given
        }
        scale = math.exp(given.get(("scale", name, ""), 0.0))
        strength = math.exp(given["strength", name, ""])
        made[name] = Correction(round(strength, 4), round(scale, 4), bias)
    return made, held


def fit_kinds(
    read: Sequence[Mapping[str, float]], named: Sequence[str]
) -> tuple[float, dict[str, float], Held]:
    """(temperature, dimension -> logits, what it is worth) for shares that were read, oldest first,
    and the dimensions that the user named."""
    cases = list(zip(read, named, strict=True))
    values, held = _fitted(cases, _reading, [TEMPERATURE, *[KIND] * len(DIMENSIONS)])
    kinds = {d: round(float(v), 4) for d, v in zip(DIMENSIONS, values[1:], strict=True)}
    return round(math.exp(values[0]), 4), kinds, held


_Problem = tuple[Callable[[Any], Any], Any, Any]
"""(values -> chance of each answer per case [cases, answers], what came likewise, case weights)."""


def _voting(cases: Sequence[Tried], names: list[str], layout: list[Any]) -> _Problem:
    import numpy as np

    none = (0.5, 0.0)
    votes = np.array([[case.votes.get(name, none) for name in names] for case in cases])
    near = votes[:, :, 0].clip(NARROW, 1 - NARROW)
    logits, strength = np.log(near / (1 - near)), votes[:, :, 1]
    at = {key: i for i, key in enumerate(layout)}
    tier = np.array([TIERS.index(c.tier) if c.tier in TIERS else -1 for c in cases])
    outside = [(column, name) for column, name in enumerate(names) if name in FROM_OUTSIDE]

    def chances(values: Any) -> Any:
        expected = votes[:, :, 0].copy()
        for column, name in outside:
            bias = np.array([*(values[at["bias", name, t]] for t in TIERS), 0.0])[tier]
            scale = np.exp(values[at["scale", name, ""]])
            expected[:, column] = 1 / (1 + np.exp(-scale * logits[:, column] - bias))
        weight = strength * np.exp(values[: len(names)])
        mean = (weight * expected).sum(1) / weight.sum(1)
        return np.stack([mean, 1 - mean], 1)

    score = np.array([case.score for case in cases])
    return chances, np.stack([score, 1 - score], 1), np.array([case.weight for case in cases])


def _reading(cases: Sequence[tuple[Mapping[str, float], str]]) -> _Problem:
    import numpy as np

    shares = np.array([[read[name] for name in DIMENSIONS] for read, _ in cases])
    logits = np.log(shares.clip(1e-9))

    def chances(values: Any) -> Any:
        moved = logits / np.exp(values[0]) + values[1:]
        powers = np.exp(moved - moved.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    came = np.array([[name == named for name in DIMENSIONS] for _, named in cases], dtype=float)
    return chances, came, np.ones(len(cases))


def _fitted(
    cases: Sequence[Any], build: Callable[[Any], _Problem], widths: list[float]
) -> tuple[Any, Held]:
    """Values fitted to all cases, and how those of the older ones do on the newer."""
    import numpy as np

    split = len(cases) - max(1, round(len(cases) * HELD_OUT))
    older = _search(build(cases[:split]), widths)
    chances, came, weight = build(cases[split:])
    before, after = (_losses(chances(v), came) for v in (np.zeros(len(widths)), older))
    share = weight / weight.sum()
    losses, squares = zip(before, after, strict=True)
    saved = losses[0] - losses[1]
    mean = float(saved @ share)
    error = math.sqrt(float((share**2) @ (saved - mean) ** 2))
    held = Held(
        n=len(cases),
        held_out=len(cases) - split,
        log_loss=(float(losses[0] @ share), float(losses[1] @ share)),
        brier=(float(squares[0] @ share), float(squares[1] @ share)),
        gain=(mean, mean - 1.96 * error, mean + 1.96 * error),
    )
    return _search(build(cases), widths), held


def _losses(chances: Any, came: Any) -> tuple[Any, Any]:
    """(log loss, Brier score as it is for two answers) per case."""
    import numpy as np

    sure = chances.clip(FLOOR, 1 - FLOOR)
    return -(came * np.log(sure)).sum(1), ((chances - came) ** 2).sum(1) / 2


def _search(problem: _Problem, widths: list[float]) -> Any:
    """Values of the least penalised loss, found along one after the other."""
    import numpy as np

    chances, came, weight = problem
    values = np.zeros(len(widths))

    def cost(place: int, value: float) -> float:
        tried = values.copy()
        tried[place] = value
        penalty = ((tried / np.array(widths)) ** 2).sum() / 2
        return float(_losses(chances(tried), came)[0] @ weight) + float(penalty)

    for _ in range(PASSES):
        for place, width in enumerate(widths):
            middle, span = values[place], FURTHEST * width
            for _ in range(3):
                grid = np.linspace(middle - span, middle + span, STEPS)
                grid = grid.clip(-FURTHEST * width, FURTHEST * width)
                middle = min(grid.tolist(), key=partial(cost, place))
                span /= STEPS / 4
            values[place] = middle
    return values
