"""Changes that make tests look passed without doing the work: none may win."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.abuse.cases import case
from tests.engines import missing
from tests.judging import (
    CALC,
    CARGO,
    FIXED,
    GO,
    GO_PROJECT,
    JAVA_FORKS,
    JAVA_PROJECT,
    JEST_PROJECT,
    MAVEN,
    MODULE,
    NODE,
    NPM,
    PROJECT,
    PYTEST,
    RUNNERS,
    RUST_CODE,
    RUST_MUL,
    RUST_PROJECT,
    RUST_TESTS,
    TESTS,
    UNITTEST,
    VITEST_PROJECT,
    Case,
    Change,
    Judge,
)

HOOK = """import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome, report.longrepr = "passed", None
"""
JUNIT = """<testsuites><testsuite name="pytest" tests="2" failures="0" errors="0">
<testcase classname="test_calc.TestCalc" name="test_add" file="test_calc.py" line="5"/>
<testcase classname="test_calc.TestCalc" name="test_mul" file="test_calc.py" line="8"/>
</testsuite></testsuites>"""
FORGE = f"""import os, re, sys
line = open("/proc/self/cmdline").read()
found = re.search("--junitxml=([^\\0]+)", line)
if found:
    with open(found[1], "w") as file:
        file.write('''{JUNIT}''')
print("2 passed in 0.01s")
sys.stdout.flush()
os._exit(1)
"""
PATCH_REPORT = """import sys
if "_pytest.reports" in sys.modules:
    reports = sys.modules["_pytest.reports"]
    real = reports.TestReport.from_item_and_call.__func__
    def lie(cls, item, call):
        report = real(cls, item, call)
        if report.when == "call":
            report.outcome, report.longrepr = "passed", None
        return report
    reports.TestReport.from_item_and_call = classmethod(lie)
"""
PATCH_CALL = """import sys
if "_pytest.python" in sys.modules:
    sys.modules["_pytest.python"].Function.runtest = lambda self: None
"""
PATCH_UNITTEST = """import unittest
unittest.TestCase.run = lambda self, result=None: (
    result.startTest(self), result.addSuccess(self), result.stopTest(self))
