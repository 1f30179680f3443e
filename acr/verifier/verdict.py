"""Signals -> Verdict: what an attempt did to the tests, weighed by the kind of request."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
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
from acr.verifier import findings, sandbox, tampering, workcopy
from acr.verifier.ruling import Ruling, rule, rule_new_tests
from acr.verifier.sandbox import toolchain
from acr.verifier.sandbox.engine import Job, Sandbox, SandboxResult
from acr.verifier.sandbox.toolchain import Toolchain
from acr.verifier.signals import lints, mutation, prompt_tests, rules, syntax
from acr.verifier.signals import tests as tests_signal
from acr.verifier.signals.lints import Complaints, Linter
from acr.verifier.signals.mutation import Fault
from acr.verifier.signals.prompt_tests import Example, Held
from acr.verifier.signals.tests import Run
from acr.verifier.tampering import Restoration
from acr.verifier.weights import weighed

__all__ = ["Baseline", "prepare"]

Progress = Callable[[str], None]
ANSWERED = "code_understanding"
"""The dimension whose result is an answer: the tree stays as it was."""
WRITES_TESTS = "test_generation"
AGAIN = 300.0
"""Seconds; a run that took longer is not repeated to tell flaky tests from broken ones."""
RESTORED = "; the base's tests and settings decided"
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
            self._rewind(self._copy, git.changed(self.snapshot, worktree))

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
        | failing tests were fixed, none broke                     | pass       | 1        |
        | a repair was asked and no failing test was fixed         | fail       | 1        |
        | tests pass as before                                     | pass       | 0.5      |
        | no test tells anything, the prompt's examples hold and did not | pass | 0.5      |
        | only tests of the attempt's own pass, or none            | unverified | 0        |

        Tests that were asked for are judged by faults that are planted in the code: they pass
        with strength 1 when they notice half of them, 0.5 when some, and fail when they notice
        none; without new tests, or where no fault can be planted, it is unverified.

        The score is u = sum(w * s) over the signals present (arXiv 2606.22902, Eq. 8), at most
        0.49 when the status is fail. Where tests were touched, the run with the base's tests
        decides and a second one shows the attempt's own.
        """
        idle = after.tree == self._last.tree
        self._last = after
        changes = git.changed(self.snapshot, after)
        answered = task.dimension == ANSWERED
        found = rules.added(changes, self.snapshot, after, self.redact, tampering.is_test)
        nothing_asked = attempt is None and not changes
        said = [] if nothing_asked else [rules.signal(bool(changes), not answered, found)]
        case = _Case(task.dimension, attempt, changes)
        if early := _without_tests(case, idle):
            return self._verdict(case, said, early)
        undo = tampering.restoration(changes, self.snapshot, after)
        with contextlib.ExitStack() as stack:
            parsed = self._parsed(case, after, stack)
            said.append(syntax.signal(parsed))
            if parsed.broken or found.conflicts:
                where = ", ".join([*parsed.broken, *found.conflicts])
                ruling = Ruling("fail", f"{where}: does not parse any more", 1.0)
                return self._verdict(case, said, ruling)
        said += self._linted(case)
        held = self._held(task.prompt, case, after, progress)
        if held is not None:
            said.append(prompt_tests.signal(held))
        return self._by_tests(replace(case, held=held), said, undo, after, progress)

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
            why = "no test command was found; set one in config.toml"
            ruling = Ruling("unverified", why, open=True)
            facts = _facts(engine, case.held.enforced) if engine and case.held else {}
            said += [_tampering_signal(undo, case.dimension)] if undo.touched else []
            return replace(self._verdict(case, said, ruling), sandbox=facts)
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
        if case.dimension == WRITES_TESTS and (ruling.status == "pass" or ruling.open):
            new = deciding.passed - frozenset(base.states)
            tried = self._tried(case, command, engine, new, after, progress)
            ruling = rule_new_tests(new, tried)
        logs = self._logs(case, base, deciding, own)
        said.append(_tampering_signal(undo, case.dimension, base, deciding))
        counted = _counts(diff) + (f", {len(deciding.flaky)} flaky" if deciding.flaky else "")
        said.append(Signal("tests", ruling.score, 0.0, counted, logs))
        verdict = self._verdict(case, said, ruling)
        text = findings.write(verdict.findings, diff, deciding, own, self.redact)
        return replace(
            verdict,
            tests=diff,
            findings="" if verdict.status == "pass" else text,
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
        undone = undo if undo.needed and case.dimension != WRITES_TESTS else None
        what = "the base's tests on" if undone else "the tests after"
        progress(f"running {what} the attempt in {engine.name}")
        deciding = self._decide(command, engine, undone)
        base = self._base(command, engine, progress)
        if deciding.state == "ran" and base.passed - deciding.passed and deciding.duration < AGAIN:
            progress(f"running them again, to see whether they fail always, in {engine.name}")
            again = self._decide(command, engine, undone)
            deciding = tests_signal.steadied(base, deciding, again)
        if not undone:
            return deciding, None
        with self._fresh_copy() as copy:
            progress(f"running the attempt's own tests in {engine.name}")
            return deciding, self._tests(command, engine, copy)

    def _decide(self, command: TestCommand, engine: Sandbox, undo: Restoration | None) -> Run:
        """The tests after the attempt, with `undo` applied to the copy."""
        with self._fresh_copy() as copy:
            if undo:
                workcopy.rewind(copy, self.snapshot, undo.restore, undo.delete)
                workcopy.write(copy, undo.rewrite)
            return self._tests(command, engine, copy)

    def _tried(
        self,
        case: _Case,
        command: TestCommand,
        engine: Sandbox,
        new: frozenset[str],
        after: Snapshot,
        progress: Progress,
    ) -> list[tuple[Fault, bool]]:
        """Faults planted in the code that new tests are about, and whether one of them noticed."""
        mine = [path for status, path in case.changes if status in "AM"]
        about = {p: git.read(after, p) or b"" for p in mine if tampering.holds_tests(p)}
        if not new or not about:
            return []
        product = [path for path in git.paths(after) if not tampering.is_test(path)]
        code = {p: git.read(after, p) or b"" for p in mutation.targets(about, product)}
        found: list[tuple[Fault, bool]] = []
        stop = time.monotonic() + self.settings.limits.wall
        with self._fresh_copy() as copy:
            for fault in mutation.faults(code, about):
                if time.monotonic() > stop:
                    break
                progress(f"trying the new tests on a planted fault in {fault.path}")
                workcopy.write(copy, {fault.path: fault.content})
                ran = self._tests(command, engine, copy)
                workcopy.write(copy, {fault.path: code[fault.path]})
                if ran.state == "ran":
                    found.append((fault, bool(new - ran.passed)))
        return found

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

    def _parsed(self, case: _Case, after: Snapshot, stack: contextlib.ExitStack) -> syntax.Checked:
        """Changed files that do not parse; Python's are asked of the project's own Python too."""
        found = syntax.check(case.changes, self.snapshot, after, tampering.is_fixture)
        engine = self._engine
        doubtful = [path for path in found.broken if path.endswith((".py", ".pyi"))]
        if engine is None or not doubtful:
            return found
        job = Job(
            ["python3", "-I", "-c", syntax.CHECK, *doubtful],
            stack.enter_context(self._fresh_copy()),
            self.repository.root,
            self.settings.limits,
            self._toolchain.env,
            readonly=self._toolchain.readonly,
        )
        with contextlib.suppress(SandboxError):
            for line in str(engine.run(job).stdout).splitlines():
                found.broken.pop(line.removeprefix("parses "), None)
        return found

    def _linted(self, case: _Case) -> list[Signal]:
        """The signal `lint`, where the repository configures a linter that can be run."""
        before, after, heard = Complaints(), Complaints(), False
        for linter in lints.configured(case.changes, self.snapshot) if self._engine else ():
            with contextlib.suppress(SandboxError), self._fresh_copy() as copy:
                settings = [(s, p) for s, p in case.changes if lints.is_setting(p)]
                self._rewind(copy, settings)
                now = self._complaints(copy, linter)
                self._rewind(copy, case.changes)
                old = {path for status, path in case.changes if status == "M"}
                files = tuple(path for path in linter.files if path in old)
                then = self._complaints(copy, replace(linter, files=files))
                if now is not None and then is not None:
                    after, before, heard = after + now, before + then, True
        return [lints.signal(before, after)] if heard else []

    def _complaints(self, copy: Path, linter: Linter) -> Complaints | None:
        """What the linter says of its files in `copy`; None when it cannot be run."""
        if not linter.files or self._engine is None:
            return Complaints()
        root = self.repository.root
        program = linter.program(root)
        if not program:
            return None
        tools = toolchain.resolve(TestCommand((program,), linter.name, ""), root)
        limits = self.settings.limits
        job = Job(linter.argv(program), copy, root, limits, tools.env, readonly=tools.readonly)
        return linter.read(str(self._engine.run(job).stdout), str(root))

    def _rewind(self, copy: Path, changes: Sequence[tuple[str, str]]) -> None:
        """Undoes `changes` (status, path) in `copy`."""
        added = [path for status, path in changes if status == "A"]
        others = [path for status, path in changes if status != "A"]
        workcopy.rewind(copy, self.snapshot, others, added)

    def _held(self, prompt: str, case: _Case, after: Snapshot, progress: Progress) -> Held | None:
        """Which examples of the prompt hold; None where it has none that can be tried."""
        found = prompt_tests.examples(prompt)
        changed = [path for status, path in case.changes if found and status in "AM"]
        python = [p for p in changed if p.endswith(".py") and not tampering.is_test(p)]
        files = prompt_tests.applicable(found, {p: git.read(after, p) or b"" for p in python})
        if not files:
            return None
        try:
            engine = self._engine or sandbox.choose(self.settings)
            progress(f"trying the examples of the prompt in {engine.name}")
            with self._fresh_copy() as copy:
                now, ran = self._try(engine, copy, found, files)
            with self._fresh_copy() as copy:
                self._rewind(copy, case.changes)
                before, _ = self._try(engine, copy, found, files)
        except SandboxError:
            return None
        self._engine, texts = engine, tuple(one.source for one in found)
        return None if now is None else Held(texts, before or frozenset(), now, ran.enforced)

    def _try(
        self, engine: Sandbox, copy: Path, found: Sequence[Example], files: Mapping[str, str]
    ) -> tuple[frozenset[int] | None, SandboxResult]:
        """The numbers of the examples that hold in `copy`."""
        command, root = self.repository.test, self.repository.root
        known = command and command.kind in ("pytest", "unittest") and "-m" in command.argv
        python = TestCommand((command.argv[0] if command and known else "python3",), "pytest", "")
        tools = toolchain.resolve(python, root)
        with tests_signal.results_folder(self.folder) as where:
            job = Job(
                (*python.argv, *prompt_tests.script(found, files, where / "held.json")),
                copy,
                root,
                self.settings.limits,
                tools.env,
                results=where,
                readonly=tools.readonly,
            )
            ran = engine.run(job)
            return prompt_tests.read(where / "held.json", len(found)), ran

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
        if case.held and case.held.decisive and ruling.open:
            ruling = Ruling("pass", f"the prompt's examples hold now; {ruling.reason}", 0.5)
        signals, score = weighed(case.dimension, said)
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


def _tampering_signal(
    undo: Restoration, dimension: str, base: Run | None = None, after: Run | None = None
) -> Signal:
    """What was touched, and whether the report on the planted tests is right; weighs nothing.

    1: clean; 0.5: something was touched; 0: the report is wrong.
    """
    parts, score = ["clean: no test, runner setting, lock or CI file was touched"], 1.0
    if undo.touched:
        shown = ", ".join(undo.touched[:20]) + (" …" if len(undo.touched) > 20 else "")
        restored = undo.needed and dimension != WRITES_TESTS
        parts, score = [f"touched: {shown}{RESTORED if restored else ''}"], 0.5
    if base and after and after.state == "ran":
        right = [test for test, told in base.planted.items() if told]
        if not right:
            parts.append("no tests could be planted")
        elif all(after.planted.get(test) for test in right):
            parts.append("planted tests were reported as they are")
        else:
            parts.append("planted tests were not reported as they are")
            score = 0.0
    return Signal("tampering", score, 0.0, "; ".join(parts))


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
