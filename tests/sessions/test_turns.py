"""Notes are put together to turns, whatever is missing and however they are cut."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.sessions.spool import Note
from acr.sessions.turns import GIVEN_UP, gather
from tests.sessions.makers import LONG_AGO, note, turn


def test_a_prompt_and_a_stop_are_a_turn() -> None:
    notes = turn("fix it", model="m1")
    (heard,), left = gather(notes, LONG_AGO)
    assert left == []
    assert (heard.status, heard.message, heard.model) == ("done", "Done.", "m1")
    assert heard.ended - heard.prompt.time == 1.0
    assert heard.next == math.inf


def test_a_turn_that_has_not_ended_is_kept_until_nobody_speaks_of_it_for_a_day() -> None:
    asked = note("prompt", prompt="fix it")
    ended, (heard,) = gather([asked], asked.time + GIVEN_UP)
    assert (ended, heard.status, heard.notes) == ([], None, [asked])
    ((heard,), left) = gather([asked], asked.time + GIVEN_UP + 1)
    assert (heard.status, left) == ("aborted", [])


@pytest.mark.parametrize("kind", ["interrupt", "end", "prompt"])
def test_a_turn_without_a_stop_was_broken_off(kind: str) -> None:
    asked = note("prompt", prompt="fix it")
    over = note(kind, prompt="another")
    (heard, *_), _ = gather([asked, over], LONG_AGO)
    assert (heard.status, heard.ended) == ("aborted", over.time)


def test_a_stop_is_the_end_although_the_session_ends_later() -> None:
    notes = [*turn("fix it"), note("end")]
    (heard,), _ = gather(notes, LONG_AGO)
    assert (heard.status, heard.ended) == ("done", notes[1].time)


def test_what_sub_agents_tell_neither_begins_nor_ends_a_turn() -> None:
    asked = note("prompt", prompt="fix it", model="big")
    inner = [
        note("prompt", prompt="sub", agent_id="a", model="small"),
        note("stop", agent_id="a", model="small"),
        note("subagent", agent_id="a"),
    ]
    (heard,), left = gather([asked, *inner, note("stop")], LONG_AGO)
    assert left == []
    assert heard.prompt == asked
    assert heard.model == "big"


def test_what_is_said_while_the_agent_works_belongs_to_the_turn() -> None:
    first, last = turn("fix it", "t1")
    between = note("prompt", prompt="and the docs", prompt_id="t1")
    (heard,), _ = gather([first, between, last], LONG_AGO)
    assert heard.prompt == first


def test_the_model_may_be_told_at_the_sessions_start_alone() -> None:
    (heard,), _ = gather([note("begin", model="m1"), *turn("fix it")], LONG_AGO)
    assert heard.model == "m1"


def test_sessions_do_not_mix() -> None:
    one, other = turn("one", session="a"), turn("other", session="b")
    ended, left = gather([one[0], other[0], one[1], other[1]], LONG_AGO)
    assert [h.prompt.text("prompt") for h in ended] == ["one", "other"]
    assert left == []


NOTES = st.lists(
    st.tuples(
        st.sampled_from(["begin", "prompt", "prompt", "tool", "stop", "interrupt", "end"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["t1", "t2", ""]),
    ),
    max_size=14,
)


@given(NOTES, st.integers(0, 14))
def test_turns_are_the_same_however_often_their_notes_are_taken(
    made: list[tuple[str, str, str]], cut: int
) -> None:
    notes = [note(kind, s, prompt="x", **({"turn_id": t} if t else {})) for kind, s, t in made]
    cut = min(cut, len(notes))

    def ids(found: list[Note]) -> tuple[set[str], list[Note]]:
        ended, at_work = gather(found, LONG_AGO)
        return {h.id for h in ended}, [n for h in at_work for n in h.notes]

    whole, _ = ids(notes)
    first, left = ids(notes[:cut])
    second, _ = ids([*left, *notes[cut:]])
    assert first | second == whole