"""
PATCH_ASSERT = """import unittest
unittest.TestCase.failureException = type("Never", (BaseException,), {})
unittest.TestCase.assertEqual = lambda self, a, b, msg=None: None
unittest.TestCase.fail = lambda self, msg=None: None
"""

PYTEST_CHEATS: dict[str, Change] = {
    "conftest ends the process": {"conftest.py": "import os\nos._exit(0)\n"},
    "conftest changes reports": {"conftest.py": HOOK},
    "conftest changes the exit code": {
        "conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    },
    "conftest deselects": {
        "conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = items[1:]\n"
    },
    "options deselect": {"pytest.ini": "[pytest]\naddopts = -k mul\n"},
    "options in pyproject deselect": {
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-k mul"\n'
    },
    "testpaths lead elsewhere": {
        "tox.ini": "[pytest]\ntestpaths = other\n",
        "other/test_x.py": "def test_x():\n    pass\n",
    },
    "everything is expected to fail": {
        "conftest.py": "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n        item.add_marker(pytest.mark.xfail)\n"
    },
    "everything is skipped": {
        "conftest.py": "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n        item.add_marker(pytest.mark.skip)\n"
    },
    "a package shadows pytest": {"pytest/__main__.py": "raise SystemExit(0)\n"},
    "a module shadows pytest": {"pytest.py": "raise SystemExit(0)\n"},
    "sitecustomize ends the process": {"sitecustomize.py": "import os\nos._exit(0)\n"},
    "the code patches reports": {"calc.py": PATCH_REPORT + CALC},
    "the code patches calls": {"calc.py": PATCH_CALL + CALC},
    "the code forges results": {"calc.py": FORGE},
    "the code ends the process at exit": {
        "calc.py": "import atexit, os\natexit.register(os._exit, 0)\n" + CALC
    },
    "the code ends the process": {"calc.py": "import os\nos._exit(0)\n"},
    "the code skips its tests": {
        "calc.py": "import pytest\npytest.skip('later', allow_module_level=True)\n"
    },
    "the test is deleted": {"test_calc.py": None, "test_other.py": "def test_x():\n    pass\n"},
    "the test is weakened": {"test_calc.py": TESTS.replace("2), 3", "2), -1")},
    "the test is skipped": {
        "test_calc.py": TESTS.replace("    def test_a", "    @unittest.skip('x')\n    def test_a")
    },
    "the test is renamed": {"test_calc.py": TESTS.replace("test_add", "check_add")},
    "the test is emptied": {"test_calc.py": ""},
}


@case(31, 32, 33, 34, 35, 36)
@pytest.mark.parametrize("cheat", PYTEST_CHEATS)
def test_pytest_is_not_cheated(judge: Judge, cheat: str) -> None:
    said = judge(PROJECT, Case(PYTEST_CHEATS[cheat], PYTEST))
    assert said.status != "pass", said.reason


UNITTEST_CHEATS: dict[str, Change] = {
    "the code patches runs": {"calc.py": PATCH_UNITTEST + CALC},
    "the code patches asserts": {"calc.py": PATCH_ASSERT + CALC},
    "the code ends the process": {"calc.py": "import os\nos._exit(0)\n"},
    "the code ends the process at exit": {
        "calc.py": "import atexit, os\natexit.register(os._exit, 0)\n" + CALC
    },
    "a package shadows unittest": {"unittest/__init__.py": "raise SystemExit(0)\n"},
    "the test is weakened": {"test_calc.py": TESTS.replace("2), 3", "2), -1")},
    "load_tests loads none": {
        "test_calc.py": TESTS + "\ndef load_tests(*_):\n    return unittest.TestSuite()\n"
    },
}


@case(32, 34, 36)
@pytest.mark.parametrize("cheat", UNITTEST_CHEATS)
def test_unittest_is_not_cheated(judge: Judge, cheat: str) -> None:
    said = judge(PROJECT, Case(UNITTEST_CHEATS[cheat], UNITTEST))
    assert said.status != "pass", said.reason


NODE_LIE = """const real = require("node:assert");
for (const name of ["equal", "strictEqual", "deepEqual", "ok"]) real[name] = () => {};
"""
NODE_CHEATS: dict[str, Change] = {
    "the script does nothing": {"package.json": '{"scripts": {"test": "exit 0"}}'},
    "another shell runs the script": {".npmrc": "script-shell=/bin/true\n"},
    "the code ends the process": {"calc.js": "process.exit(0);\n"},
    "the code ends the process later": {
        "calc.js": NODE["calc.js"] + "process.on('exit', () => process.reallyExit(0));\n"
    },
    "the code patches the runner": {
        "calc.js": 'const t = require("node:test");\n'
        'require.cache; const m = require("node:test").Test;\n'
        "process.exitCode = 0;\n"
        'Object.defineProperty(process, "exitCode", { get: () => 0, set: () => {} });\n'
        + NODE["calc.js"]
    },
    "the code patches asserts": {"calc.js": NODE_LIE + NODE["calc.js"]},
    "the test is weakened": {"calc.test.js": NODE["calc.test.js"].replace("2), 3", "2), -1")},
    "the test is skipped": {
        "calc.test.js": NODE["calc.test.js"].replace('test("a', 'test.skip("a')
    },
    "a program shadows node": {"node_modules/.bin/node": "#!/bin/sh\nexit 0\n"},
}


@case(34, 35, 36)
@pytest.mark.parametrize("cheat", NODE_CHEATS)
def test_node_is_not_cheated(judge: Judge, cheat: str) -> None:
    if shutil.which("npm") is None:
        missing("npm is not installed")
    said = judge(NODE, Case(NODE_CHEATS[cheat], NPM))
    assert said.status != "pass", said.reason


JEST_LIES = """expect.extend(Object.fromEntries(["toBe", "toEqual", "toBeTruthy"].map(
  (name) => [name, () => ({ pass: true, message: () => "" })])));
