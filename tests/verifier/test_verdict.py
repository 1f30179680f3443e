"""Verdicts on small real projects, their tests run in a real sandbox."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from acr import git
from acr.errors import SandboxError
from acr.nouns import Repository, TestCommand
from acr.settings import Limits, VerifierSettings
from acr.verifier.ground import Ground
from acr.verifier.sandbox.engine import Sandbox
from acr.verifier.signals.results import State
from acr.verifier.signals.tests import Run
from acr.verifier.verdict import prepare
from tests.engines import missing
from tests.judging import (
    BROKE_MUL,
    CALC,
    FIXED,
    MAKE,
    NODE,
    NPM,
    PROJECT,
    PYTEST,
    TESTS,
    UNITTEST,
    Case,
    Change,
    Judge,
    attempt,
    silent,
    task,
)


@pytest.mark.parametrize("command", [UNITTEST, PYTEST], ids=["unittest", "pytest"])
def test_a_fixed_test_is_a_strong_pass(judge: Judge, command: TestCommand) -> None:
    verdict = judge(PROJECT, Case({"calc.py": FIXED}, command))
    assert (verdict.status, verdict.score, verdict.strength) == ("pass", 1.0, 1.0)
    assert verdict.tests is not None
    assert len(verdict.tests.fixed) == 1
    assert verdict.tests.fixed[0].endswith("test_add")
    assert (verdict.tests.passed, verdict.tests.failed) == (2, 0)
    assert verdict.sandbox["engine"] == "bwrap"
    assert verdict.sandbox["enforced"]["network"] == "none"
    assert verdict.changed == ("calc.py",)
    assert verdict.findings == ""


@pytest.mark.parametrize("command", [UNITTEST, PYTEST], ids=["unittest", "pytest"])
def test_a_broken_test_is_a_fail_with_findings(judge: Judge, command: TestCommand) -> None:
    verdict = judge(PROJECT, Case({"calc.py": BROKE_MUL}, command))
    assert (verdict.status, verdict.strength) == ("fail", 1.0)
    assert verdict.score < 0.5
    assert verdict.tests is not None
    assert [t.rpartition("test_")[2] for t in verdict.tests.broken] == ["mul"]
    assert "test_mul" in verdict.findings
    assert "6 != 8" in verdict.findings or "assert 6 == 8" in verdict.findings
    assert len(verdict.findings.encode()) <= 4096


def test_a_repair_that_repairs_nothing_fails_and_other_work_is_not_blamed(judge: Judge) -> None:
    harmless: Change = {"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n"}
    assert judge(PROJECT, Case(harmless)).status == "fail"
    verdict = judge(PROJECT, Case(harmless, dimension="code_generation"))
    assert (verdict.status, verdict.strength, verdict.score) == ("pass", 0.5, 1.0)


def test_nothing_changed_fails_a_repair_only_while_tests_fail(judge: Judge) -> None:
    assert judge(PROJECT, Case({})).status == "fail"
    assert judge(PROJECT, Case({}, dimension="code_generation")).status == "unverified"
    assert judge({**PROJECT, "calc.py": FIXED}, Case({})).status == "unverified"


def test_a_file_that_does_not_parse_any_more_fails(judge: Judge) -> None:
    verdict = judge(PROJECT, Case({"calc.py": FIXED, "other.py": "def ("}))
    assert verdict.status == "fail"
    assert "other.py" in verdict.reason
    syntax = next(s for s in verdict.signals if s.name == "syntax")
    assert syntax.score == 0.5


def test_conflict_markers_fail(judge: Judge) -> None:
    text = "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"
    assert judge(PROJECT, Case({"calc.py": FIXED, "NOTES.md": text})).status == "fail"


def test_tests_that_cannot_be_loaded_any_more_fail(judge: Judge) -> None:
    verdict = judge({**PROJECT, "calc.py": FIXED}, Case({"calc.py": "import nothing_there\n"}))
    assert verdict.status == "fail"
    assert verdict.tests is not None
    assert len(verdict.tests.broken) == 2


def test_tests_that_can_be_loaded_at_last_pass(judge: Judge) -> None:
    broken = {**PROJECT, "calc.py": "import nothing_there\n" + FIXED}
    verdict = judge(broken, Case({"calc.py": FIXED}))
    assert (verdict.status, verdict.strength) == ("pass", 1.0)


def test_no_test_command_is_unverified(judge: Judge) -> None:
    verdict = judge(PROJECT, Case({"calc.py": FIXED}, command=None))
    assert (verdict.status, verdict.strength) == ("unverified", 0.0)
    assert "no test command" in verdict.reason


EXAMPLE = "add is wrong: assert add(1, 2) == 3\nassert add(1, 2) == 3"


def test_examples_of_the_prompt_are_evidence_where_no_test_is(judge: Judge) -> None:
    said = judge({"calc.py": CALC}, Case({"calc.py": FIXED}, command=None, prompt=EXAMPLE))
    assert (said.status, said.strength) == ("pass", 0.5)
    assert "the prompt's examples hold now" in said.reason
    assert said.sandbox["engine"] == "bwrap"
    assert said.sandbox["enforced"]["network"]


def test_an_example_that_does_not_hold_is_told_to_the_next_agent(judge: Judge) -> None:
    change: Change = {"calc.py": CALC + "# new\n"}
    said = judge({"calc.py": CALC}, Case(change, command=None, prompt=EXAMPLE))
    assert said.status == "unverified"
    assert "assert add(1, 2) == 3" in said.findings
    assert said.score < 0.5


def test_an_example_that_always_held_proves_nothing(judge: Judge) -> None:
    change: Change = {"calc.py": FIXED}
    case = Case(change, command=None, prompt="assert mul(2, 3) == 6")
    assert judge({"calc.py": CALC}, case).status == "unverified"


def test_tests_decide_before_examples_do(judge: Judge) -> None:
    case = Case({"calc.py": FIXED}, prompt="assert add(1, 2) == 4")
    said = judge(PROJECT, case)
    assert said.status == "pass"
    assert said.score < 1
    broke = judge(PROJECT, Case({"calc.py": BROKE_MUL}, prompt=EXAMPLE))
    assert broke.status == "fail"


def test_no_tests_found_is_unverified(judge: Judge) -> None:
    for command in (UNITTEST, PYTEST):
        verdict = judge({"calc.py": CALC}, Case({"calc.py": FIXED}, command))
        assert verdict.status == "unverified", verdict
        assert "no tests" in verdict.reason


def test_only_tests_of_the_attempts_own_are_no_evidence(judge: Judge) -> None:
    change: Change = {"calc.py": FIXED, "test_calc.py": TESTS}
    assert judge({"calc.py": CALC}, Case(change)).status == "unverified"


def test_a_runner_that_is_not_installed_is_unverified(judge: Judge) -> None:
    command = TestCommand(("no-such-runner",), "pytest", "test")
    verdict = judge(PROJECT, Case({"calc.py": FIXED}, command))
    assert verdict.status == "unverified"
    assert "do not run here" in verdict.reason


def test_tests_that_hang_now_fail_and_those_that_always_did_are_unverified(judge: Judge) -> None:
    settings = VerifierSettings(sandbox="bwrap", limits=Limits(wall=4.0))
    hang: Change = {"calc.py": "import time\ntime.sleep(60)\n" + FIXED}
    verdict = judge(PROJECT, Case(hang, settings=settings))
    assert verdict.status == "fail"
    assert "stopped after" in verdict.reason
    always = {**PROJECT, "calc.py": "import time\ntime.sleep(60)\n" + CALC}
    other: Change = {"calc.py": always["calc.py"] + "# changed\n"}
    assert judge(always, Case(other, settings=settings)).status == "unverified"


def test_a_question_must_leave_the_tree_alone(judge: Judge) -> None:
    asked = {"dimension": "code_understanding"}
    assert judge(PROJECT, Case({}, **asked)).status == "unverified"  # type: ignore[arg-type]  # one field
    verdict = judge(PROJECT, Case({"calc.py": FIXED}, **asked))  # type: ignore[arg-type]  # one field
    assert (verdict.status, verdict.score) == ("fail", 0.0)


@pytest.mark.parametrize("status", ["error", "denied", "timeout", "aborted"])
def test_an_attempt_that_broke_off_and_changed_nothing_is_unverified(
    judge: Judge, status: str
) -> None:
    assert judge(PROJECT, Case({}, status=status)).status == "unverified"


@pytest.mark.parametrize("status", ["error", "denied", "timeout"])
def test_work_that_broke_off_wins_only_by_tests_that_it_fixed(judge: Judge, status: str) -> None:
    harmless: Change = {"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n"}
    verdict = judge(PROJECT, Case(harmless, dimension="code_generation", status=status))
    assert (verdict.status, verdict.strength) == ("unverified", 0.0)
    assert verdict.reason == f"the agent did not finish ({status}); 1 test pass as before"
    assert judge(PROJECT, Case({"calc.py": FIXED}, status=status)).status == "pass"


def test_the_copy_cap_makes_it_unverified_after_the_agent_bloated_the_tree(judge: Judge) -> None:
    settings = VerifierSettings(sandbox="bwrap", limits=Limits(copy=1))
    change: Change = {"calc.py": FIXED, "big.txt": "x" * (2 << 20)}
    verdict = judge(PROJECT, Case(change, settings=settings))
    assert verdict.status == "unverified"
    assert "too large" in verdict.reason


# tests that were asked for

FULL = """import unittest
from calc import add, mul


