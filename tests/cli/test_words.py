"""Figures are worded so that they can be read and never mislead."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.cli.words import ago, rate, since, span
from acr.errors import UsageError


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0.0 s"),
        (8.24, "8.2 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (900, "15 min"),
        (7200, "2.0 h"),
    ],
)
def test_spans_of_time(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("passed", "said"), [(-99, "just now"), (90, "2 min ago"), (3599, "1 h ago"), (7200, "2 h ago")]
)
def test_moments_today_are_relative(passed: float, said: str) -> None:
    assert ago(1e9 - passed, 1e9) == said


@given(st.floats(allow_nan=False))
def test_a_moment_of_any_clock_is_at_most_eleven_characters(moment: float) -> None:
    assert len(ago(moment)) <= 11


def test_a_rate_has_its_interval_and_nothing_is_no_rate() -> None:
    assert rate(2, 3, 0.21, 0.94) == "67 % [21-94]"
    assert rate(0, 0, 0.0, 1.0) == "-"


def test_since_is_a_span_or_a_local_date() -> None:
    assert since(None) is None
    assert since("36h", 1e6) == 1e6 - 36 * 3600
    assert since("2w", 1e7) == 1e7 - 14 * 86400
    day = since("2026-01-31")
    assert day is not None
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(day)) == "2026-01-31 00:00"


@given(st.text(st.characters(exclude_characters="0123456789"), max_size=12))
def test_any_other_since_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="24h, 7d or 2w"):
        since(text)
