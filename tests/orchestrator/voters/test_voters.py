"""Each voter says what it knows, how strongly, and in one line why."""

from __future__ import annotations

import pytest

from acr.nouns import Task
from acr.orchestrator.evidence import TASK_LIMIT, Evidence, gather
from acr.orchestrator.voters import VOTERS, ability, neighbours, own, prior, repository
from acr.settings import OrchestratorSettings
from tests.orchestrator.fakes import DAY, FakeMemory, Row, profile, task

A, B = profile("a", "gpt-x"), profile("b", "gpt-y")


def evidence(*rows: Row, about: Task | None = None) -> Evidence:
    memory = FakeMemory(list(rows))
    return gather(about or task(), (A, B), memory, OrchestratorSettings())


def near(name: str, score: float, cosine: float = 1.0, **more: object) -> Row:
    side = (1 - cosine**2) ** 0.5
    return Row(name, score, task=f"t{cosine}", vector=(cosine, side), **more)  # type: ignore[arg-type]  # any field


SIMILAR = task(embedding=(1.0, 0.0), embedder="e")


def test_every_voter_is_named_and_gives_a_reason() -> None:
    votes = [vote(evidence()) for vote in VOTERS]
    assert [v.voter for v in votes] == [
        "prior",
        "ability",
        "own",
        "repository",
        "classifier",
        "neighbours",
    ]
    assert all(v.reason and "\n" not in v.reason for v in votes)


def test_only_the_prior_votes_on_everyone() -> None:
    assert [len(vote(evidence()).scores) for vote in VOTERS] == [2, 0, 0, 0, 0, 0]


def test_the_prior_is_stronger_on_a_measured_model_than_on_a_tier() -> None:
    known = (profile("exact", "gpt-5.4"), profile("kin", "gpt-5.9"), profile("tier", "xyz"))
    scores = prior.vote(gather(task(), known, FakeMemory(), OrchestratorSettings())).scores
    assert scores["exact"][1] > scores["kin"][1] > scores["tier"][1] > 0


def test_the_prior_is_weaker_where_the_benchmark_measured_nothing() -> None:
    about = task(dimension="agentic_programming")
    vote = prior.vote(evidence(about=about))
    assert vote.scores["a"][1] == prior.vote(evidence()).scores["a"][1] / 2
    assert "agentic_programming by overall means" in vote.reason


def test_own_outcomes_vote_with_their_mean_and_verdict_strength() -> None:
    vote = own.vote(evidence(Row("a", 1.0), Row("a", 0.0, weight=0.5)))
    score, strength = vote.scores["a"]
    assert score == pytest.approx(1 / 1.5)
    assert 0 < strength < 1.5
    assert vote.reason == "in bug_fixing: 2 attempts, 1 wins, 1 losses"


def test_averages_together_never_count_more_than_one_task_can_be_told() -> None:
    many = evidence(*[Row("a", 1.0)] * 500)
    total = sum(v.scores["a"][1] for v in (vote(many) for vote in VOTERS) if "a" in v.scores)
    assert TASK_LIMIT * 0.9 < total <= TASK_LIMIT


def test_prior_and_own_outcomes_keep_their_proportion() -> None:
    few, many = evidence(*[Row("a", 1.0)] * 5), evidence(*[Row("a", 1.0)] * 50)
    ratio = [own.vote(e).scores["a"][1] / prior.vote(e).scores["a"][1] for e in (few, many)]
    assert ratio[1] == pytest.approx(10 * ratio[0])


def test_the_repository_voter_counts_other_kinds_of_request_a_little() -> None:
    rows = (Row("a", 1.0), Row("b", 1.0, dimension="algorithm"), Row("b", 0.0, repository="x"))
    vote = repository.vote(evidence(*rows))
    assert vote.scores["a"][1] > vote.scores["b"][1] > 0
    assert vote.scores["b"][0] == 1.0
    assert vote.reason == "in this repository: 2 attempts, 2 wins, 0 losses"


def test_a_profile_that_is_gone_still_speaks_for_its_model() -> None:
    vote = own.vote(evidence(Row("gone", 1.0, model="openai/gpt-x")))
    assert vote.scores["a"][0] == 1.0
    assert "b" not in vote.scores