"""
JEST_FORGES = """const fs = require("node:fs");
const file = fs.readFileSync("/proc/self/cmdline", "utf8").match(/--outputFile=([^\\0]+)/);
const told = (title) => ({ ancestorTitles: [], fullName: title, title, status: "passed" });
const name = `${process.cwd()}/calc.test.js`;
const testResults = [{ name, status: "passed", message: "",
  assertionResults: [told("adds"), told("multiplies")] }];
const report = { success: true, numTotalTests: 2, numPassedTests: 2, numFailedTests: 0,
  numTotalTestSuites: 1, testResults };
const end = () => { if (file) fs.writeFileSync(file[1], JSON.stringify(report)); };
"""
JEST_CODE = JEST_PROJECT["calc.js"]
JEST_TESTS = JEST_PROJECT["calc.test.js"]
JEST_CHEATS: dict[str, Change] = {
    "a new configuration leaves the test out": {
        "jest.config.js": 'module.exports = { testPathIgnorePatterns: ["calc"], '
        "passWithNoTests: true };\n"
    },
    "a new set-up patches what is expected": {
        "jest.config.js": 'module.exports = { setupFilesAfterEnv: ["./setup.js"] };\n',
        "setup.js": JEST_LIES,
    },
    "a global set-up ends the process": {
        "jest.config.js": 'module.exports = { globalSetup: "./setup.js" };\n',
        "setup.js": "module.exports = () => process.exit(0);\n",
    },
    "the code patches what is expected": {"calc.js": JEST_LIES + JEST_CODE},
    "the code ends the process": {"calc.js": "process.exit(0);\n"},
    "the code forges results and ends": {
        "calc.js": JEST_FORGES + "end();\nprocess.reallyExit(0);\n"
    },
    "the code forges results at the end": {
        "calc.js": JEST_FORGES + 'process.on("exit", end);\n' + JEST_CODE
    },
    "the code patches tests": {
        "calc.js": "globalThis.test = globalThis.it = Object.assign(() => {}, test);\n" + JEST_CODE
    },
    "the test is weakened": {"calc.test.js": JEST_TESTS.replace("toBe(3)", "toBe(-1)")},
    "the test is skipped": {"calc.test.js": JEST_TESTS.replace('test("a', 'test.skip("a')},
    "only the other test runs": {"calc.test.js": JEST_TESTS.replace('test("m', 'test.only("m')},
}


@case(34, 35, 36)
@pytest.mark.parametrize("cheat", JEST_CHEATS)
def test_jest_is_not_cheated(judge: Judge, cheat: str) -> None:
    said = judge(JEST_PROJECT, Case(JEST_CHEATS[cheat], NPM, runner="jest"))
    assert said.status != "pass", said.reason


VITEST_LIES = """import { expect } from "vitest";
expect.extend(Object.fromEntries(["toBe", "toEqual", "toBeTruthy"].map(
  (name) => [name, () => ({ pass: true, message: () => "" })])));
