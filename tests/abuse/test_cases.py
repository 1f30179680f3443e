"""Every case of the list has a test."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from tests.abuse.cases import CASES


def test_every_case_is_covered() -> None:
    covered: set[int] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        module = importlib.import_module(f"tests.abuse.{file.stem}")
        for _, test in inspect.getmembers(module, inspect.isfunction):
            for mark in getattr(test, "pytestmark", []):
                covered |= set(mark.args) if mark.name == "case" else set()
    assert covered == set(CASES)