def test_a_more_similar_task_counts_more() -> None:
    vote = neighbours.vote(evidence(near("a", 1.0, 0.95), near("b", 1.0, 0.6), about=SIMILAR))
    assert vote.scores["a"][1] > vote.scores["b"][1]
    assert vote.reason == "2 similar tasks, the closest at 0.95"


@pytest.mark.parametrize(
    "less",
    [
        {"age": 90 * DAY},
        {"repository": "other"},
        {"dimension": "algorithm"},
        {"weight": 0.5},
    ],
)
def test_an_old_a_foreign_or_a_weakly_verified_one_counts_less(less: dict[str, object]) -> None:
    full = neighbours.vote(evidence(near("a", 1.0), about=SIMILAR)).scores["a"][1]
    part = neighbours.vote(evidence(near("a", 1.0, 1.0, **less), about=SIMILAR)).scores["a"][1]
    assert 0 < part < full


def test_the_task_itself_is_no_neighbour_of_itself() -> None:
    row = Row("a", 1.0, task="t0", vector=(1.0, 0.0))
    assert neighbours.vote(evidence(row, about=SIMILAR)).scores == {}


def test_evidence_is_mixed_by_the_readers_shares() -> None:
    shares = {"code_completion": 0.3, "bug_fixing": 0.5, "algorithm": 0.15, "data_science": 0.05}
    mixed = evidence(about=task(confidence=0.5, shares=shares)).dimensions
    assert [name for name, _ in mixed] == ["bug_fixing", "code_completion", "algorithm"]
    assert [share for _, share in mixed] == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95])
    sure = task(confidence=0.93, shares={"bug_fixing": 0.93, "algorithm": 0.07})
    assert evidence(about=sure).dimensions == (("bug_fixing", 1.0),)


def test_without_shares_an_unsure_dimension_is_shared_between_two() -> None:
    unsure = evidence(about=task(confidence=0.25))
    assert unsure.dimensions == (("bug_fixing", 0.75), ("algorithm", 0.25))
    assert evidence(about=task(confidence=0.5)).dimensions == (("bug_fixing", 1.0),)
    assert evidence(about=task(confidence=0.0, runner_up=None)).dimensions[0][1] == 1.0


def test_what_a_profile_does_in_other_dimensions_moves_what_is_expected_here() -> None:
    rows = [Row("a", 1.0, dimension="algorithm"), Row("b", 0.0, dimension="algorithm")] * 10
    vote = ability.vote(evidence(*rows))
    expected = prior.vote(evidence()).scores["a"][0]
    assert vote.scores["a"][0] > expected > vote.scores["b"][0]
    assert vote.scores["a"][1] < 10


def test_outcomes_in_the_same_dimension_are_not_counted_as_ability() -> None:
    assert ability.vote(evidence(Row("a", 1.0))).scores == {}


def test_a_neighbour_of_an_easier_kind_does_not_flatter() -> None:
    """What counts is the distance from the level of its own kind."""
    easy = [Row("a", 1.0, dimension="algorithm", task=f"e{n}") for n in range(50)]
    like = Row("a", 1.0, dimension="algorithm", task="near", vector=(1.0, 0.0))
    vote = neighbours.vote(evidence(*easy, like, about=SIMILAR))
    level = evidence(*easy, about=SIMILAR).level("a", "bug_fixing")
    assert vote.scores["a"][0] == pytest.approx(level, abs=0.1)


def test_a_profile_of_the_same_model_counts_in_part() -> None:
    pool = (profile("a", "gpt-x"), profile("b", "gpt-x", effort="high"), profile("c", "gpt-y"))
    memory = FakeMemory([near("a", 1.0, 0.9)])
    scores = neighbours.vote(gather(SIMILAR, pool, memory, OrchestratorSettings())).scores
    assert set(scores) == {"a", "b"}
    assert 0 < scores["b"][1] < scores["a"][1]


def test_scores_with_handicaps_added_stay_rates() -> None:
    """A win after others had failed counts for more than one in sums, never in a vote."""
    seen = evidence(*[Row("a", 1.3, task="t1", vector=(1.0, 0.0))] * 9, about=SIMILAR)
    assert all(0 <= score <= 1 for vote in VOTERS for score, _ in vote(seen).scores.values())
    assert seen.level("a", "bug_fixing") <= 1
