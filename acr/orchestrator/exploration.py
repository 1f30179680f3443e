"""Exploration: how probable it is that a candidate is the best one, and the chance it gets.

Thompson sampling with the posterior's width scaled by a setting, its propensities worked out
instead of drawn, so that they can be stored, replayed and used for off-policy estimates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

__all__ = ["chances"]

STEPS = 64
"""Points at which the densities are evaluated."""
REACH = 4.0
"""Standard deviations on either side that they are evaluated over."""
NARROW = 1e-9
"""A width up to this is none."""
NEGLIGIBLE = 1e-4
"""A chance below this is none: it would cost more to keep than it can teach."""


def chances(rewards: Sequence[float], widths: Sequence[float]) -> list[float]:
    """P(candidate is best) for independent normal rewards of these means and widths (1 sigma).

    They sum to 1; a width of 0 everywhere gives all to the first best.
    """
    best = max(range(len(rewards)), key=lambda i: rewards[i])
    rivals = [
        i
        for i, (reward, width) in enumerate(zip(rewards, widths, strict=True))
        if reward + REACH * width >= rewards[best] - REACH * widths[best] and width > NARROW
    ]
    if best not in rivals or len(rivals) < 2:
        return [float(i == best) for i in range(len(rewards))]
    found = [0.0] * len(rewards)
    for i, chance in zip(rivals, _best(rewards, widths, rivals), strict=True):
        found[i] = chance if chance >= NEGLIGIBLE else 0.0
    whole = math.fsum(found)
    return [chance / whole for chance in found]


def _best(rewards: Sequence[float], widths: Sequence[float], rivals: Sequence[int]) -> list[float]:
    """Integral of each one's density times the others' distribution functions."""
    low = min(rewards[i] - REACH * widths[i] for i in rivals)
    high = max(rewards[i] + REACH * widths[i] for i in rivals)
    step = (high - low) / STEPS
    sums = [0.0] * len(rivals)
    scales = [(rewards[i], widths[i] * math.sqrt(2)) for i in rivals]
    edges = [
        [0.5 * math.erfc((mean - low - n * step) / scale) for mean, scale in scales]
        for n in range(STEPS + 1)
    ]
    for lower, upper in itertools.pairwise(edges):
        middle = [0.5 * (a + b) for a, b in zip(lower, upper, strict=True)]
        if whole := math.prod(middle):
            for n, (a, m, b) in enumerate(zip(lower, middle, upper, strict=True)):
                sums[n] += (b - a) * whole / m
        elif middle.count(0.0) == 1:
            n = middle.index(0.0)
            sums[n] += (upper[n] - lower[n]) * math.prod(middle[:n] + middle[n + 1 :])
    return sums
