"""Model names in every spelling find what the benchmark knows of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.nouns import DIMENSIONS, TIERS
from acr.orchestrator import benchmark

SHIPPED = benchmark.load()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.6", "claude-opus-4-6"),
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("claude-opus-4-6-20260101", "claude-opus-4-6"),
        ("claude-sonnet-5-5", "claude-sonnet-4-6"),
        ("opus", "claude-opus-4-6"),
        ("gpt-5.3-codex", "gpt-5.4"),
        ("Kimi-K3", "kimi-k2.5"),
        ("qwen-max-latest", "Qwen3-Max"),
        ("gpt-5.4-mini", None),
        ("gpt-6-sol", None),
        ("claude-haiku-5-5", None),
        ("claude", None),
        ("", None),
    ],
)
def test_a_model_is_recognised_or_left_to_its_tier(name: str, model: str | None) -> None:
    assert SHIPPED.model(name) == model


def test_the_very_model_is_told_from_its_family() -> None:
    assert SHIPPED.expect("claude-opus-4.6", "mid", "bug_fixing").exact
    assert not SHIPPED.expect("claude-opus-5-5", "mid", "bug_fixing").exact


@pytest.mark.parametrize("dimension", [*DIMENSIONS, "my_own"])
def test_a_dearer_tier_is_never_expected_to_do_worse(dimension: str) -> None:
    scores = [SHIPPED.expect("nobody", tier, dimension).score for tier in TIERS]
    assert scores == sorted(scores)


def test_a_dimension_without_tasks_is_told() -> None:
    assert SHIPPED.measured("bug_fixing")
    assert not SHIPPED.measured("agentic_programming")
    assert SHIPPED.effort("agentic_programming") == 1.0


def test_models_mostly_fail_at_the_same_tasks() -> None:
    assert 0 < SHIPPED.correlation < 1


@given(st.text(max_size=60), st.sampled_from(TIERS), st.text(max_size=20))
def test_any_name_gets_a_score_between_0_and_1(model: str, tier: str, dimension: str) -> None:
    assert 0 < SHIPPED.expect(model, tier, dimension).score < 1  # type: ignore[arg-type]  # a Tier
