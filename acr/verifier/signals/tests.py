"""The tests signal: the same command on the base and on the result, compared by test id."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acr.nouns import Signal, TestCommand, TestDiff, to_json
from acr.settings import Limits, VerifierSettings
from acr.verifier.sandbox.engine import NOBODY, Job, Sandbox, SandboxResult
from acr.verifier.signals.results import Results, parse, read_junit
from acr.verifier.toolchain import Toolchain, resolve

__all__ = ["TestRun", "cache_key", "compare", "read_cached", "run_tests", "signal", "write_cached"]

TAIL = 20_000
"""Characters of output that are kept."""
WHOLE = "(exit code)"
"""The one test of a runner that shows none by name."""
SUREFIRE = ("**/target/surefire-reports/*.xml", "**/build/test-results/**/*.xml")


@dataclass(frozen=True, slots=True)
class TestRun:
    """One run of the test command."""

    __test__ = False
    results: Results = field(default_factory=dict)
    problem: str = ""
    """Why the run as a whole counts as failed; empty when it does not."""
    died: str = ""
    """Why there was no run at all; then nothing is known."""
    output: str = ""
    duration: float = 0.0
    sandbox: dict[str, Any] = field(default_factory=dict)


def run_tests(
    engine: Sandbox, command: TestCommand, root: Path, copy: Path, limits: Limits
) -> TestRun:
    """Runs the command on a private copy that appears at `root`. Raises SandboxError."""
    tools = resolve(command, root)
    results = Path(tempfile.mkdtemp(prefix="results-", dir=copy.parent))
    try:
        if os.geteuid() == 0:
            os.chown(results, NOBODY, NOBODY)
        report = results / "report.xml"
        job = Job(
            command=_argv(command, tools, report),
            copy=copy,
            at=root,
            limits=limits,
            env=tools.env,
            cwd=command.cwd,
            results=results,
            readonly=tools.readonly,
        )
        return _judged(command, engine.run(job), report, copy)
    finally:
        shutil.rmtree(results, ignore_errors=True)


def compare(base: TestRun, after: TestRun) -> TestDiff:
    """Tests before and after, by id. A base that could not run counts as all failing."""

    def having(state: str, ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(i for i in ids if after.results[i] == state)

    known = [i for i in after.results if i in base.results]
    fresh = [i for i in after.results if i not in base.results]
    failed_before = [i for i in known if base.results[i] == "fail"]
    passed_before = [i for i in known if base.results[i] == "pass"]
    gone = tuple(i for i, s in base.results.items() if s == "pass" and i not in after.results)
    newly_skipped = having("skip", passed_before)
    revived = having("pass", fresh) if base.problem else ()
    states = list(after.results.values())
    return TestDiff(
        fixed=(*having("pass", failed_before), *revived),
        broken=having("fail", passed_before),
        still_failing=having("fail", failed_before),
        new=tuple(i for i in fresh if i not in revived),
        missing=(*gone, *newly_skipped),
        passed=states.count("pass"),
        failed=states.count("fail"),
        skipped=states.count("skip"),
    )


def signal(after: TestRun, diff: TestDiff | None, weight: float) -> Signal:
    """The score: the share of tests that are as they should be; None when nothing ran."""
    if after.died or diff is None:
        return Signal("tests", None, weight, after.died or "tests were not run")
    if after.problem:
        return Signal("tests", 0.0, weight, after.problem)
    new_failing = [i for i in diff.new if after.results.get(i) == "fail"]
    bad = len(diff.broken) + len(diff.missing) + len(diff.still_failing) + len(new_failing)
    good = len(diff.fixed)
    spoiled = bool(diff.broken or diff.missing or new_failing)
    score = good / (good + bad) if bad else 1.0
    detail = f"{diff.passed} pass, {diff.failed} fail, {diff.skipped} skipped"
    return Signal("tests", 0.0 if spoiled and not good else score, weight, detail)


def cache_key(
    tree: str, command: TestCommand, root: Path, engine: Sandbox, settings: VerifierSettings
) -> str:
    """Runs with equal keys have equal results, flaky tests aside."""
    parts = [tree, str(root), resolve(command, root).argv, engine.name, to_json(settings)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def read_cached(path: Path) -> TestRun | None:
    """A stored run; None when there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return TestRun(**data)
    except (OSError, ValueError, TypeError):
        return None


def write_cached(path: Path, run: TestRun) -> None:
    """Stores a run, whole or not at all."""
    aside = path.with_suffix(f".{os.getpid()}")
    try:
        aside.write_text(json.dumps(to_json(run)), encoding="utf-8")
        aside.replace(path)
    except OSError:  # a full disk costs the next run some time
        aside.unlink(missing_ok=True)


def _argv(command: TestCommand, tools: Toolchain, report: Path) -> tuple[str, ...]:
    if command.kind == "pytest":
        return (*tools.argv, "-p", "no:cacheprovider", f"--junitxml={report}")
    return tools.argv


def _judged(command: TestCommand, ended: SandboxResult, report: Path, copy: Path) -> TestRun:
    stdout, stderr = str(ended.stdout), str(ended.stderr)
    output = _clean((stdout + "\n" + stderr).strip())[-TAIL:]
    where = {"engine": ended.engine, "version": ended.version, "enforced": dict(ended.enforced)}
    made = TestRun(output=output, duration=ended.duration, sandbox=where)
    if ended.died:
        return replace(made, died=f"the sandbox failed: {ended.died}")
    results = _results(command.kind, stdout, stderr, report, copy)
    return replace(made, results=results, problem=_problem(command, ended, results))


def _results(kind: str, stdout: str, stderr: str, report: Path, copy: Path) -> Results:
    if kind == "pytest":
        return read_junit([report]) or {}
    if kind in ("maven", "gradle"):
        return read_junit(p for pattern in SUREFIRE for p in copy.glob(pattern)) or {}
    return parse(kind, stdout, stderr)


def _problem(command: TestCommand, ended: SandboxResult, results: Results) -> str:
    """What makes the run as a whole a failure, in one sentence; empty when nothing does."""
    if ended.timed_out:
        return f"the tests did not end within {ended.duration:.0f} s"
    if ended.disk_full:
        return "the tests filled the disk that they were given"
    if ended.oom and ended.exit != 0:
        return "the tests ran out of memory"
    if ended.exit is None:
        return f"the tests were ended by signal {ended.signal}"
    if command.kind == "pytest" and ended.exit == 5 and not results:
        return ""
    failing = any(state == "fail" for state in results.values())
    if ended.exit == 0 and failing:
        return "the exit code says pass, but tests failed"
    if ended.exit == 0 and not results:
        if command.kind == "pytest":
            return "the exit code says pass, but there is no result file"
        results[WHOLE] = "pass"
    if ended.exit != 0 and not failing:
        results[WHOLE] = "fail"
    return ""


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
