"""Nouns survive a round trip through JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from acr.nouns import (
    Attempt,
    Candidate,
    Decision,
    Neighbour,
    Outcome,
    Price,
    Profile,
    Signal,
    Task,
    TestDiff,
    Usage,
    Verdict,
    Vote,
    from_json,
    to_json,
)

ANY = st.deferred(
    lambda: st.one_of(*(st.from_type(kind) for kind in (Profile, Task, Usage, Attempt, Vote)))
)


@given(ANY)
def test_a_noun_comes_back_from_json_unchanged(noun: object) -> None:
    data = json.loads(json.dumps(to_json(noun), allow_nan=True))
    again = from_json(type(noun), data)
    assert to_json(again) == to_json(noun) or "NaN" in json.dumps(data)


def test_nested_nouns_come_back_as_nouns() -> None:
    task = Task("t", 1.0, "p", "algorithm", 0.9, None, "go", 0.2, "r", "/r", (0.5, -0.5), "e")
    decision = Decision(
        id="d",
        task="t",
        created=2.0,
        chosen="a",
        candidates=(Candidate("a", "codex", "m", 0.5, 2.0, None, 0.5, 1.0),),
        votes=(Vote("prior", {"a": (0.5, 2.0)}, "because"),),
        neighbours=(Neighbour("u", "q", "algorithm", "a", "pass", 1.0, 0.1, 0.8),),
        rules=("pool",),
        explored=False,
        epsilon=(1.0, -0.1),
        seed=7,
        snapshot="s",
    )
    attempt = Attempt("x", "t", "d", "a", "codex", "m", "done", 1.0, 2.0, usage=Usage(input=3))
    verdict = Verdict("pass", 1.0, (Signal("tests", 1.0, 1.0, "ok"),), TestDiff(fixed=("t1",)))
    outcome = Outcome(task, decision, attempt, verdict)
    assert from_json(Outcome, json.loads(json.dumps(to_json(outcome)))) == outcome


def test_unknown_keys_are_ignored_and_missing_ones_take_their_default() -> None:
    data = {"input": 1, "output": 2, "from_the_future": 3}
    assert from_json(Price, data) == Price(1, 2)


@given(st.builds(Usage, *[st.integers(0, 10**6)] * 8), st.builds(Usage, *[st.integers(0, 9)] * 8))
def test_adding_usage_and_taking_it_away_gives_the_usage_back(a: Usage, b: Usage) -> None:
    assert (a + b) - b == a
    assert (a + b).total == a.total + b.total
