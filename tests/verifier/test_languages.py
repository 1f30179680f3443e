"""Small real projects of every language: pass, fail, broken build, no tests, timeout."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace

import pytest

from acr.nouns import TestCommand
from acr.settings import Limits, VerifierSettings
from tests.engines import missing
from tests.judging import (
    CALC,
    CARGO,
    GO,
    GO_PROJECT,
    JAVA_CODE,
    JAVA_FORKS,
    JAVA_PROJECT,
    MAKE,
    MAVEN,
    MOCHA_PROJECT,
    NODE,
    NPM,
    PROJECT,
    PYTEST,
    RUST_PROJECT,
    UNITTEST,
    VITEST_PROJECT,
    Case,
    Change,
    Judge,
)


@dataclass(frozen=True)
class Language:
    """A project with a wrong `add` and a right `mul`, and what can become of it."""

    command: TestCommand
    files: dict[str, str]
    code: str
    """The file to change."""
    broken: str
    """Its content when it does not build."""
    hangs: str
    """What its `mul` says when it never ends."""
    tests: tuple[str, ...] = ()
    """Files without which there are no tests."""
    bare: dict[str, str] = field(default_factory=dict)
    """What stands in their place."""
    runner: str = ""
    """The JavaScript test runner that is installed in it."""
    wall: float = 6.0
    """Seconds that the tests may take, builds included."""

    def fixed(self) -> str:
        return self.files[self.code].replace("a - b", "a + b")

    def broke(self) -> str:
        return self.fixed().replace("a * b", "a + b")

    def hanging(self) -> str:
        return self.fixed().replace("a * b", self.hangs)


PYTHON_HANGS = "__import__('time').sleep(60)"
NODE_HANGS = "(() => { for (;;) {} })()"
LANGUAGES = {
    "pytest": Language(PYTEST, PROJECT, "calc.py", "def (", PYTHON_HANGS, ("test_calc.py",)),
    "unittest": Language(UNITTEST, PROJECT, "calc.py", "def (", PYTHON_HANGS, ("test_calc.py",)),
    "node:test": Language(
        NPM,
        NODE,
        "calc.js",
        "exports.add = (",
        NODE_HANGS,
        ("calc.test.js",),
    ),
    "vitest": Language(
        NPM,
        VITEST_PROJECT,
        "calc.js",
        "export const add = (",
        NODE_HANGS,
        ("calc.test.js",),
        runner="vitest",
        wall=15.0,
    ),
    "mocha": Language(
        NPM,
        MOCHA_PROJECT,
        "calc.js",
        "exports.add = (",
        NODE_HANGS,
        ("calc.test.js",),
        runner="mocha",
        wall=10.0,
    ),
    "go": Language(
        GO,
        GO_PROJECT,
        "calc.go",
        "package calc\n\nfunc Add(",
        "func() int { for {} }()",
        ("calc_test.go",),
        wall=12.0,
    ),
    "cargo": Language(
        CARGO,
        RUST_PROJECT,
        "src/lib.rs",
        "pub fn add(",
        "loop {}",
        ("src/lib.rs",),
        {"src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 {\n    a - b\n}\n"},
        wall=12.0,
    ),
    "maven": Language(
        MAVEN,
        JAVA_PROJECT,
        "src/main/java/Calc.java",
        "class Calc { static int add(",
        "((java.util.function.IntSupplier) () -> { for (;;) {} }).getAsInt()",
        ("src/test/java/CalcTest.java",),
        wall=25.0,
    ),
    "make": Language(
        MAKE,
        {
            "Makefile": "test:\n\t@python3 -B check.py\n",
            "calc.py": CALC,
            "check.py": "import calc\nassert calc.add(1, 2) == 3\nassert calc.mul(2, 4) == 8\n",
        },
        "calc.py",
        "def (",
        PYTHON_HANGS,
    ),
}


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    found = LANGUAGES[request.param]
    for program in {"npm": ("npm", "node")}.get(found.command.kind, found.command.argv[:1]):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    if found.command is MAVEN:
        request.getfixturevalue("artifacts")
    return found


def case(language: Language, change: Change) -> Case:
    return Case(change, language.command, runner=language.runner)


def test_a_repair_passes(judge: Judge, language: Language) -> None:
    files = JAVA_FORKS if language.command is MAVEN else language.files
    said = judge(files, case(language, {language.code: language.fixed()}))
    assert (said.status, said.strength) == ("pass", 1.0), said.reason
    assert said.tests
    assert len(said.tests.fixed) == 1
    assert not said.tests.broken


def test_a_break_fails(judge: Judge, language: Language) -> None:
    said = judge(language.files, case(language, {language.code: language.broke()}))
    assert said.status == "fail", said.reason


def test_what_does_not_build_fails(judge: Judge, language: Language) -> None:
    said = judge(language.files, case(language, {language.code: language.broken}))
    assert said.status == "fail", said.reason


def test_without_tests_it_is_unverified(judge: Judge, language: Language) -> None:
    if not language.tests:
        pytest.skip("make always says something")
    files = {path: text for path, text in language.files.items() if path not in language.tests}
    code = {**files, **language.bare}
    change: Change = {language.code: code[language.code].replace("a - b", "a + b")}
    said = judge(code, case(language, change))
    assert said.status == "unverified", said.reason


def test_tests_that_do_not_end_fail(judge: Judge, language: Language) -> None:
    settings = VerifierSettings(sandbox="bwrap", limits=Limits(wall=language.wall))
    change: Change = {language.code: language.hanging()}
    said = judge(language.files, replace(case(language, change), settings=settings))
    assert said.status == "fail"
    assert "stopped after" in said.reason, said.reason


def test_nothing_changed_is_no_verdict(judge: Judge, language: Language) -> None:
    said = judge(language.files, replace(case(language, {}), dimension="code_refactoring"))
    assert said.status == "unverified", said.reason
    counted = "0 pass, 1 fail" if language.command is MAKE else "1 pass, 1 fail"
    assert f"nothing was changed: {counted}" in said.reason


def test_a_build_that_would_have_to_download_is_unverified(judge: Judge, artifacts: None) -> None:
    files = {**JAVA_PROJECT, "pom.xml": JAVA_PROJECT["pom.xml"].replace("4.x", "4.0.99")}
    change: Change = {"src/main/java/Calc.java": JAVA_CODE.replace("a - b", "a + b")}
    said = judge(files, Case(change, MAVEN))
    assert said.status == "unverified"
    assert "packages that are not on this machine" in said.reason
