"""Runs unittest as `python -m unittest` does and writes {test id: [state, message]} as JSON.

Handed to the tested project's interpreter as text, so it imports nothing of acr.
"""
# ruff: noqa: N802 - the methods' names are unittest's

import json
import sys
import unittest
from typing import Any

ORDER = ["skipped", "passed", "failed", "error"]
states: dict[str, list[str]] = {}


class Recording(unittest.TextTestResult):
    """Notes each test's worst state under its id."""

    def note(self, test: Any, state: str, message: str = "") -> None:
        known = states.get(test.id(), ["skipped", ""])
        if ORDER.index(state) >= ORDER.index(known[0]):
            states[test.id()] = [state, message]

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self.note(test, "passed")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.note(test, "failed", self.failures[-1][1])

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.note(test, "error", self.errors[-1][1])

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.note(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.note(test, "skipped")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "unexpected success")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failed", f"{subtest}: {err[1]!r}")


class Runner(unittest.TextTestRunner):
    """The usual runner, with results recorded."""

    resultclass: Any = Recording


def main(result_file: str, arguments: list[str]) -> int:
    argv = ["python -m unittest", *arguments]
    program = unittest.main(module=None, argv=argv, testRunner=Runner, exit=False)
    with open(result_file, "w", encoding="utf-8") as file:
        json.dump(states, file)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
