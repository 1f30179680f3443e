"""Off-policy estimates: what another policy would have earned on logged tasks, or why not known.

Inverse propensity scores, self-normalised ones (Swaminathan & Joachims 2015) and doubly robust
estimates (Dudík, Langford & Li 2011), with the propensities that were stored.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from acr.nouns import Decision, Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from acr.memory.store import Memory

    Floats = NDArray[np.float64]

__all__ = [
    "Estimate",
    "Logged",
    "Policy",
    "Value",
    "always",
    "as_logged",
    "estimate",
    "greedy",
    "logged",
    "uniform",
]

LEAST_ESS = 20.0
"""Effective sample size below which there is no answer."""
LEAST_OVERLAP = 0.8
"""Share of a policy's choices that the log must have had a chance to make."""
ODD = 5.0
"""Standard deviations of the summed weights that the stored propensities cannot explain."""
LEAST_KNOWN = 0.9
"""Share of a policy's weight whose cost must be known for its cost and reward to be."""
STRENGTH = 5.0
"""Outcomes that the more general mean weighs as much as, in the direct model."""
Z = 1.959964
"""The normal distribution's 97.5 % quantile."""


@dataclass(frozen=True, slots=True)
class Logged:
    """The first try at one task, as it was decided and how it went."""

    propensities: Mapping[str, float]
    """Profile -> the chance that it had; empty when none were stored."""
    chosen: str
    score: float | None
    """0..1; None when it was not verified: unknown is not zero."""
    cost: float | None
    """USD; None when unknown."""
    expected: Mapping[str, tuple[float, float | None]]
    """Allowed profile -> (expected score, expected USD) at the time."""
    dimension: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Another way to choose."""

    name: str
    chances: Callable[[Logged], Mapping[str, float]]
    """Chance of each allowed profile, summing to 1; empty when it cannot choose there."""
    note: str = ""
    """What its estimate leaves out, in a sentence."""


@dataclass(frozen=True, slots=True)
class Value:
    """A mean per task and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a policy would have earned per task."""

    policy: str
    n: int
    """Verified tasks with propensities on which the policy could choose."""
    ess: float
    """Kish's effective sample size of them: what they are worth for this policy. By the weights
    that were met, or by those to be expected where that is less: a log in which the rare choices
    happen to be missing looks better than it is."""
    overlap: float
    """Mean share of its choices that the log had a chance to make."""
    why_not: str = ""
    """Why the log cannot answer, in a sentence; empty when it can."""
    notes: tuple[str, ...] = ()
    """What to know of the answer, in sentences."""
    score: Mapping[str, Value] = field(default_factory=dict)
    """ips, snips, dr -> estimate, as are the next two. Trust dr first, then snips."""
    cost: Mapping[str, Value] = field(default_factory=dict)
    """USD; empty when unknown, like the reward."""
    reward: Mapping[str, Value] = field(default_factory=dict)


# ---- policies


def always(profile: str) -> Policy:
    """The same profile wherever it was allowed."""
    return Policy(
        f"always {profile}", lambda one: {profile: 1.0} if profile in one.expected else {}
    )


def uniform() -> Policy:
    """Any allowed profile, all with the same chance."""
    return Policy("random", lambda one: dict.fromkeys(one.expected, 1 / len(one.expected)))


def as_logged() -> Policy:
    """What was done: the log's own policy, to compare with."""
    return Policy("as logged", lambda one: one.propensities)


def greedy(epsilon_cost: float, epsilon_score: float = 1.0) -> Policy:
    """The best reward by the expectations of the time, with other weights and no exploration.

    A profile of unknown cost counts as the dearest known one.
    """

    def chances(one: Logged) -> Mapping[str, float]:
        most = max((cost for _, cost in one.expected.values() if cost is not None), default=0.0)

        def rank(profile: str) -> tuple[float, str]:
            score, cost = one.expected[profile]
            return -epsilon_score * score - epsilon_cost * (most if cost is None else cost), profile

        return {min(one.expected, key=rank): 1.0} if one.expected else {}

    return Policy(
        f"epsilon_cost {epsilon_cost:g}, no exploration",
        chances,
        "it is asked with what was expected when each task was decided; what other choices "
        "would have taught is not in the log",
    )


# ---- the log


def logged(memory: Memory, limit: int | None = None) -> tuple[Logged, ...]:
    """The first tries at the last `limit` tasks, or at all, newest first.

    Left out are outcomes without a decision and tries with another profile than decided.
    """
    wanted = None if limit is None else 2 * limit
    while True:
        outcomes = memory.outcomes(limit=wanted)
        firsts: dict[str, Logged] = {}
        for outcome in outcomes:  # newest first: of several tries of one decision the oldest stays
            decision = outcome.decision
            if decision and not decision.tried and decision.chosen == outcome.attempt.profile:
                firsts[decision.id] = _logged(decision, outcome)
        if wanted is None or limit is None or len(firsts) >= limit or len(outcomes) < wanted:
            return tuple(firsts.values())[:limit]
        wanted *= 4


