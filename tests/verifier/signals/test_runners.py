"""How each runner is asked for results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acr.nouns import TestCommand
from acr.verifier.sandbox.engine import Output, SandboxResult
from acr.verifier.signals.results import UnreadableError
from acr.verifier.signals.runners import EXIT_CODE, Plan, plan


def node(tmp_path: Path, script: str, tool: str = "npm") -> Plan:
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"test": script}}))
    return plan(TestCommand((tool, "test"), tool, "t"), tmp_path, tmp_path / "out")


def ended(exit: int = 0, stdout: str = "", stderr: str = "") -> SandboxResult:  # noqa: A002 - its name
    return SandboxResult(
        "bwrap", "", exit, stdout=Output(stdout.encode()), stderr=Output(stderr.encode())
    )


def test_pytest_writes_junit_outside_the_tree_and_no_cache(tmp_path: Path) -> None:
    made = plan(TestCommand(("py", "-m", "pytest"), "pytest", "t"), tmp_path, Path("/out"))
    assert made.argv[:3] == ("py", "-m", "pytest")
    assert "--junitxml=/out/junit.xml" in made.argv
    assert "no:cacheprovider" in made.argv
    assert made.no_tests == {5}


def test_npm_passes_options_behind_dashes_and_the_others_without(tmp_path: Path) -> None:
    out = f"--outputFile={tmp_path / 'out' / 'results'}"
    assert node(tmp_path, "jest").argv == ("npm", "test", "--", "--json", out)
    assert node(tmp_path, "jest", "pnpm").argv == ("pnpm", "test", "--json", out)
    assert node(tmp_path, "tsc && jest --ci", "yarn").argv == ("yarn", "test", "--json", out)


def test_vitest_mocha_and_node_test_are_known(tmp_path: Path) -> None:
    assert "--reporter=junit" in node(tmp_path, "vitest run").argv
    assert "xunit" in node(tmp_path, "mocha -r ts-node").argv
    made = node(tmp_path, "node --import tsx --test src")
    assert made.argv == ("npm", "test")
    assert "--test-reporter=junit" in made.env["NODE_OPTIONS"]


@pytest.mark.parametrize("script", ["jest && echo done", "exit 0", "./run.sh"])
def test_a_runner_that_is_not_the_last_command_is_judged_by_exit_code(
    tmp_path: Path, script: str
) -> None:
    made = node(tmp_path, script)
    assert made.argv == ("npm", "test")
    assert made.collect(ended(1), tmp_path).states == {EXIT_CODE: "failed"}
    assert made.collect(ended(0), tmp_path).states == {EXIT_CODE: "passed"}


def test_go_and_cargo_get_their_flags_once(tmp_path: Path) -> None:
    for argv in (("go", "test", "./..."), ("go", "test", "-json", "./...")):
        made = plan(TestCommand(argv, "go", "t"), tmp_path, tmp_path)
        assert made.argv == ("go", "test", "-json", "./...")
    made = plan(TestCommand(("cargo", "test", "--offline"), "cargo", "t"), tmp_path, tmp_path)
    assert made.argv == ("cargo", "test", "--no-fail-fast", "--offline")


def test_unittest_runs_with_its_own_arguments_and_records(tmp_path: Path) -> None:
    argv = ("python3", "-m", "unittest", "discover", "-v", "-s", "tests")
    made = plan(TestCommand(argv, "unittest", "t"), tmp_path, tmp_path)
    assert made.argv[:2] == ("python3", "-c")
    assert made.argv[3:] == (str(tmp_path / "unittest.json"), "discover", "-v", "-s", "tests")
    for text in ("{", "[]", '{"a": 1}', '{"a": ["passed"]}'):
        (tmp_path / "unittest.json").write_text(text)
        with pytest.raises(UnreadableError):
            made.collect(ended(), tmp_path)


def test_reports_of_an_earlier_run_are_removed_and_new_ones_read(tmp_path: Path) -> None:
    folder = tmp_path / "module" / "target" / "surefire-reports"
    folder.mkdir(parents=True)
    (folder / "TEST-old.xml").write_text("<testsuite><testcase name='old'/></testsuite>")
    made = plan(TestCommand(("mvn", "test"), "maven", "t"), tmp_path, tmp_path)
    assert not folder.exists()
    assert made.collect(ended(1, stdout="BUILD FAILURE"), tmp_path).states == {"build": "error"}
    folder.mkdir()
    (folder / "TEST-a.xml").write_text(
        "<testsuite name='a.B'><testcase name='t' classname='a.B'/></testsuite>"
    )
    assert made.collect(ended(0), tmp_path).states == {"a.B::t": "passed"}


def test_tap_is_read_from_any_command(tmp_path: Path) -> None:
    made = plan(TestCommand(("./check",), "custom", "t"), tmp_path, tmp_path)
    found = made.collect(ended(1, stdout="1..2\nok 1 - a\nnot ok 2 - b\n"), tmp_path)
    assert found.states == {"a": "passed", "b": "failed", EXIT_CODE: "failed"}


def test_a_program_that_is_missing_in_the_sandbox_is_no_failed_test(tmp_path: Path) -> None:
    made = plan(TestCommand(("make", "test"), "make", "t"), tmp_path, tmp_path)
    for run in (ended(127), ended(2, stderr="make: *** [Makefile:2: test] Error 127")):
        with pytest.raises(UnreadableError, match="cannot be run in the sandbox"):
            made.collect(run, tmp_path)
