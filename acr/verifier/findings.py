"""What the next agent should know about a verdict: failing tests and the end of what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from acr.nouns import TestDiff
from acr.verifier.signals.results import plain
from acr.verifier.signals.tests import Run

__all__ = ["CAP", "write"]

CAP = 4096
"""Bytes of findings at most."""
NAMES = 30
"""Tests that are named, of each kind."""
MESSAGES = 5
"""Tests whose message is quoted."""


def write(
    reason: str, diff: TestDiff, after: Run, own: Run | None, redact: Callable[[str], str]
) -> str:
    """At most 4 kB of text: the reason, test names, and the ends of messages or output."""
    text = redact(plain("\n".join([reason, *_names(diff), *_quotes(diff, after, own)])))
    return text.encode(errors="replace")[:CAP].decode(errors="ignore")


def _names(diff: TestDiff) -> Iterator[str]:
    kinds = {"Broken": diff.broken, "Still failing": diff.still_failing, "Missing": diff.missing}
    for kind, tests in kinds.items():
        if tests:
            more = f" and {len(tests) - NAMES} more" if len(tests) > NAMES else ""
            yield f"{kind}: {', '.join(tests[:NAMES])}{more}"


def _quotes(diff: TestDiff, after: Run, own: Run | None) -> Iterator[str]:
    messages = {**(own.messages if own else {}), **after.messages}
    wanted = [*diff.broken, *diff.still_failing, *sorted(messages)]
    quoted = [test for test in dict.fromkeys(wanted) if test in messages][:MESSAGES]
    for test in quoted:
        yield f"\n--- {test}\n{messages[test][-CAP // (len(quoted) + 2) :].strip()}"
    if not quoted and after.state != "ran":
        yield f"\n--- end of the output\n{after.output[-CAP // 2 :].strip()}"