def _logged(decision: Decision, outcome: Outcome) -> Logged:
    from acr.memory.statistics import figures

    counts = figures(outcome)
    allowed = [c for c in decision.candidates if not c.excluded]
    return Logged(
        propensities={c.profile: c.propensity for c in allowed if c.propensity > 0},
        chosen=decision.chosen,
        score=None if counts.status == "unverified" else counts.score,
        cost=counts.cost,
        expected={c.profile: (c.expected, c.cost) for c in allowed},
        dimension=outcome.task.dimension,
    )


# ---- estimates


def estimate(
    log: Sequence[Logged], policy: Policy, epsilon: tuple[float, float] = (1.0, -0.1)
) -> Estimate:
    """What `policy` would have earned per task, with 95 % intervals, if the log can tell.

    Reward is epsilon[0] x score + epsilon[1] x USD. The direct model of the doubly robust
    estimate is the mean of the profile in the dimension, shrunk to the profile's and that to
    all; each task is left out of its own.
    """
    verified = [one for one in log if one.score is not None]
    usable = [one for one in verified if one.propensities.get(one.chosen, 0.0) > 0]
    plans = [(one, chances) for one in usable if (chances := policy.chances(one))]
    weights = [plan.get(one.chosen, 0.0) / one.propensities[one.chosen] for one, plan in plans]
    moments = [_moments(one, plan) for one, plan in plans]
    overlap = math.fsum(first for first, _ in moments) / max(1, len(plans))
    ess = min(_ess([(w, w * w) for w in weights]), _ess(moments))
    found = Estimate(policy.name, len(plans), ess, overlap)
    why_not = _why_not(log, verified, usable, found) or _misfit(weights, moments)
    if why_not:
        return replace(found, why_not=why_not)
    notes = [*_notes(log, verified, usable, found), *([policy.note] if policy.note else [])]
    score = _values(plans, weights, [one.score or 0.0 for one, _ in plans])
    paid = [n for n, (one, _) in enumerate(plans) if one.cost is not None]
    share = math.fsum(weights[n] for n in paid) / math.fsum(weights)
    if share < LEAST_KNOWN:
        notes.append(f"only {share:.0%} of its tries have a known cost, too few to tell its cost")
        return replace(found, notes=tuple(notes), score=score)
    if len(paid) < len(plans):
        notes.append(f"cost and reward are of the {len(paid)} tasks whose cost is known")
    known = [plans[n] for n in paid]
    scores = [one.score or 0.0 for one, _ in known]
    costs = [one.cost or 0.0 for one, _ in known]
    rewards = [epsilon[0] * s + epsilon[1] * c for s, c in zip(scores, costs, strict=True)]
    counted = [weights[n] for n in paid]
    return replace(
        found,
        notes=tuple(notes),
        score=score,
        cost=_values(known, counted, costs, rate=False),
        reward=_values(known, counted, rewards),
    )


def _moments(one: Logged, plan: Mapping[str, float]) -> tuple[float, float]:
    """Expected weight, which is the share that the log could choose, and its expected square."""
    chances = [(p, one.propensities.get(profile, 0.0)) for profile, p in plan.items()]
    possible = [(p, logged) for p, logged in chances if logged > 0]
    return math.fsum(p for p, _ in possible), math.fsum(p * p / logged for p, logged in possible)


def _ess(moments: Sequence[tuple[float, float]]) -> float:
    """Kish's effective sample size from weights and their squares."""
    squares = math.fsum(second for _, second in moments)
    return math.fsum(first for first, _ in moments) ** 2 / squares if squares else 0.0


def _misfit(weights: Sequence[float], moments: Sequence[tuple[float, float]]) -> str:
    """Whether the choices can have been drawn by the propensities that are stored with them."""
    off = math.fsum(weights) - math.fsum(first for first, _ in moments)
    spread = math.sqrt(math.fsum(max(0.0, second - first * first) for first, second in moments))
    if abs(off) <= ODD * spread + 1e-6 * len(weights):
        return ""
    return "the propensities stored in the log do not fit what was chosen"


def _why_not(
    log: Sequence[Logged], verified: Sequence[Logged], usable: Sequence[Logged], found: Estimate
) -> str:
    """Why the log cannot answer; empty when it can."""
    if not log:
        return "the log is empty: no first try at a task is in it"
    if not verified:
        return f"none of the {len(log)} tasks was verified, so no score is known"
    if not usable:
        return f"no propensities are stored with the {len(verified)} verified tasks"
    asked, n = f'"{found.policy}"', found.n
    if not n:
        return f"{asked} was not possible on any of the {len(usable)} tasks{_near(found, log)}"
    if not found.overlap:
        return f"the log was deterministic: {asked} had no chance in any of the {n} tasks"
    if not found.ess:
        return f"what {asked} would choose was never tried in the {n} tasks"
    if found.overlap < LEAST_OVERLAP:
        return (
            f"the log had a chance to make only {found.overlap:.0%} of the choices of {asked}; "
            f"{LEAST_OVERLAP:.0%} are needed"
        )
    if found.ess < LEAST_ESS:
        return (
            f"the {n} tasks are worth only {found.ess:.1f} for {asked}, which would mostly choose "
            f"what was rarely tried; {LEAST_ESS:g} are needed"
        )
    return ""


