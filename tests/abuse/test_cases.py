"""Every case of the list has a test."""

from __future__ import annotations

import re
from pathlib import Path

from tests.abuse.cases import CASES

TESTS = Path(__file__).parent.parent


EVERYWHERE = re.compile(r"\b(?:engine|apart): (?:Sandbox|Apart)|engine: str, user: str")
"""Parameters of tests that run in both engines, as root and as an ordinary user."""
ELSEWHERE = {39, 40}
"""What an engine that fails, or none, does is another matter for each."""


def _cases(pattern: str = "") -> set[int]:
    """The cases of tests, or of those with a signature in which `pattern` is found."""
    found: set[int] = set()
    for file in TESTS.rglob("test_*.py"):
        text = file.read_text()
        for marked in re.finditer(r"^@case\(([\d, ]+)\)\n(?:.*\n)*?(def )", text, re.M):
            signature = text[marked.start(2) :].partition(") -> None:")[0]
            if re.search(pattern, signature):
                found |= {int(number) for number in marked[1].split(",")}
    return found


def test_every_case_is_covered() -> None:
    assert _cases() == set(CASES)


def test_every_case_is_tried_in_both_engines_by_both_kinds_of_user() -> None:
    assert _cases(EVERYWHERE.pattern) >= set(CASES) - ELSEWHERE
