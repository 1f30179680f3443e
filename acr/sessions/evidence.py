"""A weak verdict from what the agent ran itself: its last test run and that run's exit code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from acr.agents.sessions import Ran
from acr.nouns import Signal, TestCommand, Verdict

__all__ = ["is_test", "ruled"]

NAME = "agent's tests"
MENDED, PASSED, FAILED = 0.3, 0.2, 0.3
"""Strengths: failed, then passed; passed; failed. The verifier's own are 0.5 and 1."""
RUNNERS = re.compile(
    r"(?:^|[;&|(\n])\s*(?:(?:\w+=\S*|env|exec|time|sudo|npx|bundle exec|timeout \S+|"
    r"(?:uv|poetry|pipenv|pdm|hatch) run)\s+)*(?:[\w.~/-]*/)?"
    r"(?P<name>pytest|py\.test|tox|nox|jest|vitest|mocha|rspec|phpunit|ctest|"
    r"python[\d.]* -m (?:pytest|unittest)|python[\d.]* manage\.py test|"
    r"(?:npm|pnpm|yarn|bun)(?: run)? test|go test|cargo (?:test|nextest)|"
    r"mvnw?(?: -\S+)* (?:test|verify)|gradlew?(?: -\S+)* (?:test|check)|"
    r"make(?: -\S+)* (?:test|check)|dotnet test|mix test|rake test|swift test)(?![\w.-])"
)
HIDDEN = re.compile(r"[|;\n]|(?<![&>])&(?![&>])")
"""After these the exit code is another command's."""
NO_RUN = (None, 5, 126, 127, 130, 137, 143)
"""Exit codes of what did not run to its end, and pytest's where no test was found."""


def is_test(command: str, own: TestCommand | None = None) -> bool:
    """Whether the exit code of a command line is that of a test run."""
    mine = shlex.join(own.argv) if own else None
    if mine and command.strip() == mine:
        return True
    found = RUNNERS.search(command.strip())
    return found is not None and HIDDEN.search(command.strip(), found.start("name")) is None


def ruled(ran: Sequence[Ran], own: TestCommand | None, why: str) -> Verdict:
    """The verdict on a turn that the verifier has not looked at; `why` says why not.

    | the agent's last test run            | status     | strength |
    |--------------------------------------|------------|----------|
    | failed                               | fail       | 0.3      |
    | passed, after one in the turn failed | pass       | 0.3      |
    | passed                               | pass       | 0.2      |
    | none, its end is not known, or files were edited after it | unverified | 0 |
    """
    counts = [r.exit_code not in NO_RUN and is_test(r.command, own) for r in ran]
    runs = [r for r, counted in zip(ran, counts, strict=True) if counted]
    edited = bool(runs) and any(not r.command for r in ran[len(ran) - counts[::-1].index(True) :])
    if not runs or edited:
        what = "files were edited after its last test run" if edited else "it ran no tests"
        return Verdict("unverified", 0.0, reason=f"{why}; {what}")
    last = runs[-1]
    passed, mended = last.exit_code == 0, any(r.exit_code for r in runs[:-1])
    detail = f"the agent's own test run ended with exit code {last.exit_code}"
    if passed and mended:
        detail += ", after one that failed"
    return Verdict(
        "pass" if passed else "fail",
        float(passed),
        signals=(Signal(NAME, float(passed), 1.0, f"{detail}: {last.command[:200]}"),),
        reason=f"{detail}; {why}",
        strength=(MENDED if mended else PASSED) if passed else FAILED,
    )