def _near(found: Estimate, log: Sequence[Logged]) -> str:
    """A profile whose name is like the one that was asked for."""
    names = sorted({profile for one in log for profile in one.expected})
    near = difflib.get_close_matches(found.policy.removeprefix("always "), names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _notes(
    log: Sequence[Logged], verified: Sequence[Logged], usable: Sequence[Logged], found: Estimate
) -> list[str]:
    """Which tasks the answer leaves out."""
    notes = []
    if len(log) > len(verified):
        notes.append(f"{len(log) - len(verified)} of {len(log)} tasks are left out: not verified")
    if len(verified) > len(usable):
        notes.append(f"{len(verified) - len(usable)} tasks are left out: no propensity stored")
    if len(usable) > found.n:
        notes.append(f"{len(usable) - found.n} tasks are left out: it was not allowed there")
    if found.overlap < 0.995:
        notes.append(
            f"the log had no chance to make {1 - found.overlap:.0%} of its choices: there ips "
            "counts nothing, snips leaves them out, and dr goes by means alone"
        )
    return notes


def _values(
    plans: Sequence[tuple[Logged, Mapping[str, float]]],
    weights: Sequence[float],
    outcomes: Sequence[float],
    *,
    rate: bool = True,
) -> dict[str, Value]:
    """The three estimates of the mean outcome; `rate`: it is a score or made of one."""
    import numpy as np

    w, y = np.array(weights), np.array(outcomes)
    n, total = len(y), float(w.sum())
    taken, planned = _direct(plans, y)
    snips = float(w @ y) / total
    return {
        "ips": _value(w * y, w, y - snips, rate),
        "snips": _value(snips + w * (y - snips) * n / total, w * n / total, y - snips, rate),
        "dr": _value(planned + w * (y - taken), w, y - taken, rate),
    }


def _value(terms: Floats, weights: Floats, residuals: Floats, rate: bool) -> Value:
    """The mean of `terms` and its interval: Student's, with the effective sample size. Of skewed
    costs and few tasks it covers less than it says (about 85 % at the least size).

    Where all outcomes are alike, their spread says too little. So for a rate the residuals are
    smoothed by those of two wins and two losses, as Agresti & Coull (1998) do for a proportion.
    """
    n, mean = len(terms), float(terms.mean())
    variance = float(terms.var(ddof=1)) / n
    squares = weights**2
    ess = float(weights.sum()) ** 2 / float(squares.sum())
    if rate:
        seen = float(squares @ residuals**2 / squares.sum())
        middle = min(1.0, max(0.0, mean))
        smooth = (ess * seen + 2 * (middle**2 + (1 - middle) ** 2)) / (ess + 4)
        variance += max(0.0, smooth - seen) * float(squares.sum()) / n**2
    half = _quantile(ess - 1) * math.sqrt(variance)
    return Value(mean, mean - half, mean + half)


def _quantile(freedom: float) -> float:
    """Student's 97.5 % quantile by Fisher's expansion (Abramowitz & Stegun 26.7.5)."""
    freedom = max(1.0, freedom)
    one, two = (Z**3 + Z) / 4, (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    return Z + one / freedom + two / freedom**2


def _direct(
    plans: Sequence[tuple[Logged, Mapping[str, float]]], outcomes: Floats
) -> tuple[Floats, Floats]:
    """Per task what the direct model expects of (the profile taken, the policy)."""
    import numpy as np

    profiles = sorted({name for one, plan in plans for name in (one.chosen, *plan)})
    kinds = sorted({one.dimension for one, _ in plans})
    column = {name: n for n, name in enumerate(profiles)}
    taken = np.array([column[one.chosen] for one, _ in plans])
    kind = np.array([kinds.index(one.dimension) for one, _ in plans])
    chance = np.zeros((len(plans), len(profiles)))
    for row, (_, plan) in enumerate(plans):
        for name, p in plan.items():
            chance[row, column[name]] = p
    own = np.zeros_like(chance)
    own[np.arange(len(plans)), taken] = 1.0
    sums, counts = np.zeros((2, len(kinds), len(profiles)))
    np.add.at(sums, (kind, taken), outcomes)
    np.add.at(counts, (kind, taken), 1.0)
    left = own * outcomes[:, None]
    mean = (outcomes.sum() - outcomes) / max(1, len(outcomes) - 1)
    by_profile = _shrunk(sums.sum(0) - left, counts.sum(0) - own, mean[:, None])
    expected = _shrunk(sums[kind] - left, counts[kind] - own, by_profile)
    return expected[np.arange(len(plans)), taken], (chance * expected).sum(1)


def _shrunk(sums: Floats, counts: Floats, to: Floats) -> Floats:
    return (sums + STRENGTH * to) / (counts + STRENGTH)
