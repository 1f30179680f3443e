"""Attempts on small projects, judged as acr judges them: shared by tests of verdicts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from acr import git
from acr.nouns import Attempt, Repository, Task, TestCommand, Verdict
from acr.settings import Limits, VerifierSettings
from acr.verifier.sandbox.engine import Sandbox
from acr.verifier.verdict import prepare
from tests.engines import PYTHON, missing

PYTEST = TestCommand((sys.executable, "-m", "pytest"), "pytest", "test")
UNITTEST = TestCommand((PYTHON, "-m", "unittest", "-v"), "unittest", "test")
NPM = TestCommand(("npm", "test"), "npm", "test")
MAKE = TestCommand(("make", "test"), "make", "test")

CALC = "def add(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n"
FIXED = CALC.replace("a - b", "a + b")
BROKE_MUL = FIXED.replace("a * b", "a + b")
TESTS = """import unittest
from calc import add, mul


class TestCalc(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(1, 2), 3)

    def test_mul(self):
        self.assertEqual(mul(2, 4), 8)
"""
PROJECT = {"calc.py": CALC, "test_calc.py": TESTS}
NODE = {
    "package.json": '{"name": "calc", "scripts": {"test": "node --test"}}',
    "calc.js": "exports.add = (a, b) => a - b;\nexports.mul = (a, b) => a * b;\n",
    "calc.test.js": """const test = require("node:test");
const assert = require("node:assert");
const { add, mul } = require("./calc.js");
test("adds", () => assert.equal(add(1, 2), 3));
test("multiplies", () => assert.equal(mul(2, 4), 8));
""",
}
RUNNERS = ("jest", "mocha", "vitest")
"""JavaScript's, installed by install.sh --test."""
RUNNER_TESTS = """
const { add, mul } = require("./calc.js");
test("adds", () => expect(add(1, 2)).toBe(3));
test("multiplies", () => expect(mul(2, 4)).toBe(8));
"""
MOCHA_TESTS = """
const assert = require("node:assert");
const { add, mul } = require("./calc.js");
describe("calc", () => {
  it("adds", () => assert.equal(add(1, 2), 3));
  it("multiplies", () => assert.equal(mul(2, 4), 8));
});
"""
MODULE = "export const add = (a, b) => a - b;\nexport const mul = (a, b) => a * b;\n"
VITEST_TESTS = """import { expect, test } from "vitest";
import { add, mul } from "./calc.js";
test("adds", () => expect(add(1, 2)).toBe(3));
test("multiplies", () => expect(mul(2, 4)).toBe(8));
"""


def _javascript(code: str, tests: str, script: str) -> dict[str, str]:
    kind = ', "type": "module"' if code == MODULE else ""
    return {
        "package.json": f'{{"name": "calc"{kind}, "scripts": {{"test": "{script}"}}}}',
        "calc.js": code,
        "calc.test.js": tests,
        ".gitignore": "node_modules/\n",
    }


JEST_PROJECT = _javascript(NODE["calc.js"], RUNNER_TESTS, "jest")
MOCHA_PROJECT = _javascript(NODE["calc.js"], MOCHA_TESTS, "mocha *.test.js")
VITEST_PROJECT = _javascript(MODULE, VITEST_TESTS, "vitest run")


def packages(runner: str) -> Path:
    """The node_modules folder that holds a JavaScript test runner."""
    folder = Path(os.environ.get("ACR_TEST_RUNNERS", "")) / runner / "node_modules"
    if not (folder / ".bin" / runner).exists():
        missing(f"ACR_TEST_RUNNERS names no folder with {runner}; ./install.sh --test installs it")
    return folder


GO = TestCommand(("go", "test", "./..."), "go", "test")
CARGO = TestCommand(("cargo", "test", "--offline"), "cargo", "test")
GO_PROJECT = {
    "go.mod": "module calc\n\ngo 1.18\n",
    "calc.go": "package calc\n\nfunc Add(a, b int) int { return a - b }\n"
    "func Mul(a, b int) int { return a * b }\n",
    "calc_test.go": 'package calc\n\nimport "testing"\n\n'
    "func TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal(Add(1, 2))\n\t}\n}\n\n"
    "func TestMul(t *testing.T) {\n\tif Mul(2, 4) != 8 {\n\t\tt.Fatal(Mul(2, 4))\n\t}\n}\n",
}
RUST_TESTS = """
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
    }

    #[test]
    fn multiplies() {
        assert_eq!(mul(2, 4), 8);
    }
}
"""
RUST_MUL = "pub fn mul(a: i32, b: i32) -> i32 {\n    a * b\n}\n"
RUST_CODE = "pub fn add(a: i32, b: i32) -> i32 {\n    a - b\n}\n" + RUST_MUL
RUST_PROJECT = {
    "Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n',
    "Cargo.lock": 'version = 3\n\n[[package]]\nname = "calc"\nversion = "0.1.0"\n',
    "src/lib.rs": RUST_CODE + RUST_TESTS,
}

