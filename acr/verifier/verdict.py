"""Signals -> Verdict: what an attempt did to the tests, weighed by the kind of request."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
)
from acr.settings import VerifierSettings
from acr.verifier import findings, tampering, workcopy
from acr.verifier.ground import Ground, Progress
from acr.verifier.ruling import Ruling, rule, rule_new_tests
from acr.verifier.sandbox import toolchain
from acr.verifier.sandbox.engine import Sandbox
from acr.verifier.signals import lints, mutation, prompt_tests, rules, runners, syntax
from acr.verifier.signals import tests as tests_signal
from acr.verifier.signals.falsified import falsified, falsified_scripts
from acr.verifier.signals.judge import Judge, rated
from acr.verifier.signals.prompt_tests import Held
from acr.verifier.signals.runners import EXIT_CODE
from acr.verifier.signals.tests import Run
from acr.verifier.tampering import Restoration
from acr.verifier.weights import weighed

__all__ = ["Baseline", "prepare"]

ANSWERED = "code_understanding"
"""The dimension whose result is an answer: the tree stays as it was."""
WRITES_TESTS = "test_generation"
PACKAGES = ("node_modules", ".venv", "venv", ".tox")
"""Folders of installed packages that builds and tests leave alone."""
AGAIN = 300.0
"""Seconds; a run that took longer is not repeated to tell flaky tests from broken ones."""
FAIL_CAP = 0.49
"""A failed verdict's score is at most this: one broken test outweighs many whole ones."""


