"""Tokens are counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from acr.agents.usage import Ledger, since
from acr.nouns import Usage

COUNTS = st.integers(0, 10**9)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


def test_an_empty_ledger_knows_nothing() -> None:
    assert Ledger().total() is None
    assert Ledger().by_model() == {}


def test_the_last_figures_of_a_request_count() -> None:
    ledger = Ledger()
    ledger.add("r1", "m", Usage(input=10, output=1))
    ledger.add("r1", "m", Usage(input=10, output=40))
    assert ledger.total() == Usage(input=10, output=40, requests=1)


def test_a_request_without_tokens_is_still_a_request() -> None:
    ledger = Ledger()
    ledger.add("r1", "m", Usage())
    assert ledger.total() == Usage(requests=1)


def test_sub_agents_are_marked_and_counted_in() -> None:
    ledger = Ledger()
    ledger.add("r1", "big", Usage(input=10))
    ledger.add("r2", "small", Usage(input=5, output=2), subagent=True)
    assert ledger.total() == Usage(input=15, output=2, requests=2, subagent=7)
    assert ledger.by_model()["small"] == Usage(input=5, output=2, requests=1, subagent=7)


@given(
    st.dictionaries(st.text(max_size=3), st.tuples(st.sampled_from("ab"), USAGES, st.booleans()))
)
def test_models_sum_to_the_total_in_any_order(
    rows: dict[str, tuple[str, Usage, bool]],
) -> None:
    forward, backward = Ledger(), Ledger()
    for key, (model, usage, sub) in rows.items():
        forward.add(key, model, usage, subagent=sub)
        forward.add(key, model, usage, subagent=sub)
    for key, (model, usage, sub) in reversed(rows.items()):
        backward.add(key, model, usage, subagent=sub)
    assert forward.by_model() == backward.by_model()
    total = forward.total() or Usage()
    assert total == sum(forward.by_model().values(), Usage())
    assert total.total == sum(usage.total for _, usage, _ in rows.values())
    assert total.requests == len(rows)


def test_since_compares_moments_and_not_texts() -> None:
    assert since("2026-11-23T16:24:12.358Z", 1795451052.0)
    assert since("2026-11-23T17:24:12.358+01:00", 1795451052.0)
    assert not since("2026-11-23T16:24:11.999Z", 1795451052.0)
    assert not since("yesterday", 0.0)
    assert not since("", 0.0)