class TestNew(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(1, 2), 3)

    def test_mul(self):
        self.assertEqual(mul(2, 4), 8)
"""
HOLLOW = FULL.replace("self.assertEqual(add(1, 2), 3)", "add(1, 2)").replace(
    "self.assertEqual(mul(2, 4), 8)", "mul(2, 4)"
)


@pytest.mark.parametrize("command", [UNITTEST, PYTEST], ids=["unittest", "pytest"])
def test_new_tests_that_notice_planted_faults_pass(judge: Judge, command: TestCommand) -> None:
    files = {"calc.py": FIXED, "test_old.py": "import unittest\n"}
    case = Case({"test_calc.py": FULL}, command, "test_generation")
    said = judge(files, case)
    assert (said.status, said.strength) == ("pass", 1.0), said.reason
    assert "they notice 2 of 2 planted faults" in said.reason


def test_new_tests_that_notice_nothing_fail(judge: Judge) -> None:
    case = Case({"test_calc.py": HOLLOW}, dimension="test_generation")
    said = judge({"calc.py": FIXED, "test_old.py": TESTS}, case)
    assert said.status == "fail"
    assert "0 of 2 planted faults" in said.reason


def test_tests_that_were_asked_for_and_did_not_come_are_unverified(judge: Judge) -> None:
    case = Case({"notes.txt": "later"}, dimension="test_generation")
    said = judge({"calc.py": FIXED, "test_old.py": TESTS}, case)
    assert said.status == "unverified"
    assert "no new one passes" in said.reason


# tampering


def test_the_bases_tests_decide_and_a_weakened_test_wins_nothing(judge: Judge) -> None:
    weak = TESTS.replace("add(1, 2), 3", "add(1, 2), -1")
    verdict = judge(PROJECT, Case({"test_calc.py": weak}))
    assert verdict.status == "fail"
    assert verdict.tests is not None
    assert len(verdict.tests.still_failing) == 1
    assert any(s.name == "tampering" and "M test_calc.py" in s.detail for s in verdict.signals)


def test_a_deleted_failing_test_wins_nothing(judge: Judge) -> None:
    files = {"calc.py": CALC, "test_calc.py": TESTS, "test_more.py": TESTS}
    assert judge(files, Case({"test_calc.py": None, "test_more.py": None})).status == "fail"


def test_a_forged_runner_setting_wins_nothing(judge: Judge) -> None:
    change: Change = {"conftest.py": "import os\nos._exit(0)\n"}
    assert judge(PROJECT, Case(change, PYTEST)).status == "fail"
    change = {"pytest.ini": "[pytest]\naddopts = -k mul\n"}
    assert judge(PROJECT, Case(change, PYTEST)).status == "fail"


def test_product_code_that_ends_the_run_without_results_fails(judge: Judge) -> None:
    change: Change = {"calc.py": "import os\nos._exit(0)\n"}
    for command in (UNITTEST, PYTEST):
        verdict = judge(PROJECT, Case(change, command))
        assert verdict.status == "fail"
        assert "was not written" in verdict.reason


def test_an_honest_change_of_behaviour_and_its_test_is_unverified(judge: Judge) -> None:
    files = {"calc.py": FIXED, "test_calc.py": TESTS}
    change: Change = {
        "calc.py": FIXED.replace("a * b", "a * b * 10"),
        "test_calc.py": TESTS.replace("2, 4), 8", "2, 4), 80"),
    }
    verdict = judge(files, Case(change, dimension="code_generation"))
    assert verdict.status == "unverified"
    assert "as the attempt rewrote them" in verdict.reason


def test_new_tests_beside_the_fix_pass_and_failing_new_tests_do_not(judge: Judge) -> None:
    good: Change = {"calc.py": FIXED, "test_new.py": TESTS}
    verdict = judge(PROJECT, Case(good))
    assert verdict.status == "pass"
    assert verdict.tests is not None
    assert len(verdict.tests.new) == 2
    bad: Change = {"calc.py": FIXED, "test_new.py": TESTS.replace("2), 3", "2), 4")}
    assert judge(PROJECT, Case(bad)).status == "fail"


def test_a_test_that_fails_only_once_is_flaky_and_not_broken(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Ground.tests
    seen: list[Run] = []

    def once(ground: Ground, copy: Path) -> Run:
        ran = real(ground, copy)
        seen.append(ran)
        spoilt: dict[str, State] = {**ran.states, "test_calc.TestCalc.test_mul": "failed"}
        return replace(ran, states=spoilt) if len(seen) == 2 else ran

    monkeypatch.setattr(Ground, "tests", once)
    files = {**PROJECT, "README": "read by no other test's cache\n"}
    said = judge(files, Case({"calc.py": FIXED}))
    assert (said.status, said.strength) == ("pass", 1.0), said.reason
    assert len(seen) == 4  # base, after, again, and with the fixed test made to fail
    assert "1 flaky" in next(s.detail for s in said.signals if s.name == "tests")


def test_skipped_tests_are_not_passed(judge: Judge) -> None:
    skip = 'import unittest\nraise unittest.SkipTest("later")\n'
    verdict = judge({**PROJECT, "calc.py": FIXED}, Case({"calc.py": skip}))
    assert verdict.status == "fail"


def test_package_json_cannot_swap_the_test_script(judge: Judge) -> None:
    if shutil.which("npm") is None:
        missing("npm is not installed")
    script = NODE["package.json"].replace("node --test", "exit 0")
    assert judge(NODE, Case({"package.json": script}, NPM)).status == "fail"


# other runners


def test_node_projects_pass_fail_and_break(judge: Judge) -> None:
    if shutil.which("npm") is None:
        missing("npm is not installed")
    fixed = NODE["calc.js"].replace("a - b", "a + b")
    verdict = judge(NODE, Case({"calc.js": fixed}, NPM))
    assert (verdict.status, verdict.strength) == ("pass", 1.0), verdict
    assert verdict.tests is not None
    assert verdict.tests.fixed == ("adds",)
    assert judge(NODE, Case({"calc.js": fixed.replace("a * b", "1")}, NPM)).status == "fail"
    verdict = judge(NODE, Case({"calc.js": "exports.add = ("}, NPM))
    assert verdict.status == "fail"
    assert verdict.tests is not None
    assert verdict.tests.broken == ("multiplies",)


def test_make_is_judged_by_its_exit_code_and_by_pytest_inside(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("make") is None:
        missing("make is not installed")
    shell = {"Makefile": "test:\n\tgrep -q right answer\n", "answer": "wrong\n"}
    assert judge(shell, Case({"answer": "right\n"}, MAKE)).status == "pass"
    assert judge(shell, Case({"Makefile": "test:\n\ttrue\n"}, MAKE)).status == "fail"
    absent = {"Makefile": "test:\n\tno-such-runner\n", "a": "b"}
    assert judge(absent, Case({"a": "c"}, MAKE)).status == "unverified"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    inner = {**PROJECT, "Makefile": "test:\n\tpython3 -m pytest -q\n"}
    verdict = judge(inner, Case({"calc.py": FIXED}, MAKE))
    assert verdict.tests is not None
    assert verdict.tests.fixed == ("test_calc.py::TestCalc::test_add", "the test command")


# the base


def test_results_of_the_base_are_cached_by_content(
    git_repo: Callable[..., Path], tmp_path: Path, bwrap: Sandbox
) -> None:
    root = git_repo(PROJECT)
    repository = Repository(root=root, id="r", is_git=True, test=UNITTEST)
    settings = VerifierSettings(sandbox="bwrap")
    said: list[str] = []
    for run in ("one", "two"):
        (root / "calc.py").write_text(CALC)
        before = git.snapshot(root, tmp_path / run / "git")
        with prepare(repository, before, settings, tmp_path / run, tmp_path / "cache") as baseline:
            (root / "calc.py").write_text(FIXED)
            after = git.snapshot(root, tmp_path / run / "git")
            assert baseline.judge(task("bug_fixing"), attempt(), after, said.append).tests
    assert [text for text in said if "of the base" in text] == [
        "running the tests of the base in bwrap"
    ]


def test_two_attempts_are_judged_against_the_same_base(
    git_repo: Callable[..., Path], tmp_path: Path, bwrap: Sandbox
) -> None:
    root = git_repo(PROJECT)
    repository = Repository(root=root, id="r", is_git=True, test=UNITTEST)
    store, settings = tmp_path / "run" / "git", VerifierSettings(sandbox="bwrap")
    before = git.snapshot(root, store)
    with prepare(repository, before, settings, tmp_path / "run", tmp_path / "cache") as baseline:
        (root / "calc.py").write_text(BROKE_MUL)
        first = baseline.judge(task("bug_fixing"), attempt(), git.snapshot(root, store), silent)
        again = baseline.judge(
            task("bug_fixing"), attempt("error"), git.snapshot(root, store), silent
        )
        (root / "calc.py").write_text(FIXED)
        second = baseline.judge(task("bug_fixing"), attempt(), git.snapshot(root, store), silent)
    assert [v.status for v in (first, again, second)] == ["fail", "unverified", "pass"]


def test_no_engine_refuses_before_the_agent_runs(
    git_repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    root = git_repo(PROJECT)
    repository = Repository(root=root, id="r", is_git=True, test=UNITTEST)
    before = git.snapshot(root, tmp_path / "git")
    with pytest.raises(SandboxError, match=r"no sandbox: docker: .*Tests were not run"):
        prepare(repository, before, VerifierSettings(sandbox="docker"), tmp_path, tmp_path)


def test_logs_are_redacted_and_private(
    git_repo: Callable[..., Path], tmp_path: Path, bwrap: Sandbox
) -> None:
    root = git_repo({**PROJECT, "calc.py": 'print("hunter2")\n' + CALC})
    repository = Repository(root=root, id="r", is_git=True, test=UNITTEST)
    run_dir, settings = tmp_path / "run", VerifierSettings(sandbox="bwrap")
    before = git.snapshot(root, run_dir / "git")

    def redact(text: str) -> str:
        return text.replace("hunter2", "***")

    with prepare(repository, before, settings, run_dir, tmp_path / "cache", redact) as baseline:
        (root / "calc.py").write_text('print("hunter2")\n' + BROKE_MUL)
        after = git.snapshot(root, run_dir / "git")
        verdict = baseline.judge(task("bug_fixing"), attempt(), after, silent)
    evidence = next(s.evidence for s in verdict.signals if s.name == "tests")
    log = run_dir / evidence
    assert "***" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    kept = [log.read_text() for log in run_dir.rglob("*.log")]
    kept += [file.read_text() for file in (tmp_path / "cache").iterdir()]
    assert "hunter2" not in "".join([*kept, verdict.findings])
