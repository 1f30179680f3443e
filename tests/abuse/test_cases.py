"""Every case of the list has a test."""

from __future__ import annotations

import re
from pathlib import Path

from tests.abuse.cases import CASES

TESTS = Path(__file__).parent.parent


def test_every_case_is_covered() -> None:
    covered: set[int] = set()
    for file in TESTS.rglob("test_*.py"):
        for numbers in re.findall(r"^@case\(([\d, ]+)\)", file.read_text(), re.M):
            covered |= {int(number) for number in numbers.split(",")}
    assert covered == set(CASES)
