"""Failures are told in one line that says what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.agents.failures import explain


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("unexpected status 401 Unauthorized: bad key, url: http://x", "run `x login`"),
        ("Not logged in · Please run /login", "run `x login`"),
        ("API Error: 403 forbidden", "run `x login`"),
        ("unexpected status 404 Not Found: nope", "--model"),
        ("The model `foo` does not exist", "--model"),
        ("exceeded retry limit, last status: 429 Too Many Requests", "try later"),
        ("API Error: 529 overloaded", "try later"),
        ("unexpected status 402 Payment Required", "credit"),
        ("unexpected status 400 Bad Request", "transcript"),
        ("Missing environment variable: `MOCK_KEY`.", "MOCK_KEY"),
        ("", "transcript"),
    ],
)
def test_what_to_do_follows_from_the_message(message: str, words: str) -> None:
    assert words in explain("x", message, model="m", login="x login")


def test_a_known_status_wins_over_the_message() -> None:
    assert "later" in explain("x", "error 404", model="m", login="l", status=503)


@given(st.text(), st.integers(0, 600))
def test_it_is_one_short_line_that_names_the_agent(message: str, status: int) -> None:
    line = explain("agent-x", message * 50, model="m", login="l", status=status)
    assert "agent-x" in line
    assert len(line) < 400
    assert len(line.splitlines()) == 1
