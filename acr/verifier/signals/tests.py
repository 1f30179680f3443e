"""Runs the same test command on the base and after the attempt, and says what changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from acr.errors import SandboxError
from acr.nouns import TestCommand, TestDiff
from acr.settings import Limits
from acr.verifier import workcopy
from acr.verifier.sandbox.engine import NOBODY, Job, Sandbox, SandboxResult
from acr.verifier.sandbox.system import remove_tree
from acr.verifier.sandbox.toolchain import Toolchain
from acr.verifier.signals import canary, runners
from acr.verifier.signals.results import Results, State, UnreadableError, plain

__all__ = [
    "Run",
    "RunState",
    "compare",
    "from_cache",
    "results_folder",
    "run_tests",
    "steadied",
    "to_cache",
]

RunState = Literal[
    "ran",
    "no tests",
    "no results",
    "timeout",
    "out of memory",
    "disk full",
    "not run",
]
"""ran: there are results by test; no results: it ended without saying any that can be read;
not run: the engine failed, so nothing was learned about the tests."""
OUTPUT_CAP = 64 * 1024
"""Bytes of output kept with a run for the log: the end."""
CACHE_VERSION = 2


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the tests said."""

    state: RunState
    exit: int | None = None
    states: Mapping[str, State] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    """For people: what is behind a state other than ran."""
    output: str = ""
    """The end of what it printed, control characters stripped."""
    duration: float = 0.0
    enforced: Mapping[str, str | None] = field(default_factory=dict)
    planted: Mapping[str, bool] = field(default_factory=dict)
    """Planted tests that were reported, and whether as they are."""
    flaky: tuple[str, ...] = ()
    """Tests that failed once and passed when they were repeated; they count as passed."""
    doubted: int = 0
    """Newly passing tests that were made to fail."""
    deaf: tuple[str, ...] = ()
    """Those of them that are reported as passed all the same."""

    def ids(self, *states: State) -> frozenset[str]:
        """The tests in one of `states`."""
        return frozenset(test for test, state in self.states.items() if state in states)

    @property
    def passed(self) -> frozenset[str]:
        return self.ids("passed")

    @property
    def bad(self) -> frozenset[str]:
        return self.ids("failed", "error")


def run_tests(
    engine: Sandbox,
    command: TestCommand,
    toolchain: Toolchain,
    copy: Path,
    at: Path,
    limits: Limits,
    folder: Path,
) -> Run:
    """Runs `command` in the private `copy`, shown at `at`; its results go through `folder`."""
    with results_folder(folder) as where:
        prepared = runners.plan(command, copy, where)
        planted = canary.plant(prepared.runner, copy, command.cwd, command.argv)
        workcopy.write(copy, planted.files)
        job = Job(
            command=prepared.argv,
            copy=copy,
            at=at,
            limits=limits,
            env={**toolchain.env, **prepared.env},
            cwd=command.cwd,
            results=where,
            readonly=toolchain.readonly,
        )
        try:
            ran = engine.run(job)
        except SandboxError as e:
            return Run("not run", why=str(e))
        return _read(ran, prepared, planted, copy, at)


@contextlib.contextmanager
def results_folder(folder: Path) -> Iterator[Path]:
    """A folder below `folder` that a sandbox's user may write to; it is gone afterwards."""
    where = folder / f"results-{os.getpid()}-{secrets.token_hex(4)}"
    where.mkdir(mode=0o700, parents=True)
    try:
        if os.geteuid() == 0:
            os.chown(where, NOBODY, NOBODY)
        yield where
    finally:
        remove_tree(where)


def _read(
    ran: SandboxResult, prepared: runners.Plan, planted: canary.Canary, copy: Path, at: Path
) -> Run:
    found, why = Results(), ""
    told: dict[str, bool] = {}
    state: RunState = "ran"
    if ran.died:
        state, why = "not run", ran.died
    elif ran.timed_out:
        state, why = "timeout", f"stopped after {ran.duration:.0f} s"
    elif ran.disk_full:
        state, why = "disk full", "stopped because it filled the disk"
    else:
        try:
            found = prepared.collect(ran, copy).below(copy, at)
        except UnreadableError as e:
            state, why = "no results", f"{e}; {_ending(ran)}"
        else:
            told = planted.take(found)
            if not found.states and (told or ran.exit in (0, *prepared.no_tests)):
                state, why = "no tests", "no test was found"
            elif not found.states:
                state, why = "no results", f"no test was reported; {_ending(ran)}"
        if ran.oom and (state != "ran" or ran.exit != 0):
            state, why = "out of memory", "the kernel killed it for memory"
    return Run(
        state,
        ran.exit,
        found.states,
        found.messages,
        why,
        plain(f"{ran.stdout}\n{ran.stderr}").strip()[-OUTPUT_CAP:],
        ran.duration,
        ran.enforced,
        told,
    )


def _ending(ran: SandboxResult) -> str:
    """How it ended, with its last line."""
    how = f"signal {ran.signal}" if ran.signal else f"exit code {ran.exit}"
    said = plain(f"{ran.stdout}\n{ran.stderr}").strip().splitlines()
    return f"{how}: {said[-1].strip()[:200]}" if said else how


def compare(base: Run, after: Run, own: Run | None = None) -> TestDiff:
    """Tests of the base by what became of them, and the new ones.

    `own` is the run on the attempt's tree as it is, when `after` was run with the base's
    tests; new tests come from it. A test that passed and is skipped or gone is broken; one
    that failed and is skipped or gone is still failing; a file that could not be loaded and
    now can is fixed.
    """
    latest = own or after
    gone = frozenset(base.states) - frozenset(after.states)
    loadable = base.ids("error") & gone
    fixed = (base.bad & after.passed) | (loadable if after.state == "ran" else frozenset())
    missing = (gone & (base.passed | base.ids("failed"))) if after.state == "ran" else frozenset()
    return TestDiff(
        fixed=_sorted(fixed),
        broken=_sorted(base.passed - after.passed),
        still_failing=_sorted(base.bad - fixed),
        new=_sorted(frozenset(latest.states) - frozenset(base.states)),
        missing=_sorted(missing),
        passed=len(latest.passed),
        failed=len(latest.bad),
        skipped=len(latest.ids("skipped")),
    )


def steadied(base: Run, after: Run, again: Run) -> Run:
    """`after`, where tests of the base that broke and pass `again` are flaky, not broken."""
    flaky = (base.passed - after.passed) & again.passed
    if not flaky:
        return after
    states: dict[str, State] = {**after.states, **dict.fromkeys(flaky, "passed")}
    return dataclasses.replace(
        after,
        exit=again.exit,
        states=states,
        messages={test: said for test, said in after.messages.items() if test not in flaky},
        flaky=_sorted(flaky),
    )


def _sorted(tests: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(tests))


def to_cache(run: Run, file: Path) -> None:
    """Stores a run that has results; one that was stopped says nothing about the next."""
    if run.state not in ("ran", "no tests", "no results"):
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    temporary.write_text(json.dumps({"version": CACHE_VERSION, **dataclasses.asdict(run)}))
    os.replace(temporary, file)


def from_cache(file: Path) -> Run | None:
    """A stored run; None when there is none, or it cannot be read."""
    try:
        data = json.loads(file.read_text())
        if data.pop("version") != CACHE_VERSION:
            return None
        return Run(**{**data, "flaky": tuple(data["flaky"]), "deaf": ()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
