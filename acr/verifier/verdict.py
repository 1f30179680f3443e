"""Signals -> Verdict: what an attempt did to the tests, weighed by the kind of request."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache as cached
from importlib import resources
from pathlib import Path
from typing import Any

from acr import git
from acr.errors import SandboxError
from acr.nouns import (
    Attempt,
    Repository,
    Signal,
    Snapshot,
    Task,
    TestCommand,
    TestDiff,
    Verdict,
    VerdictStatus,
)
from acr.settings import VerifierSettings
from acr.verifier import findings, sandbox, tampering, workcopy
from acr.verifier.sandbox import toolchain
from acr.verifier.sandbox.engine import Job, Sandbox
from acr.verifier.sandbox.toolchain import Toolchain
from acr.verifier.signals import rules, syntax
from acr.verifier.signals import tests as tests_signal
from acr.verifier.signals.tests import Run
from acr.verifier.tampering import Restoration

__all__ = ["Baseline", "Ruling", "prepare", "rule", "weights"]

Progress = Callable[[str], None]
ANSWERED = "code_understanding"
"""The dimension whose result is an answer: the tree stays as it was."""
REPAIR = "bug_fixing"
"""The dimension in which failing tests are the work that was asked."""
WRITES_TESTS = "test_generation"
FAIL_CAP = 0.49
"""A failed verdict's score is at most this: one broken test outweighs many whole ones."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the runs of the tests decide."""

    status: VerdictStatus
    reason: str
    strength: float = 0.0
    score: float | None = None
    """Of the signal `tests`; None when the tests told nothing."""


def prepare(
    repository: Repository,
    snapshot: Snapshot,
    settings: VerifierSettings,
    run_dir: Path,
    cache: Path,
    redact: Callable[[str], str] = str,
    *,
    worktree: Snapshot | None = None,
) -> Baseline:
    """Keeps what the base's tests need, before an agent changes the tree; a context manager.

    `snapshot` is the base; the tree on disk is at `worktree`, or at the base too. Logs and
    copies go below `run_dir`; results of the base are looked for in `cache`; `redact` is put
    on all text that is kept. Raises SandboxError when there are tests and nowhere to run them.
    """
    folder = run_dir / "verify"
    workcopy.sweep(run_dir.parent)
    baseline = Baseline(repository, snapshot, settings, folder, cache, redact)
    if repository.test is not None:
        baseline.ready(repository.test, worktree)
    return baseline


