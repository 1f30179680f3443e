"""The model of step kinds that acr ships."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.steps.kind import KINDS, Past, forecast
from acr.training.steps import load, pasts

PASTS = st.builds(
    Past,
    st.lists(st.sampled_from(KINDS), max_size=60).map(tuple),
    st.booleans(),
    st.integers(0, 10**7),
    st.none() | st.integers(0, 10**6),
)


@given(PASTS)
def test_shares_sum_to_one_whatever_came_before(past: Past) -> None:
    shares = forecast(past)
    assert tuple(shares) == KINDS
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) >= 0


def test_an_edit_is_run_and_an_error_repaired() -> None:
    edited = forecast(Past(("search_read", "edit"), size=9, output=300))
    assert edited["run_test"] > forecast(Past(("search_read",), size=9, output=300))["run_test"]
    before = ("search_read", "edit", "run_test")
    went, failed = (forecast(Past(before, failed=f, size=700, output=30)) for f in (False, True))
    assert failed["repair"] > 0.1 > went["repair"]


def test_the_shipped_model_is_fitted_to_the_recorded_runs() -> None:
    """Above the floor of the last kind alone on what it was fitted to: the file is not stale."""
    runs = load()
    assert len(runs) == 576
    right = n = 0
    for each in runs[::20]:
        for past, step in zip(pasts(each), each.steps, strict=True):
            shares = forecast(past)
            right += max(shares, key=lambda k: shares[k]) == step.kind
            n += 1
    assert right / n > 0.6
