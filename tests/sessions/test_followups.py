"""Complaints are told from other prompts, and count a little."""

from __future__ import annotations

import pytest

from acr.nouns import Verdict
from acr.sessions.followups import complains, lowered


@pytest.mark.parametrize(
    "prompt",
    [
        "it still fails",
        "The test is still failing with the same error",
        "that didn't work",
        "doesn\u2019t work",
        "No, I meant the other file",
        "that's wrong, the sign is flipped",
        "you broke the build",
        "now it crashes on start",
        "same error as before",
        "revert that",
        "Das geht immer noch nicht",
        "还是报错",
        "не работает",
    ],
)
def test_a_complaint_is_known(prompt: str) -> None:
    assert complains(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "fix the failing test",
        "thanks, now add a changelog entry",
        "add an error message when the file is missing",
        "why does the login fail for new users?",
        "now write tests for it",
        "note the wrong spelling in the README",
        "great, commit it",
        "explain what is broken in utils.py",
        "x" * 500 + " it still fails",
    ],
)
def test_another_prompt_is_none(prompt: str) -> None:
    assert not complains(prompt)


def test_a_pass_stays_one_and_counts_half() -> None:
    after = lowered(Verdict("pass", 1.0, strength=0.5))
    assert (after.status, after.score, after.strength) == ("pass", 0.8, 0.25)
    assert lowered(Verdict("pass", 0.6, strength=1.0)).score == 0.5


def test_what_nobody_verified_becomes_a_weak_failure() -> None:
    after = lowered(Verdict("unverified", 0.0, reason="off"))
    assert (after.status, after.score, after.strength) == ("fail", 0.3, 0.15)
    assert after.reason.endswith("; off")


def test_a_failure_stays_as_it_is() -> None:
    after = lowered(Verdict("fail", 0.2, strength=1.0))
    assert (after.status, after.score, after.strength) == ("fail", 0.2, 1.0)
    assert [s.name for s in after.signals] == ["follow-up"]