def prepare(
    repository: Repository,
    snapshot: Snapshot,
    settings: VerifierSettings,
    run_dir: Path,
    cache: Path,
    redact: Callable[[str], str] = str,
    *,
    worktree: Snapshot | None = None,
    judge: Judge | None = None,
) -> Baseline:
    """Keeps what the base's tests need, before an agent changes the tree; a context manager.

    `snapshot` is the base; the tree on disk is at `worktree`, or at the base too. Logs and
    copies go below `run_dir`; results of the base are looked for in `cache`; `redact` is put
    on all text that is kept; `judge` is asked about what nothing can be run to check. Raises
    SandboxError when there are tests and nowhere to run them.
    """
    folder = run_dir / "verify"
    workcopy.sweep(run_dir.parent)
    baseline = Baseline(repository, snapshot, settings, folder, cache, redact, judge)
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
        judge: Judge | None = None,
    ) -> None:
        self.ground = Ground(repository, snapshot, settings, folder)
        self.cache, self.redact, self.opinion = cache, redact, judge
        self._copy: Path | None = None
        self._run: Run | None = None
        self._file = cache / "none"
        self._last = snapshot
        self._installed: dict[str, str] = {}
        self._hidden: dict[str, bytes] = {}

    def ready(self, command: TestCommand, worktree: Snapshot | None) -> None:
        """Chooses the engine and takes the base's copy, unless its result is known."""
        ground = self.ground
        engine = ground.ready()
        ground.tools = toolchain.resolve(command, ground.root)
        self._installed = workcopy.installed(ground.root)
        self._hidden = tampering.hidden(ground.root, git.paths(ground.base))
        self._file = self.cache / f"{self._key(command, engine)}.json"
        self._run = tests_signal.from_cache(self._file)
        if self._run is not None:
            return
        self._copy = workcopy.copy(ground.root, ground.folder, ground.settings.limits)
        if worktree is not None and worktree.tree != ground.base.tree:
            ground.undo(self._copy, git.changed(ground.base, worktree))

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
        | tests broke (twice), or the attempt's own new tests fail | fail       | 1        |
        | exit code and results contradict each other              | fail       | 1        |
        | tests that pass now pass when they are made to fail, too  | fail       | 1        |
        | failing tests were fixed, none broke                     | pass       | 1        |
        | a repair was asked and no failing test was fixed         | fail       | 1        |
        | tests pass as before, the agent did not finish / else    | unverified / pass | 0 / 0.5 |
        | no test tells anything, the prompt's examples hold and did not | pass | 0.5      |
        | only tests of the attempt's own pass, or none            | unverified | 0        |

        Tests that were asked for are judged by faults that are planted in the code: they pass
        with strength 1 when they notice half of them, 0.5 when some, and fail when they notice
        none; without new tests, or where no fault can be planted, it is unverified.

        The score is u = sum(w * s) over the signals present (arXiv 2606.22902, Eq. 8), at most
        0.49 when the status is fail. Where tests were touched, the run with the base's tests
        decides and a second one shows the attempt's own. What stays unverified may get a score
        from a judge, where one is configured; its opinion never makes a pass.
        """
        verdict = self._by_evidence(task, attempt, after, progress)
        asked = task.dimension == ANSWERED or verdict.changed
        if self.opinion is None or verdict.status != "unverified" or not asked:
            return verdict
        if attempt is None or attempt.status != "done":
            return verdict
        return self._with_opinion(self.opinion, task, attempt, after, verdict, progress)

    def _with_opinion(
        self,
        judge: Judge,
        task: Task,
        attempt: Attempt,
        after: Snapshot,
        verdict: Verdict,
        progress: Progress,
    ) -> Verdict:
        progress(f"asking {judge.name}, twice")
        patch = git.diff(self.ground.base, after).decode(errors="replace")
        try:
            with self.ground.copy() as copy:
                said = rated(judge, task, attempt, patch, copy)
        except SandboxError as e:
            said = Signal("judge", None, 0.0, str(e))
        said = replace(said, detail=self.redact(said.detail))
        own = self.ground.settings.weights
        signals, score = weighed(task.dimension, [*verdict.signals, said], own)
        return replace(verdict, signals=signals, score=round(score, 4))

    def _by_evidence(
        self, task: Task, attempt: Attempt | None, after: Snapshot, progress: Progress
    ) -> Verdict:
        """The verdict by all that was run or read."""
        idle = after.tree == self._last.tree
        self._last = after
        base = self.ground.base
        changes = git.changed(base, after)
        answered = task.dimension == ANSWERED
        found = rules.added(changes, base, after, self.redact, tampering.is_test)
        nothing_asked = attempt is None and not changes
        said = [] if nothing_asked else [rules.signal(bool(changes), not answered, found)]
        case = _Case(task.dimension, attempt, changes)
        if early := _without_tests(case, idle):
            return self._verdict(case, said, early)
        parsed = syntax.check(changes, base, after, tampering.is_fixture)
        syntax.ask_the_project(parsed, self.ground)
        said.append(syntax.signal(parsed))
        if parsed.broken or found.conflicts:
            where = ", ".join([*parsed.broken, *found.conflicts])
            ruling = Ruling("fail", f"{where}: does not parse any more", 1.0)
            return self._verdict(case, said, ruling)
        if linted := lints.signal(changes, self.ground):
            said.append(linted)
        held = prompt_tests.held(task.prompt, changes, after, self.ground, progress)
        if held is not None:
            said.append(prompt_tests.signal(held))
        return self._by_tests(replace(case, held=held), said, after, progress)

    def _by_tests(
        self, case: _Case, said: list[Signal], after: Snapshot, progress: Progress
    ) -> Verdict:
        undo = self._undo(case, after)
        restored = undo if undo.needed and case.dimension != WRITES_TESTS else None
        command, engine = self.ground.repository.test, self.ground.engine
        if command is None or engine is None:
            why = "no test command was found; set one in config.toml"
            ruling = Ruling("unverified", why, open=True)
            facts = _facts(engine, case.held.enforced) if engine and case.held else {}
            said += [tampering.signal(undo, bool(restored))] if undo.touched else []
            return replace(self._verdict(case, said, ruling), sandbox=facts)
        try:
            base = self._base(engine, progress)
            deciding, own = base, None
            if case.changes:
                deciding, own = self._after(base, restored, progress)
            diff = tests_signal.compare(base, deciding, own)
            ruling = rule(case.dimension, base, deciding, own, diff, undo, bool(case.changes))
            if ruling.status == "pass" and case.changes and case.dimension != WRITES_TESTS:
                deciding = self._doubted(base, deciding, restored, progress)
                ruling = rule(case.dimension, base, deciding, own, diff, undo, True)
            if case.dimension == WRITES_TESTS and (ruling.status == "pass" or ruling.open):
                new = deciding.passed - frozenset(base.states)
                tried = mutation.tried(new, case.changes, after, self.ground, progress)
                ruling = rule_new_tests(new, tried)
            ruling = _of_unfinished(case.attempt, ruling)
        except SandboxError as e:
            return self._verdict(case, said, Ruling("unverified", str(e)))
        planted = (base.planted, deciding.planted) if deciding.state == "ran" else None
        doubted = (deciding.doubted, len(deciding.deaf))
        said.append(tampering.signal(undo, bool(restored), planted, doubted))
        counted = _counts(diff) + (f", {len(deciding.flaky)} flaky" if deciding.flaky else "")
        logs = self._logs(case, base, deciding, own)
        said.append(Signal("tests", ruling.score, 0.0, counted, logs))
        verdict = self._verdict(case, said, ruling)
        text = findings.write(verdict.findings, diff, deciding, own, self.redact)
        return replace(
            verdict,
            tests=diff,
            findings="" if verdict.status == "pass" else text,
            sandbox=_where(engine, command, base, deciding, own),
        )

    def _undo(self, case: _Case, after: Snapshot) -> Restoration:
        """What the attempt did to tests and their settings, seen by git or not."""
        ground = self.ground
        command = ground.repository.test
        undo = tampering.restoration(case.changes, ground.base, after, command)
        if command is None or ground.engine is None:
            return undo
        now = tampering.hidden(ground.root, git.paths(after))
        undo = tampering.with_hidden(undo, self._hidden, now)
        packages = workcopy.installed(ground.root, PACKAGES)
        other = [f"packages in {p}" for p in PACKAGES if packages.get(p) != self._installed.get(p)]
        return replace(undo, touched=(*undo.touched, *other))

    def _base(self, engine: Sandbox, progress: Progress) -> Run:
        """The base's results: known, or had now from its copy."""
        if self._run is None:
            if self._copy is None:
                raise SandboxError("the copy of the base is gone. Tests were not run")
            progress(f"running the tests of the base in {engine.name}")
            self._run = self.ground.tests(self._copy)
            tests_signal.to_cache(self._redacted(self._run), self._file)
            self.close()
        return self._run

    def _after(
        self, base: Run, undo: Restoration | None, progress: Progress
    ) -> tuple[Run, Run | None]:
        """(the run that decides, the run on the attempt's own tests where that differs)."""
        where = f"the attempt in {self.ground.ready().name}"
        what = "the base's tests on" if undo else "the tests after"
        progress(f"running {what} {where}")
        deciding = self._decide(undo)
        if deciding.state == "ran" and base.passed - deciding.passed and deciding.duration < AGAIN:
            progress("running them again, to see whether they always fail")
            deciding = tests_signal.steadied(base, deciding, self._decide(undo))
        if not undo:
            return deciding, None
        progress(f"running the attempt's own tests in {self.ground.ready().name}")
        return deciding, self._decide(None)

    def _decide(self, undo: Restoration | None) -> Run:
        """The tests after the attempt, with `undo` applied to their copy."""
        with self._restored(undo) as copy:
            return self.ground.tests(copy)

    @contextlib.contextmanager
    def _restored(self, undo: Restoration | None) -> Iterator[Path]:
        """A copy of the tree after the attempt, with `undo` applied."""
        with self.ground.copy() as copy:
            if undo:
                workcopy.rewind(copy, self.ground.base, undo.restore, undo.delete)
                workcopy.write(copy, undo.rewrite)
            yield copy

    def _doubted(self, base: Run, after: Run, undo: Restoration | None, progress: Progress) -> Run:
        """`after`, with which of its newly passing tests pass when they are made to fail, too."""
        command, fresh = self.ground.repository.test, after.passed - base.passed
        if command is None or not fresh:
            return after
        with self._restored(undo) as copy:
            runner = runners.runner_of(command, copy) or "pytest"
            files, must_fail = falsified(runner, copy, command.cwd, fresh)
            if EXIT_CODE in fresh:
                called = tampering.scripts(command, self.ground.base)
                if more := falsified_scripts(copy, called):
                    files, must_fail = {**files, **more}, must_fail | {EXIT_CODE}
            if not must_fail:
                return after
            progress("running tests that were made to fail")
            workcopy.write(copy, files)
            ran = self.ground.tests(copy)
        deaf = tuple(sorted(must_fail & ran.passed))
        return replace(after, doubted=len(must_fail), deaf=deaf)

    def _key(self, command: TestCommand, engine: Sandbox) -> str:
        """What the base's results depend on."""
        ground = self.ground
        parts: list[Any] = [
            ground.base.tree,
            command.argv,
            command.cwd,
            command.kind,
            engine.name,
            engine.probe().version,
            ground.settings.image,
            ground.settings.runtime,
            dataclasses.asdict(ground.settings.limits),
            sorted(ground.tools.env.items()),
            sorted(self._installed.items()),
            workcopy.packages(ground.tools.readonly),
            os.geteuid(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _redacted(self, run: Run) -> Run:
        messages = {test: self.redact(text) for test, text in run.messages.items()}
        return replace(run, messages=messages, output=self.redact(run.output))

    def _logs(self, case: _Case, base: Run, after: Run, own: Run | None) -> str:
        """Writes the runs' output; returns the path of the deciding one below the run's folder."""
        self.ground.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = case.attempt.id if case.attempt else "tree"
        for kind, run in (("base", base), ("after", after), ("own", own)):
            if run is not None:
                file = self.ground.folder / f"{name}-{kind}.log"
                file.write_text(self.redact(run.output) + "\n", errors="replace")
                file.chmod(0o600)
        return f"verify/{name}-after.log"

    def _verdict(self, case: _Case, said: Sequence[Signal], ruling: Ruling) -> Verdict:
        if case.held and case.held.decisive and ruling.open:
            ruling = Ruling("pass", f"the prompt's examples hold now; {ruling.reason}", 0.5)
        signals, score = weighed(case.dimension, said, self.ground.settings.weights)
        if ruling.status == "fail":
            score = min(score, FAIL_CAP)
        failing = case.held.failing if case.held else ()
        lines = [ruling.reason, *(f"An example in the prompt does not hold: {e}" for e in failing)]
        text = "" if ruling.status == "pass" else "\n".join(lines)
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
    held: Held | None = None
    """What became of the prompt's examples."""


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


def _of_unfinished(attempt: Attempt | None, ruling: Ruling) -> Ruling:
    """Half a win, such as tests that pass as before, says nothing of work that was broken off."""
    if attempt is None or attempt.status == "done":
        return ruling
    if ruling.status != "pass" or ruling.strength >= 1:
        return ruling
    why = f"the agent did not finish ({attempt.status}); {ruling.reason}"
    return Ruling("unverified", why, 0.0, ruling.score)


def _counts(diff: TestDiff) -> str:
    parts = ("fixed", "broken", "still_failing", "new", "missing")
    said = [f"{n} {part.replace('_', ' ')}" for part in parts if (n := len(getattr(diff, part)))]
    return ", ".join([f"{diff.passed} passed, {diff.failed} failed", *said])


def _facts(engine: Sandbox, enforced: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "engine": engine.name,
        "version": engine.probe().version,
        "grade": engine.grade,
        "command": ["the prompt's examples"],
        "enforced": dict(enforced),
    }


def _where(
    engine: Sandbox, command: TestCommand, base: Run, after: Run, own: Run | None
) -> dict[str, Any]:
    def brief(run: Run) -> dict[str, Any]:
        return {"state": run.state, "exit": run.exit, "seconds": round(run.duration, 3)}

    runs = {"base": base, "after": after, "own": own}
    return {
        **_facts(engine, after.enforced or base.enforced),
        "command": list(command.argv),
        "cwd": command.cwd,
        "source": command.source,
        "runs": {name: brief(run) for name, run in runs.items() if run is not None},
    }
