"""The classifier's vote: a prompt that reads harder than its kind lowers all alike."""

from __future__ import annotations

import pytest

from acr.nouns import DIMENSIONS, TIERS, Reading
from acr.orchestrator import benchmark
from acr.orchestrator.evidence import gather
from acr.orchestrator.voters import classifier
from acr.settings import OrchestratorSettings
from tests.orchestrator.fakes import FakeMemory, profile, task

POOL = (profile("opus", "claude-opus-4-6"), profile("new", "nobody-knows"))
MODELS = ("claude-opus-4-6", "gpt-5.4")


def votes(reading: Reading | None) -> dict[str, tuple[float, float]]:
    evidence = gather(task(), POOL, FakeMemory(), OrchestratorSettings(), reading)
    return dict(classifier.vote(evidence).scores)


def reading(by: float) -> Reading:
    """As much above what the benchmark expects of bugs."""
    shipped = benchmark.load()
    models = {m: shipped.expect(m, "mid", "bug_fixing").score + by for m in MODELS}
    return Reading(dict.fromkeys(DIMENSIONS, 0.1), 0.5, dict.fromkeys(TIERS, 0.5), models, "a fake")


def test_without_a_reading_nobody_is_voted_on() -> None:
    assert votes(None) == {}
    assert votes(Reading({}, 0.5, {}, {}, "nothing to read")) == {}


@pytest.mark.parametrize("by", [-0.2, 0.0, 0.2])
def test_all_move_by_what_the_prompt_is_easier_or_harder(by: float) -> None:
    shipped = benchmark.load()
    for one in POOL:
        usual = shipped.expect(one.model, one.tier, "bug_fixing").score
        score, strength = votes(reading(by))[one.name]
        assert score == pytest.approx(usual + by)
        assert strength == classifier.STRENGTH


def test_a_vote_is_a_rate() -> None:
    assert all(0 <= score <= 1 for by in (-2.0, 2.0) for score, _ in votes(reading(by)).values())
