"""What runs of the tests before and after an attempt decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acr.nouns import TestDiff, VerdictStatus
from acr.verifier.signals.mutation import Fault
from acr.verifier.signals.tests import Run
from acr.verifier.tampering import Restoration

__all__ = ["REPAIR", "Ruling", "rule", "rule_new_tests"]

REPAIR = "bug_fixing"
"""The dimension in which failing tests are the work that was asked."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the runs of the tests decide."""

    status: VerdictStatus
    reason: str
    strength: float = 0.0
    score: float | None = None
    """Of the signal `tests`; None when the tests told nothing."""
    open: bool = False
    """Whether no test could tell anything, so that other evidence may decide."""


def rule(
    dimension: str,
    base: Run,
    after: Run,
    own: Run | None,
    diff: TestDiff,
    undo: Restoration,
    changed: bool,
) -> Ruling:
    """What the runs decide; the table is in Baseline.judge. `after` decides, `own` informs."""
    score = _score(dimension, base, after, diff)
    dead = next((run for run in (base, after) if run.state == "not run"), None)
    if dead:
        return Ruling("unverified", f"tests were not run: {dead.why}")
    if not changed:
        if dimension == REPAIR and base.bad:
            return Ruling("fail", f"nothing was changed; {_tests(base.bad)} still fail", 1.0, 0.0)
        said = f": {len(base.passed)} pass, {len(base.bad)} fail" if base.states else ""
        return Ruling("unverified", f"nothing was changed{said}")
    excused = undo.needed and own is not None and own.state == "ran" and not own.bad
    if after.state != "ran":
        return _after_did_not_run(base, after, excused)
    if base.state != "ran":
        return _base_did_not_run(base, after, own)
    if diff.broken and excused:
        said = f"{_tests(diff.broken)} fail in their old form and pass as the attempt rewrote them"
        return Ruling("unverified", said, 0.0, score)
    return _compared(dimension, base, after, own, diff, score)


def _compared(
    dimension: str, base: Run, after: Run, own: Run | None, diff: TestDiff, score: float
) -> Ruling:
    """The ruling where both runs have results by test."""
    new_bad = (own or after).bad - frozenset(base.states)
    if diff.broken:
        return Ruling("fail", f"{_tests(diff.broken)} passed before and do not now", 1.0, score)
    if new_bad - after.bad or (new_bad and not after.bad & frozenset(base.states)):
        return Ruling("fail", f"new tests fail: {_names(new_bad)}", 1.0, score * 0.5)
    if contradiction := _planted(base, after) or _deaf(after) or _contradiction(base, after):
        return Ruling("fail", contradiction, 1.0, 0.0)
    if after.exit and not after.bad and not after.planted and base.bad:
        said = f"no test fails any more, but the command ended with exit code {after.exit}"
        return Ruling("unverified", said, 0.0, score)
    if diff.fixed:
        left = f", {_tests(diff.still_failing)} still fail" if diff.still_failing else ""
        return Ruling("pass", f"{_tests(diff.fixed)} fixed{left}", 1.0, score)
    if diff.still_failing and dimension == REPAIR:
        return Ruling("fail", f"{_tests(diff.still_failing)} still fail", 1.0, 0.0)
    if after.passed & base.passed:
        return Ruling("pass", f"{_tests(after.passed)} pass as before", 0.5, score)
    return Ruling("unverified", "no test passes, before or now", 0.0, None)


def _after_did_not_run(base: Run, after: Run, excused: bool) -> Ruling:
    if base.state != "ran":
        if base.state == after.state == "no tests":
            return Ruling("unverified", "no tests were found", open=True)
        return Ruling("unverified", f"the tests do not run here: {after.why}", open=True)
    if excused:
        return Ruling("unverified", f"only tests that the attempt rewrote run: {after.why}")
    return Ruling("fail", f"the tests ran before and now: {after.why}", 1.0, 0.0)


def _base_did_not_run(base: Run, after: Run, own: Run | None) -> Ruling:
    bad = after.bad | (own.bad if own else frozenset())
    if contradiction := _planted(base, after) or _deaf(after):
        return Ruling("fail", contradiction, 1.0, 0.0)
    if base.state == "no tests":
        return Ruling("unverified", "only tests of the attempt's own ran", open=not bad)
    if bad or not after.passed:
        return Ruling("unverified", f"the tests run now, {_tests(bad)} fail; before: {base.why}")
    return Ruling("pass", f"{_tests(after.passed)} run and pass; before: {base.why}", 1.0, 1.0)


def rule_new_tests(new: frozenset[str], tried: Sequence[tuple[Fault, bool]]) -> Ruling:
    """What faults that were planted say of tests that were asked for."""
    if not new:
        return Ruling("unverified", "tests were asked for, and no new one passes")
    if not tried:
        return Ruling("unverified", f"{_tests(new)} pass; no fault could be planted to try them on")
    noticed = sum(killed for _, killed in tried)
    share = noticed / len(tried)
    said = f"{_tests(new)} added; they notice {noticed} of {len(tried)} planted faults"
    missed = [f"{fault.path}:{fault.line} ({fault.what})" for fault, killed in tried if not killed]
    if missed:
        said += f", not {', '.join(missed[:3])}"
    if not noticed:
        return Ruling("fail", said, 1.0, 0.0)
    return Ruling("pass", said, 1.0 if share >= 0.5 else 0.5, share)


def _planted(base: Run, after: Run) -> str:
    """What is wrong with the report on the planted tests, which the base reported as they are."""
    expected = [test for test, right in base.planted.items() if right]
    if all(after.planted.get(test) for test in expected or after.planted):
        return ""
    return "the results cannot be believed: tests that were planted are not reported as they are"


def _deaf(after: Run) -> str:
    if not after.deaf:
        return ""
    some = _names(frozenset(after.deaf))
    return f"the results cannot be believed: {some} reported as passed when made to fail, too"


def _contradiction(base: Run, after: Run) -> str:
    """Where exit code and results do not agree, though they did on the base."""
    failing = len(after.bad) + sum(test.endswith("_fails") for test in after.planted)
    lenient = base.exit == 0 and (base.bad or base.planted)
    if after.exit == 0 and failing and not lenient:
        return f"the exit code says success though {failing} tests fail"
    usual = base.exit if base.planted and not base.bad else 0
    if after.exit != usual and not after.bad and base.exit == usual:
        return f"no test failed, but the command ended with exit code {after.exit}"
    return ""


def _score(dimension: str, base: Run, after: Run, diff: TestDiff) -> float:
    """Share of the passing tests that were kept times share of the failing that were fixed.

    Tests that failed before count only where their repair was asked or some were fixed.
    """
    kept = len(base.passed & after.passed)
    harmony = kept / (kept + len(diff.broken)) if kept or diff.broken else 1.0
    failing = len(diff.fixed) + len(diff.still_failing)
    if failing and (diff.fixed or dimension == REPAIR):
        return harmony * len(diff.fixed) / failing
    return harmony


def _tests(tests: Sequence[str] | frozenset[str]) -> str:
    return f"{len(tests)} test{'' if len(tests) == 1 else 's'}"


def _names(tests: frozenset[str]) -> str:
    names = sorted(tests)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
