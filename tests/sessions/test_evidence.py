"""What an agent's own test runs say: little, and nothing where their exit code is hidden."""

from __future__ import annotations

import pytest

from acr.agents.sessions import Ran
from acr.nouns import TestCommand, VerdictStatus
from acr.sessions.evidence import is_test, ruled

EDIT = Ran("")


def run(code: int | None) -> Ran:
    return Ran("pytest -q", code)


@pytest.mark.parametrize(
    "command",
    [
        "pytest -q tests/test_a.py",
        "cd app && python3 -m unittest",
        ".venv/bin/python -m pytest -x 2>&1",
        "npm test",
        "npm run test -- --watch=false",
        "go test ./...",
        "cargo test --offline",
        "make -j4 check",
        "./gradlew test",
        "FOO=1 pytest",
        "pytest && echo fine",
    ],
)
def test_a_test_run_is_known_by_its_command(command: str) -> None:
    assert is_test(command)


@pytest.mark.parametrize(
    "command",
    [
        "pytest | tail -5",
        "pytest || true",
        "pytest; echo done",
        "pytest & ",
        "echo pytest-cov",
        "pip install pytest-xdist",
        "make tests-clean",
        "cat go test.txt",
        "ls",
        "",
    ],
)
def test_other_commands_and_hidden_exit_codes_are_none(command: str) -> None:
    assert not is_test(command)


def test_the_repositorys_own_command_is_one() -> None:
    assert is_test("./check all", TestCommand(("./check", "all"), "custom", "config"))


@pytest.mark.parametrize(
    ("ran", "status", "strength"),
    [
        ([], "unverified", 0.0),
        ([Ran("ls", 0)], "unverified", 0.0),
        ([EDIT, run(0)], "pass", 0.2),
        ([run(1), EDIT, run(0)], "pass", 0.3),
        ([run(0), EDIT, run(1)], "fail", 0.3),
        ([run(0), EDIT, run(0)], "pass", 0.2),
        ([run(0), EDIT], "unverified", 0.0),
        ([run(1), EDIT], "unverified", 0.0),
        ([run(None)], "unverified", 0.0),
        ([run(5)], "unverified", 0.0),
        ([run(127)], "unverified", 0.0),
        ([run(0), Ran("ls", 0)], "pass", 0.2),
    ],
)
def test_the_last_test_run_decides(ran: list[Ran], status: VerdictStatus, strength: float) -> None:
    verdict = ruled(ran, None, "off")
    assert (verdict.status, verdict.strength) == (status, strength)
    assert verdict.score == (status == "pass")
    assert "off" in verdict.reason
