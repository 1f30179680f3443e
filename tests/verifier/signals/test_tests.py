"""Base against after, by test id."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from acr.verifier.signals.results import State
from acr.verifier.signals.tests import Run, compare, from_cache, steadied, to_cache

IDS = st.sampled_from(["a", "b", "c", "d"])
STATES: list[State] = ["passed", "failed", "error", "skipped"]
STATE = st.sampled_from(STATES)
RUNS = st.dictionaries(IDS, STATE).map(lambda states: Run("ran", 0, states))


def ran(**states: State) -> Run:
    return Run("ran", 0, states)


@given(RUNS, RUNS)
def test_every_test_of_the_base_is_accounted_for(base: Run, after: Run) -> None:
    diff = compare(base, after)
    fixed, broken, still = set(diff.fixed), set(diff.broken), set(diff.still_failing)
    assert fixed | still == base.bad
    assert not fixed & still
    assert broken <= base.passed
    assert broken.isdisjoint(after.passed)
    assert set(diff.new) == set(after.states) - set(base.states)
    assert set(diff.missing) <= set(base.states) - set(after.states)
    assert diff.passed + diff.failed + diff.skipped == len(after.states)


@given(RUNS)
def test_the_same_results_change_nothing(run: Run) -> None:
    diff = compare(run, run)
    assert (diff.fixed, diff.broken, diff.new, diff.missing) == ((), (), (), ())


def test_skipped_and_gone_are_broken_or_still_failing() -> None:
    base = ran(a="passed", b="passed", c="failed", d="failed")
    diff = compare(base, ran(a="skipped", c="skipped"))
    assert diff.broken == ("a", "b")
    assert diff.still_failing == ("c", "d")
    assert diff.missing == ("b", "d")


def test_a_file_that_could_not_be_loaded_and_now_can_is_fixed() -> None:
    assert compare(ran(file="error"), ran(one="passed")).fixed == ("file",)
    assert compare(ran(file="error"), Run("timeout")).still_failing == ("file",)


def test_what_fails_once_and_passes_again_is_flaky_and_what_fails_twice_is_broken() -> None:
    base = ran(a="passed", b="passed", c="failed")
    after = Run("ran", 1, {"a": "failed", "b": "failed", "c": "failed"}, {"a": "oh", "b": "no"})
    found = steadied(base, after, Run("ran", 2, {"a": "passed", "b": "failed", "c": "passed"}))
    assert (found.flaky, found.exit) == (("a",), 2)
    assert found.states == {"a": "passed", "b": "failed", "c": "failed"}
    assert found.messages == {"b": "no"}
    assert steadied(base, after, Run("timeout")) is after


@given(RUNS, RUNS, RUNS)
def test_repeating_never_makes_a_failing_test_of_the_base_fixed(
    base: Run, after: Run, again: Run
) -> None:
    assert compare(base, steadied(base, after, again)).fixed == compare(base, after).fixed


def test_new_tests_come_from_the_attempts_own_run() -> None:
    diff = compare(ran(a="passed"), ran(a="passed"), ran(a="passed", n="failed"))
    assert diff.new == ("n",)
    assert (diff.passed, diff.failed) == (1, 1)


def test_the_cache_keeps_results_and_not_accidents(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "key.json"
    run = Run("ran", 1, {"a": "failed"}, {"a": "no"}, "", "out", 0.5, {"network": "none"})
    to_cache(run, file)
    assert from_cache(file) == run
    for accident in (Run("timeout"), Run("out of memory"), Run("not run"), Run("disk full")):
        to_cache(accident, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()
    assert from_cache(tmp_path / "other.json") is None


def test_a_cache_file_that_cannot_be_read_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    for text in ("", "{", "[]", '{"version": 0}', '{"version": 1, "surprise": 2}', "\0"):
        file.write_text(text)
        assert from_cache(file) is None
