"""The verdict: signals, weighed by the kind of task, and a status that rests on executed tests."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType

from acr import git
from acr.errors import SandboxError
from acr.nouns import Attempt, Repository, Signal, Snapshot, Task, TestDiff, Verdict, VerdictStatus
from acr.settings import VerifierSettings
from acr.verifier import tampering
from acr.verifier.sandbox import choose
from acr.verifier.sandbox.engine import Sandbox
from acr.verifier.signals import rules, syntax, tests
from acr.verifier.signals.tests import TestRun
from acr.verifier.workcopy import private_copy

__all__ = ["Baseline", "prepare"]

REPAIR = "bug_fixing"
FINDINGS = 4000
"""Characters that the next agent gets."""
Progress = Callable[[str], None]


def prepare(
    repository: Repository,
    snapshot: Snapshot,
    settings: VerifierSettings,
    run_dir: Path,
    cache: Path,
    redact: Callable[[str], str] = str,
    base_tree: Path | None = None,
) -> Baseline:
    """Takes what a later judgement needs, before an agent changes anything.

    The base is the work tree as it is now, or the folder `base_tree`. Raises SandboxError when
    no sandbox works, or the tree is too large to copy.
    """
    engine = choose(settings) if repository.test else None
    made = Baseline(repository, snapshot, settings, engine, run_dir, cache, redact)
    made.keep(base_tree or repository.root)
    return made


class Baseline:
    """The tree before; a context manager that owns a private copy of it."""

    def __init__(
        self,
        repository: Repository,
        snapshot: Snapshot,
        settings: VerifierSettings,
        engine: Sandbox | None,
        run_dir: Path,
        cache: Path,
        redact: Callable[[str], str],
    ) -> None:
        self.repository, self.snapshot, self.settings = repository, snapshot, settings
        self.engine, self.run_dir, self.cache, self.redact = engine, run_dir, cache, redact
        self._open = contextlib.ExitStack()
        self._copy: Path | None = None

    def keep(self, tree: Path) -> None:
        """Copies the base, unless its result is known already."""
        if self.engine and self.repository.test and not self._stored().exists():
            made = private_copy(tree, self.run_dir, self.settings.limits)
            self._copy = self._open.enter_context(made)

    def __enter__(self) -> Baseline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._open.close()

    def judge(
        self, task: Task, attempt: Attempt | None, after: Snapshot, progress: Progress
    ) -> Verdict:
        """The verdict on the tree in `after`.

        | what is known | status |
        |---|---|
        | no test command, no sandbox, no test that ran | unverified |
        | the agent could not run and changed nothing | unverified |
        | tests broke, vanished, or the run as a whole failed | fail |
        | a repair was asked and failing tests still fail | fail |
        | nothing was changed although work was asked | fail for a repair, else unverified |
        | at least one test passed, none of the above | pass |
        """
        paths = tuple(path for _, path in git.changed(self.snapshot, after))
        stopped = attempt is not None and attempt.status != "done"
        if stopped and not paths:
            return self._without_tests(task, after, paths, "the agent changed nothing")
        if self.repository.test is None or self.engine is None:
            return self._without_tests(task, after, paths, "no test command was found")
        try:
            base, result = self._run_both(task, paths, progress)
        except SandboxError as e:
            return self._without_tests(task, after, paths, str(e))
        return self._decided(task, after, paths, base, result)

    def _run_both(
        self, task: Task, paths: Sequence[str], progress: Progress
    ) -> tuple[TestRun, TestRun]:
        command, limits = self.repository.test, self.settings.limits
        assert command
        assert self.engine
        base = tests.read_cached(self._stored())
        if base is None:
            progress("running the tests as they were")
            assert self._copy
            base = tests.run_tests(self.engine, command, self.repository.root, self._copy, limits)
            if not base.died:
                tests.write_cached(self._stored(), base)
        progress("running the tests on the result")
        with private_copy(self.repository.root, self.run_dir, limits) as copy:
            if task.dimension != "test_generation":
                git.materialise(self.snapshot, copy, tampering.restorable(paths))
            result = tests.run_tests(self.engine, command, self.repository.root, copy, limits)
        log = self.run_dir / "tests.txt"
        log.write_text(self.redact(result.output), encoding="utf-8", errors="replace")
        log.chmod(0o600)
        return base, result

    def _decided(
        self, task: Task, after: Snapshot, paths: tuple[str, ...], base: TestRun, result: TestRun
    ) -> Verdict:
        diff = tests.compare(base, result)
        weights = _weights(task.dimension)
        signals = (
            tests.signal(result, None if result.died or base.died else diff, weights["tests"]),
            *self._others(task, after, paths, weights),
        )
        status, reason = _status(task, paths, base, result, diff)
        return Verdict(
            status=status,
            score=_score(signals) if status != "unverified" else 0.0,
            signals=signals,
            tests=diff,
            sandbox=result.sandbox,
            reason=reason,
            findings=self.redact(_findings(reason, diff, result)) if status == "fail" else "",
            changed=paths,
            strength=_strength(status, diff),
        )

    def _without_tests(
        self, task: Task, after: Snapshot, paths: tuple[str, ...], why: str
    ) -> Verdict:
        weights = _weights(task.dimension)
        missing = Signal("tests", None, weights["tests"], why)
        signals = (missing, *self._others(task, after, paths, weights))
        return Verdict("unverified", 0.0, signals, reason=f"not verified: {why}", changed=paths)

    def _others(
        self, task: Task, after: Snapshot, paths: Sequence[str], weights: dict[str, float]
    ) -> Iterator[Signal]:
        files = [(p, raw) for p in paths if (raw := git.read(after, p)) is not None]
        yield syntax.signal(files, weights["syntax"])
        everything = files + [(p, b"") for p in paths if p not in dict(files)]
        yield rules.signal(task.dimension, everything, weights["rules"])
        if touched := tampering.judging_files(paths):
            kept = "" if task.dimension == "test_generation" else "; base versions of tests decide"
            yield Signal("tampering", None, 0.0, f"touched: {', '.join(touched)}{kept}")

    def _stored(self) -> Path:
        assert self.repository.test
        assert self.engine
        key = tests.cache_key(
            self.snapshot.tree,
            self.repository.test,
            self.repository.root,
            self.engine,
            self.settings,
        )
        return self.cache / f"{key}.json"


def _status(
    task: Task, paths: Sequence[str], base: TestRun, result: TestRun, diff: TestDiff
) -> tuple[VerdictStatus, str]:
    repair = task.dimension == REPAIR
    if base.died or result.died:
        return "unverified", f"not verified: {base.died or result.died}"
    if result.problem:
        same = base.problem == result.problem and not repair
        return ("unverified" if same else "fail"), result.problem
    new_failing = [i for i in diff.new if result.results.get(i) == "fail"]
    if bad := (*diff.broken, *diff.missing, *new_failing):
        what = "broke" if diff.broken else "vanished" if diff.missing else "fail that are new"
        return "fail", f"{_many(len(bad), 'test')} {what}: {_some(bad)}"
    if repair and diff.still_failing:
        return "fail", f"still failing: {_some(diff.still_failing)}"
    if not paths and task.dimension != rules.CHANGES_NOTHING:
        return "unverified", "not verified: nothing was changed"
    if not diff.passed:
        return "unverified", "not verified: no test passed" if result.results else NO_TESTS
    if task.dimension == rules.CHANGES_NOTHING:
        return "unverified", "not verified: an explanation cannot be tested"
    fixed = f", {len(diff.fixed)} fixed" if diff.fixed else ""
    return "pass", f"{_many(diff.passed, 'test')} passed{fixed}"


NO_TESTS = "not verified: no test was found by the test command"


def _score(signals: Sequence[Signal]) -> float:
    """u = sum of w_k s_k over the signals present, weights made to sum to 1 (arXiv 2606.22902)."""
    present = [(s.score, s.weight) for s in signals if s.score is not None and s.weight > 0]
    whole = sum(weight for _, weight in present)
    return sum(score * weight for score, weight in present) / whole if whole else 0.0


def _strength(status: VerdictStatus, diff: TestDiff) -> float:
    """How much the verdict counts: a test that changed sides says more than tests as before."""
    if status == "unverified":
        return 0.0
    return 1.0 if status == "fail" or diff.fixed else 0.5


def _findings(reason: str, diff: TestDiff, result: TestRun) -> str:
    failing = [i for i, state in result.results.items() if state == "fail"]
    head = f"{reason}\nFailing: {_some(failing, 20)}\n" if failing else f"{reason}\n"
    room = FINDINGS - len(head)
    return head[:FINDINGS] + ("Output:\n" + result.output[-max(0, room - 8) :] if room > 8 else "")


def _some(ids: Sequence[str], limit: int = 3) -> str:
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


@cache
def _weights(dimension: str) -> dict[str, float]:
    """Weights of the signals for a dimension, from data/weights.toml."""
    path = Path(__file__).parent.parent / "data" / "weights.toml"
    table: dict[str, dict[str, float]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {**table["default"], **table.get(dimension, {})}
