"""Makes a repository's test command say its results, and reads them back: one way per runner."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from acr.nouns import TestCommand
from acr.verifier.sandbox.engine import SandboxResult
from acr.verifier.signals import results
from acr.verifier.signals.results import Results, UnreadableError

__all__ = ["EXIT_CODE", "Plan", "plan", "runner_of"]

EXIT_CODE = "the test command"
"""The id that stands for the exit code of a command whose tests cannot be told apart."""
_OFFLINE = re.compile(r"(?i)in offline mode|offline mode\b.*\bnot been downloaded|--offline\b")
"""What Maven and Gradle say when they would have to download something."""
REPORTS_CAP = 2000
"""XML reports read of one run."""

Collect = Callable[[SandboxResult, Path], Results]


@dataclass(frozen=True, slots=True)
class Plan:
    """A test command that writes its results where acr can read them."""

    argv: tuple[str, ...]
    collect: Collect
    """(what ran, its copy) -> results; raises UnreadableError when there are none to read."""
    env: dict[str, str] = field(default_factory=dict)
    no_tests: frozenset[int] = frozenset()
    """Exit codes that mean that no test was found."""
    runner: str = ""
    """What canary.plant and falsified know it by; empty where they can do nothing."""


def plan(command: TestCommand, copy: Path, folder: Path) -> Plan:
    """How to run `command` in `copy` so that result files land in `folder`."""
    make = _PLANS.get(command.kind, _custom)
    return make(command, copy / command.cwd, folder)


def runner_of(command: TestCommand, copy: Path) -> str:
    """Plan.runner, when only that is wanted."""
    return plan(command, copy, Path("unused")).runner


def _pytest(command: TestCommand, _: Path, folder: Path) -> Plan:
    file = folder / "junit.xml"
    added = ("-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={file}")
    return Plan((*command.argv, *added), _junit_file(file), {}, frozenset({5}), "pytest")


def _unittest(command: TestCommand, copy: Path, folder: Path) -> Plan:
    if "-m" not in command.argv or command.argv[command.argv.index("-m") + 1 :][:1] != (
        "unittest",
    ):
        return _custom(command, copy, folder)
    at, file = command.argv.index("-m"), folder / "unittest.json"
    script = Path(__file__).with_name("unittest_runner.py").read_text()
    argv = (*command.argv[:at], "-c", script, str(file), *command.argv[at + 2 :])

    def collect(ran: SandboxResult, copy: Path) -> Results:
        found = Results()
        try:
            for name, (state, message) in json.loads(results.read_result(file)).items():
                found.add(str(name), state, str(message))
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise UnreadableError("the result file is not unittest's JSON") from None
        return found

    return Plan(argv, collect, {}, frozenset({5}), "unittest")


def _node(command: TestCommand, copy: Path, folder: Path) -> Plan:
    script = _test_script(copy)
    last = re.split(r"&&|\|\||;", script)[-1]
    file, separator = folder / "results", ("--",) if Path(command.argv[0]).name == "npm" else ()

    def with_arguments(runner: str, *added: str, collect: Collect) -> Plan:
        return Plan((*command.argv, *separator, *added), collect, runner=runner)

    if "vitest" in last:
        reporters = ("--reporter=default", "--reporter=junit", f"--outputFile.junit={file}")
        return with_arguments("vitest", *reporters, collect=_junit_file(file))
    if re.search(r"\bjest\b|react-scripts test", last):
        return with_arguments("jest", "--json", f"--outputFile={file}", collect=_jest_file(file))
    if re.search(r"\bmocha\b", last):
        report = ("--reporter", "xunit", "--reporter-option", f"output={file}")
        return with_arguments("mocha", *report, collect=_junit_file(file))
    if re.search(r"\bnode\b.*\s--test\b", last):
        options = _node_options(file)
        return Plan(command.argv, _junit_file(file), {"NODE_OPTIONS": options}, runner="node")
    return _custom(command, copy, folder)


def _node_options(file: Path) -> str:
    quoted = str(file).replace("\\", "\\\\").replace('"', '\\"')
    return (
        "--test-reporter=spec --test-reporter-destination=stdout "
        f'--test-reporter=junit "--test-reporter-destination={quoted}"'
    )


def _test_script(copy: Path) -> str:
    try:
        script = json.loads(results.read_result(copy / "package.json"))["scripts"]["test"]
    except (UnreadableError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return str(script)


def _go(command: TestCommand, _: Path, __: Path) -> Plan:
    argv = command.argv
    if "-json" not in argv and "test" in argv:
        at = argv.index("test") + 1
        argv = (*argv[:at], "-json", *argv[at:])
    return Plan(argv, lambda ran, copy: results.go(str(ran.stdout)), runner="go")


def _cargo(command: TestCommand, _: Path, __: Path) -> Plan:
    argv = list(command.argv)
    if "--no-fail-fast" not in argv and "test" in argv:
        argv.insert(argv.index("test") + 1, "--no-fail-fast")
    return Plan(
        tuple(argv),
        lambda ran, copy: results.cargo(str(ran.stdout), str(ran.stderr)),
        runner="cargo",
    )


def _reports(pattern: str, *built: str) -> Callable[[TestCommand, Path, Path], Plan]:
    """Runners that write XML reports into the tree, at `pattern` below each module.

    What an earlier run said there is removed, and what it has `built`.
    """

    def make(command: TestCommand, copy: Path, _: Path) -> Plan:
        for old in (pattern, *built):
            for folder in _folders(copy, old):
                shutil.rmtree(folder, ignore_errors=True)

        def collect(ran: SandboxResult, copy: Path) -> Results:
            found, files = Results(), 0
            for folder in _folders(copy, pattern):
                for file in sorted(folder.glob("*.xml"))[: REPORTS_CAP - files]:
                    files += 1
                    one = results.junit(results.read_result(file))
                    for test, state in one.states.items():
                        found.add(test, state, one.messages.get(test, ""))
            if not files and ran.exit:
                said = f"{ran.stdout}\n{ran.stderr}"
                if _OFFLINE.search(said):
                    raise UnreadableError("the build needs packages that are not on this machine")
                found.add("build", "error", said)
            return found

        return Plan(command.argv, collect, runner="junit")

    return make


def _folders(copy: Path, pattern: str) -> list[Path]:
    """Folders of the copy whose path ends in `pattern`; links are not followed."""
    return sorted(
        Path(folder)
        for folder, _, _ in os.walk(copy, followlinks=False)
        if folder.endswith(f"/{pattern}")
    )


def _custom(_: TestCommand, __: Path, folder: Path) -> Plan:
    """Anything else: pytest is asked by its environment, TAP is read, else the exit code."""
    file = folder / "junit.xml"
    options = f"-o junit_family=xunit1 {shlex.quote(f'--junitxml={file}')}"

    def collect(ran: SandboxResult, copy: Path) -> Results:
        if ran.exit in (126, 127) or re.search(r"^make.*Error 12[67]$", str(ran.stderr), re.M):
            raise UnreadableError("a program that the tests need cannot be run in the sandbox")
        found = results.tap(str(ran.stdout)) or Results()
        try:
            said = results.junit(results.read_result(file))
        except UnreadableError:
            said = Results()
        for test, state in said.states.items():
            found.add(test, state, said.messages.get(test, ""))
        tail = f"{ran.stdout}\n{ran.stderr}"
        found.add(EXIT_CODE, "passed" if ran.exit == 0 else "failed", tail)
        return found

    return Plan(_.argv, collect, {"PYTEST_ADDOPTS": options})


def _junit_file(file: Path) -> Collect:
    return lambda ran, copy: results.junit(results.read_result(file))


def _jest_file(file: Path) -> Collect:
    return lambda ran, copy: results.jest(results.read_result(file))


_PLANS: dict[str, Callable[[TestCommand, Path, Path], Plan]] = {
    "pytest": _pytest,
    "unittest": _unittest,
    "npm": _node,
    "pnpm": _node,
    "yarn": _node,
    "bun": _node,
    "go": _go,
    "cargo": _cargo,
    "maven": _reports("target/surefire-reports", "target/classes", "target/test-classes"),
    "gradle": _reports("build/test-results/test", "build/classes"),
}