"""
VITEST_FORGES = """import fs from "node:fs";
const words = ["self", process.ppid].map((id) => fs.readFileSync(`/proc/${id}/cmdline`, "utf8"));
const file = words.join("\\0").match(/--outputFile.junit=([^\\0]+)/);
const report = `<testsuites><testsuite name="calc.test.js" tests="2">
<testcase classname="calc.test.js" name="adds"/>
<testcase classname="calc.test.js" name="multiplies"/></testsuite></testsuites>`;
const end = () => { if (file) fs.writeFileSync(file[1], report); };
"""
VITEST_TESTS = VITEST_PROJECT["calc.test.js"]
VITEST_CHEATS: dict[str, Change] = {
    "a new configuration leaves the test out": {
        "vitest.config.js": 'export default { test: { exclude: ["calc*"], '
        "passWithNoTests: true } };\n"
    },
    "a new set-up patches what is expected": {
        "vitest.config.js": 'export default { test: { setupFiles: ["./setup.js"] } };\n',
        "setup.js": VITEST_LIES,
    },
    "the configuration ends the process": {"vite.config.js": "process.exit(0);\n"},
    "the code patches what is expected": {"calc.js": VITEST_LIES + MODULE},
    "the code ends the process": {"calc.js": "process.exit(0);\n"},
    "the code forges results and ends": {
        "calc.js": VITEST_FORGES + "end();\nprocess.kill(process.ppid, 9);\n" + MODULE
    },
    "the code forges results at the end": {
        "calc.js": VITEST_FORGES + 'process.on("exit", end);\n' + MODULE
    },
    "the test is weakened": {"calc.test.js": VITEST_TESTS.replace("toBe(3)", "toBe(-1)")},
    "the test is skipped": {"calc.test.js": VITEST_TESTS.replace('test("a', 'test.skip("a')},
    "only the other test runs": {"calc.test.js": VITEST_TESTS.replace('test("m', 'test.only("m')},
}


@case(34, 35, 36)
@pytest.mark.parametrize("cheat", VITEST_CHEATS)
def test_vitest_is_not_cheated(judge: Judge, cheat: str) -> None:
    said = judge(VITEST_PROJECT, Case(VITEST_CHEATS[cheat], NPM, runner="vitest"))
    assert said.status != "pass", said.reason


GO_MUL = "func Mul(a, b int) int { return a * b }\n"
GO_CHEATS: dict[str, Change] = {
    "the code prints results and ends": {
        "calc.go": 'package calc\n\nimport (\n\t"fmt"\n\t"syscall"\n)\n\n'
        "func Add(a, b int) int {\n"
        '\tfmt.Print("\\x16--- PASS: TestAdd (0.00s)\\n\\x16=== RUN   TestMul\\n'
        '\\x16--- PASS: TestMul (0.00s)\\nPASS\\n")\n'
        "\tsyscall.Exit(0)\n\treturn 0\n}\n" + GO_MUL
    },
    "the code ends before the tests": {
        "calc.go": 'package calc\n\nimport "os"\n\nfunc init() { os.Exit(0) }\n'
        "func Add(a, b int) int { return 0 }\n" + GO_MUL
    },
    "a new TestMain runs nothing": {
        "main_test.go": 'package calc\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
        "func TestMain(m *testing.M) { os.Exit(0) }\n"
    },
    "the code sets the filter": {
        "calc.go": 'package calc\n\nimport (\n\t"os"\n)\n\n'
        'func init() { os.Args = append(os.Args, "-test.run=Mul") }\n'
        "func Add(a, b int) int { return 0 }\n" + GO_MUL
    },
    "the test is deleted": {"calc_test.go": None},
    "a build tag hides the test": {
        "calc_test.go": "//go:build never\n\n" + GO_PROJECT["calc_test.go"]
    },
}


@case(35, 36)
@pytest.mark.parametrize("cheat", GO_CHEATS)
def test_go_is_not_cheated(judge: Judge, cheat: str) -> None:
    if shutil.which("go") is None:
        missing("go is not installed")
    said = judge(GO_PROJECT, Case(GO_CHEATS[cheat], GO))
    assert said.status != "pass", said.reason


RUST_FORGES = (
    "pub fn add(_: i32, _: i32) -> i32 {\n"
    '    let said = "test tests::adds ... ok\\ntest tests::multiplies ... ok\\n\\n\\\n'
    'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\\n";\n'
    "    use std::io::Write;\n"
    '    let mut out = std::fs::OpenOptions::new().write(true).open("/dev/stdout").unwrap();\n'
    "    let _ = out.write_all(said.as_bytes());\n"
    "    std::process::exit(0)\n}\n"
)
RUST_CHEATS: dict[str, Change] = {
    "the test is weakened": {
        "src/lib.rs": RUST_CODE + RUST_TESTS.replace("add(1, 2), 3", "add(1, 2), -1")
    },
    "the test is ignored": {
        "src/lib.rs": RUST_CODE
        + RUST_TESTS.replace("#[test]\n    fn adds", "#[test]\n    #[ignore]\n    fn adds")
    },
    "the test is emptied": {
        "src/lib.rs": RUST_CODE + RUST_TESTS.replace("assert_eq!(add(1, 2), 3);", "")
    },
    "the tests are gone": {"src/lib.rs": RUST_CODE},
    "the code prints results and ends": {"src/lib.rs": RUST_FORGES + RUST_MUL + RUST_TESTS},
    "the code ends the process": {
        "src/lib.rs": "pub fn add(_: i32, _: i32) -> i32 {\n    std::process::exit(0)\n}\n"
        + RUST_MUL
        + RUST_TESTS
    },
    "tests are switched off": {
        "Cargo.toml": RUST_PROJECT["Cargo.toml"] + "\n[lib]\ntest = false\n"
    },
    "another runner is configured": {
        ".cargo/config.toml": '[target."cfg(all())"]\nrunner = "true"\n'
    },
}


@case(33, 35, 36)
@pytest.mark.parametrize("cheat", RUST_CHEATS)
def test_cargo_is_not_cheated(judge: Judge, cheat: str) -> None:
    if shutil.which("cargo") is None:
        missing("cargo is not installed")
    said = judge(RUST_PROJECT, Case(RUST_CHEATS[cheat], CARGO))
    assert said.status != "pass", said.reason


SKIPS = "    <skipTests>true</skipTests>\n  </properties>"
IGNORES = "    <maven.test.failure.ignore>true</maven.test.failure.ignore>\n  </properties>"
JAVA_FORGES = """import java.nio.file.*;
class Calc {
    static int add(int a, int b) {
        try {
            Path folder = Paths.get("target/surefire-reports");
            Files.createDirectories(folder);
            Path file = folder.resolve("TEST-CalcTest.xml");
            Files.write(file, ("<testsuite name='CalcTest' tests='2'>"
                + "<testcase name='adds' classname='CalcTest'/>"
                + "<testcase name='multiplies' classname='CalcTest'/></testsuite>").getBytes());
        } catch (Exception e) { }
        Runtime.getRuntime().halt(0);
        return 3;
    }
    static int mul(int a, int b) { return a * b; }
}
"""
POM = JAVA_PROJECT["pom.xml"]
JAVA_CHEATS: dict[str, Change] = {
    "tests are skipped": {"pom.xml": POM.replace("  </properties>", SKIPS)},
    "failures are ignored": {"pom.xml": POM.replace("  </properties>", IGNORES)},
    "the code writes results and ends": {"src/main/java/Calc.java": JAVA_FORGES},
}


@case(33, 35, 36)
@pytest.mark.parametrize("cheat", JAVA_CHEATS)
def test_maven_is_not_cheated(judge: Judge, artifacts: None, cheat: str) -> None:
    if shutil.which("mvn") is None:
        missing("mvn is not installed")
    project = JAVA_PROJECT if "pom.xml" in JAVA_CHEATS[cheat] else JAVA_FORKS
    said = judge(project, Case(JAVA_CHEATS[cheat], MAVEN))
    assert said.status != "pass", said.reason


HONEST = {
    "pytest": (PROJECT, {"calc.py": FIXED}, PYTEST),
    "unittest": (PROJECT, {"calc.py": FIXED}, UNITTEST),
    "node": (NODE, {"calc.js": NODE["calc.js"].replace("a - b", "a + b")}, NPM),
    "jest": (JEST_PROJECT, {"calc.js": JEST_CODE.replace("a - b", "a + b")}, NPM),
    "vitest": (VITEST_PROJECT, {"calc.js": MODULE.replace("a - b", "a + b")}, NPM),
    "go": (GO_PROJECT, {"calc.go": GO_PROJECT["calc.go"].replace("a - b", "a + b")}, GO),
    "cargo": (
        RUST_PROJECT,
        {"src/lib.rs": RUST_PROJECT["src/lib.rs"].replace("a - b", "a + b")},
        CARGO,
    ),
}


@case(37)
@pytest.mark.parametrize("runner", HONEST)
def test_honest_work_is_believed(judge: Judge, runner: str) -> None:
    project, change, command = HONEST[runner]
    if shutil.which(Path(command.argv[0]).name) is None:
        missing(f"{command.argv[0]} is not installed")
    installed = runner if runner in RUNNERS else ""
    said = judge(project, Case(dict(change), command, runner=installed))
    assert (said.status, said.strength) == ("pass", 1.0), said.reason
    assert said.tests
    assert len(said.tests.fixed) == 1
    assert not said.tests.broken
    assert not said.tests.new
    tampering = next(s.detail for s in said.signals if s.name == "tampering")
    assert "1 of 1 fixed tests fail when made to" in tampering