MAVEN = TestCommand(("mvn", "-o", "-q", "test"), "maven", "test")
JAVA_CODE = """class Calc {
    static int add(int a, int b) { return a - b; }
    static int mul(int a, int b) { return a * b; }
}
"""
JAVA_TESTS = """import static org.junit.Assert.assertEquals;
import org.junit.Test;

public class CalcTest {
    @Test public void adds() { assertEquals(3, Calc.add(1, 2)); }
    @Test public void multiplies() { assertEquals(8, Calc.mul(2, 4)); }
}
"""
JAVA_PROJECT = {
    "pom.xml": """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>calc</groupId>
  <artifactId>calc</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>11</maven.compiler.source>
    <maven.compiler.target>11</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <forkCount>0</forkCount>
  </properties>
  <dependencies>
    <dependency>
      <groupId>junit</groupId>
      <artifactId>junit</artifactId>
      <version>4.x</version>
      <scope>test</scope>
    </dependency>
  </dependencies>
</project>
""",
    "src/main/java/Calc.java": JAVA_CODE,
    "src/test/java/CalcTest.java": JAVA_TESTS,
}
JAVA_FORKS = {
    **JAVA_PROJECT,
    "pom.xml": JAVA_PROJECT["pom.xml"].replace("    <forkCount>0</forkCount>\n", ""),
}
"""With a process of its own for tests, as Maven's default is; Debian's waits 5 s for its end."""
DEBIANS_ARTIFACTS = Path("/usr/share/maven-repo")
"""What Debian's packages of Maven's plugins and of JUnit install."""


@pytest.fixture
def artifacts() -> None:
    """Maven finds its plugins and JUnit in the test's home, without a network."""
    if not (DEBIANS_ARTIFACTS / "org/apache/maven/plugins/maven-surefire-plugin").is_dir():
        missing("libsurefire-java and junit4 are not installed")
    place = Path.home() / ".m2"
    place.mkdir()
    (place / "repository").symlink_to(DEBIANS_ARTIFACTS)


BWRAP = VerifierSettings(sandbox="bwrap", limits=Limits(wall=60.0))
Change = dict[str, str | None]


@dataclass(frozen=True)
class Case:
    """One attempt on one project."""

    change: Change
    command: TestCommand | None = UNITTEST
    dimension: str = "bug_fixing"
    status: str = "done"
    settings: VerifierSettings = BWRAP
    prompt: str = "do"
    runner: str = ""
    """The one of RUNNERS that is installed in the project."""
    also: Callable[[Path], object] = lambda _: None
    """What else is done to the tree."""


Judge = Callable[[dict[str, str], Case], Verdict]


@pytest.fixture
def quick_place(tmp_path: Path) -> Iterator[Path]:
    """A folder for copies of thousands of files: in memory, where there is enough of it."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < 4 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="acr-test-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def judge(
    git_repo: Callable[..., Path],
    quick_place: Path,
    tmp_path_factory: pytest.TempPathFactory,
    bwrap: Sandbox,
) -> Judge:
    cache = tmp_path_factory.getbasetemp() / "baselines"

    def run(files: dict[str, str], case: Case) -> Verdict:
        root = git_repo(files)
        if case.runner:
            place = root / "node_modules"
            shutil.copytree(packages(case.runner), place, symlinks=True, copy_function=os.link)
        repository = Repository(root=root, id="r", is_git=True, test=case.command)
        run_dir = quick_place / "runs" / "one"
        before = git.snapshot(root, run_dir / "git")
        with prepare(repository, before, case.settings, run_dir, cache) as baseline:
            apply(root, case.change)
            case.also(root)
            after = git.snapshot(root, run_dir / "git")
            verdict = baseline.judge(
                task(case.dimension, case.prompt), attempt(case.status), after, silent
            )
        assert not list(run_dir.rglob("copy-*")), "a copy was left behind"
        shutil.rmtree(root)
        return verdict

    return run


def apply(root: Path, change: Change) -> None:
    for path, text in change.items():
        target = root / path
        if text is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)


def silent(_: str) -> None:
    """Progress that nobody watches."""


def task(dimension: str, prompt: str = "do") -> Task:
    return Task("t", 0.0, prompt, dimension, 1.0, None, None, 0.5, "r", "/r")


def attempt(status: str = "done") -> Attempt:
    return Attempt("a1", "t", "d", "p", "scripted", None, status, 0.0, 1.0)  # type: ignore[arg-type]  # cases name it as text
