"""The interval of a rate; imports next to nothing, for what must start at once."""

from __future__ import annotations

import math

__all__ = ["wilson"]


def wilson(wins: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson score interval of a rate (Wilson 1927), 95 % by default; (0, 1) without data."""
    if n <= 0:
        return 0.0, 1.0
    rate, square = wins / n, z * z
    middle = (rate + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