class Baseline(contextlib.AbstractContextManager["Baseline"]):
    """The state before the attempt, and the judge of what came after."""

    def __init__(
        self,
        repository: Repository,
        snapshot: Snapshot,
        settings: VerifierSettings,
        folder: Path,
        cache: Path,
        redact: Callable[[str], str],
    ) -> None:
        self.repository, self.snapshot, self.settings = repository, snapshot, settings
        self.folder, self.cache, self.redact = folder, cache, redact
        self._engine: Sandbox | None = None
        self._toolchain = Toolchain({}, ())
        self._copy: Path | None = None
        self._run: Run | None = None
        self._file = cache / "none"
        self._last = snapshot

    def ready(self, command: TestCommand, worktree: Snapshot | None) -> None:
        """Chooses the engine and takes the base's copy, unless its result is known."""
        root = self.repository.root
        self._engine = sandbox.choose(self.settings)
        self._toolchain = toolchain.resolve(command, root)
        self._file = self.cache / f"{self._key(command)}.json"
        self._run = tests_signal.from_cache(self._file)
        if self._run is not None:
            return
        self._copy = workcopy.copy(root, self.folder, self.settings.limits)
        if worktree is not None and worktree.tree != self.snapshot.tree:
            changes = git.changed(self.snapshot, worktree)
            added = [path for status, path in changes if status == "A"]
            others = [path for status, path in changes if status != "A"]
            workcopy.rewind(self._copy, self.snapshot, others, added)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the base's copy; logs stay."""
        if self._copy is not None:
            workcopy.remove(self._copy)
            self._copy = None

    def judge(
        self, task: Task, attempt: Attempt | None, after: Snapshot, progress: Progress
    ) -> Verdict:
        """How the tree `after` an attempt compares with the base.

        The first line that applies decides the status:

        | what is known                                            | status     | strength |
        |----------------------------------------------------------|------------|----------|
        | the user stopped it, or it did not finish and changed nothing | unverified | 0   |
        | an answer was asked: tree unchanged / changed            | unverified / fail | 0 / 1 |
        | a changed file no longer parses, or has conflict markers | fail       | 1        |
        | no test command, no sandbox, no copy, engine died        | unverified | 0        |
        | nothing changed: a repair was asked and tests fail / else | fail / unverified | 1 / 0 |
        | tests that ran before now hang, crash or are gone        | fail       | 1        |
        | tests broke, though pass in the form the attempt gave them | unverified | 0      |
        | tests broke, or the attempt's own new tests fail         | fail       | 1        |
        | exit code and results contradict each other              | fail       | 1        |
        | failing tests were fixed, none broke                     | pass       | 1        |
        | a repair was asked and no failing test was fixed         | fail       | 1        |
        | tests pass as before                                     | pass       | 0.5      |
        | only tests of the attempt's own pass, or none            | unverified | 0        |

        The score is u = sum(w * s) over the signals present (arXiv 2606.22902, Eq. 8), at most
        0.49 when the status is fail. Where tests were touched, the run with the base's tests
        decides and a second one shows the attempt's own.
        """
        idle = after.tree == self._last.tree
        self._last = after
        changes = git.changed(self.snapshot, after)
        answered = task.dimension == ANSWERED
        marked = rules.conflicts(self.snapshot, after, tampering.is_test)
        nothing_asked = attempt is None and not changes
        said = [] if nothing_asked else [rules.signal(bool(changes), not answered, marked)]
        case = _Case(task.dimension, attempt, changes)
        if early := _without_tests(case, idle):
            return self._verdict(case, said, early)
        undo = tampering.restoration(changes, self.snapshot, after)
        if undo.touched:
            said.append(_tampering_signal(undo, task.dimension))
        with contextlib.ExitStack() as stack:
            broken = self._broken_files(case, after, stack)
            said.append(syntax.signal(*broken))
            if broken[0] or marked:
                where = ", ".join([*broken[0], *marked])
                ruling = Ruling("fail", f"{where}: does not parse any more", 1.0)
                return self._verdict(case, said, ruling)
            return self._by_tests(case, said, undo, after, progress)

    def _by_tests(
        self,
        case: _Case,
        said: list[Signal],
        undo: Restoration,
        after: Snapshot,
        progress: Progress,
    ) -> Verdict:
        command, engine = self.repository.test, self._engine
        if command is None or engine is None:
            ruling = Ruling("unverified", "no test command was found; set one in config.toml")
            return self._verdict(case, said, ruling)
        try:
            base = self._base(command, engine, progress)
            if not case.changes:
                deciding, own = base, None
            else:
                deciding, own = self._after(case, command, engine, undo, progress)
        except SandboxError as e:
            return self._verdict(case, said, Ruling("unverified", str(e)))
        diff = tests_signal.compare(base, deciding, own)
        ruling = rule(case.dimension, base, deciding, own, diff, undo, bool(case.changes))
        logs = self._logs(case, base, deciding, own)
        said.append(Signal("tests", ruling.score, 0.0, _counts(diff), logs))
        verdict = self._verdict(case, said, ruling)
        text = findings.write(ruling.reason, diff, deciding, own, self.redact)
        return replace(
            verdict,
            tests=diff,
            findings="" if ruling.status == "pass" else text,
            sandbox=_where(engine, command, base, deciding, own),
        )

    def _base(self, command: TestCommand, engine: Sandbox, progress: Progress) -> Run:
        """The base's results: known, or had now from its copy."""
        if self._run is None:
            if self._copy is None:
                raise SandboxError("the copy of the base is gone. Tests were not run")
            progress(f"running the tests of the base in {engine.name}")
            self._run = self._tests(command, engine, self._copy)
            tests_signal.to_cache(self._redacted(self._run), self._file)
            self.close()
        return self._run

    def _after(
        self,
        case: _Case,
        command: TestCommand,
        engine: Sandbox,
        undo: Restoration,
        progress: Progress,
    ) -> tuple[Run, Run | None]:
        """(the run that decides, the run on the attempt's own tests where that differs)."""
        undone = undo.needed and case.dimension != WRITES_TESTS
        with self._fresh_copy() as copy:
            if undone:
                workcopy.rewind(copy, self.snapshot, undo.restore, undo.delete)
                workcopy.write(copy, undo.rewrite)
            what = "the base's tests on" if undone else "the tests after"
            progress(f"running {what} the attempt in {engine.name}")
            deciding = self._tests(command, engine, copy)
        if not undone:
            return deciding, None
        with self._fresh_copy() as copy:
            progress(f"running the attempt's own tests in {engine.name}")
            return deciding, self._tests(command, engine, copy)

    @contextlib.contextmanager
    def _fresh_copy(self) -> Iterator[Path]:
        copy = workcopy.copy(self.repository.root, self.folder, self.settings.limits)
        try:
            yield copy
        finally:
            workcopy.remove(copy)

    def _tests(self, command: TestCommand, engine: Sandbox, copy: Path) -> Run:
        root, limits = self.repository.root, self.settings.limits
        return tests_signal.run_tests(
            engine, command, self._toolchain, copy, root, limits, self.folder
        )

    def _broken_files(
        self, case: _Case, after: Snapshot, stack: contextlib.ExitStack
    ) -> tuple[dict[str, str], int]:
        """Changed files that do not parse; Python's are asked of the project's own Python too."""
        broken, count = syntax.broken_files(
            case.changes, self.snapshot, after, tampering.is_fixture
        )
        engine = self._engine
        doubtful = [path for path in broken if path.endswith((".py", ".pyi"))]
        if engine is None or not doubtful:
            return broken, count
        copy = stack.enter_context(self._fresh_copy())
        job = Job(
            ["python3", "-I", "-c", syntax.CHECK, *doubtful],
            copy,
            self.repository.root,
            self.settings.limits,
            self._toolchain.env,
            readonly=self._toolchain.readonly,
        )
        try:
            newer = str(engine.run(job).stdout).splitlines()
        except SandboxError:
            newer = []
        return {path: why for path, why in broken.items() if f"parses {path}" not in newer}, count

    def _key(self, command: TestCommand) -> str:
        """What the base's results depend on."""
        engine = self._engine
        parts: list[Any] = [
            self.snapshot.tree,
            command.argv,
            command.cwd,
            command.kind,
            engine.name if engine else "",
            engine.probe().version if engine else "",
            self.settings.image,
            self.settings.runtime,
            dataclasses.asdict(self.settings.limits),
            sorted(self._toolchain.env.items()),
            workcopy.dependencies(self.repository.root, self._toolchain.readonly),
            os.geteuid(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _redacted(self, run: Run) -> Run:
        messages = {test: self.redact(text) for test, text in run.messages.items()}
        return replace(run, messages=messages, output=self.redact(run.output))

    def _logs(self, case: _Case, base: Run, after: Run, own: Run | None) -> str:
        """Writes the runs' output; returns the path of the deciding one below the run's folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = case.attempt.id if case.attempt else "tree"
        for kind, run in (("base", base), ("after", after), ("own", own)):
            if run is not None:
                file = self.folder / f"{name}-{kind}.log"
                file.write_text(self.redact(run.output) + "\n", errors="replace")
                file.chmod(0o600)
        return f"verify/{name}-after.log"

    def _verdict(self, case: _Case, said: Sequence[Signal], ruling: Ruling) -> Verdict:
        signals, score = _weighed(case.dimension, said)
        if ruling.status == "fail":
            score = min(score, FAIL_CAP)
        text = "" if ruling.status == "pass" else ruling.reason
        return Verdict(
            status=ruling.status,
            score=round(score, 4),
            signals=signals,
            reason=ruling.reason,
            findings=self.redact(text)[: findings.CAP],
            changed=tuple(path for _, path in case.changes),
            strength=ruling.strength,
        )


@dataclass(frozen=True, slots=True)
class _Case:
    """What is judged."""

    dimension: str
    attempt: Attempt | None
    changes: tuple[tuple[str, str], ...]


def _without_tests(case: _Case, idle: bool) -> Ruling | None:
    """The ruling where no test needs to run; None where one does."""
    attempt, asked_answer = case.attempt, case.dimension == ANSWERED
    if attempt and attempt.status == "aborted":
        return Ruling("unverified", "stopped by the user")
    if attempt and attempt.status != "done" and idle:
        return Ruling("unverified", f"the agent did not finish ({attempt.status}), changed nothing")
    if not asked_answer:
        return None
    if case.changes:
        files = len(case.changes)
        return Ruling("fail", f"an answer was asked, but {files} files were changed", 1.0)
    return Ruling("unverified", "an answer was asked; nothing can be run to check it")


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
    excused = undo.rewrote_tests and own is not None and own.state == "ran" and not own.bad
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
    if contradiction := _contradiction(base, after):
        return Ruling("fail", contradiction, 1.0, 0.0)
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
            return Ruling("unverified", "no tests were found")
        return Ruling("unverified", f"the tests do not run here: {after.why}")
    if excused:
        return Ruling("unverified", f"only tests that the attempt rewrote run: {after.why}")
    return Ruling("fail", f"the tests ran before and now: {after.why}", 1.0, 0.0)


def _base_did_not_run(base: Run, after: Run, own: Run | None) -> Ruling:
    bad = after.bad | (own.bad if own else frozenset())
    if base.state == "no tests":
        return Ruling("unverified", "only tests of the attempt's own ran")
    if bad or not after.passed:
        return Ruling("unverified", f"the tests run now, {_tests(bad)} fail; before: {base.why}")
    return Ruling("pass", f"{_tests(after.passed)} run and pass; before: {base.why}", 1.0, 1.0)


def _contradiction(base: Run, after: Run) -> str:
    """Where exit code and results do not agree, though they did on the base."""
    if after.exit == 0 and after.bad:
        return f"the exit code says success though {_tests(after.bad)} fail"
    if after.exit != 0 and not after.bad and base.exit == 0:
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


def _weighed(dimension: str, said: Sequence[Signal]) -> tuple[tuple[Signal, ...], float]:
    """Signals with their normalised weights, and the score they add up to."""
    table = weights(dimension)
    present = {s.name: table.get(s.name, 0.0) for s in said if s.score is not None}
    total = sum(present.values())
    share = {name: weight / total for name, weight in present.items()} if total else {}
    weighed = tuple(replace(s, weight=round(share.get(s.name, 0.0), 4)) for s in said)
    return weighed, sum(share.get(s.name, 0.0) * (s.score or 0.0) for s in said)


def weights(dimension: str) -> Mapping[str, float]:
    """Weight by signal name for a dimension; unknown dimensions have the default's."""
    tables = _weights()
    return {**tables["default"], **tables.get(dimension, {})}


@cached
def _weights() -> Mapping[str, Mapping[str, float]]:
    return tomllib.loads((resources.files("acr") / "data" / "weights.toml").read_text("utf-8"))


def _tampering_signal(undo: Restoration, dimension: str) -> Signal:
    restored = undo.needed and dimension != WRITES_TESTS
    said = "; the base's tests and settings decided" if restored else ""
    shown = ", ".join(undo.touched[:20]) + (" …" if len(undo.touched) > 20 else "")
    return Signal("tampering", None, 0.0, f"touched: {shown}{said}")


def _counts(diff: TestDiff) -> str:
    parts = ("fixed", "broken", "still_failing", "new", "missing")
    said = [f"{n} {part.replace('_', ' ')}" for part in parts if (n := len(getattr(diff, part)))]
    return ", ".join([f"{diff.passed} passed, {diff.failed} failed", *said])


def _where(
    engine: Sandbox, command: TestCommand, base: Run, after: Run, own: Run | None
) -> dict[str, Any]:
    def brief(run: Run) -> dict[str, Any]:
        return {"state": run.state, "exit": run.exit, "seconds": round(run.duration, 3)}

    runs = {"base": base, "after": after, "own": own}
    return {
        "engine": engine.name,
        "version": engine.probe().version,
        "grade": engine.grade,
        "command": list(command.argv),
        "cwd": command.cwd,
        "source": command.source,
        "enforced": dict(after.enforced or base.enforced),
        "runs": {name: brief(run) for name, run in runs.items() if run is not None},
    }


def _tests(tests: Sequence[str] | frozenset[str]) -> str:
    return f"{len(tests)} test{'' if len(tests) == 1 else 's'}"


def _names(tests: frozenset[str]) -> str:
    names = sorted(tests)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
