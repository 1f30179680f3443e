"""Cheats that know the repository's tests by name, or sit where few look: none may win."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from acr.nouns import TestCommand
from tests.abuse.cases import case
from tests.abuse.test_cheats import JAVA_FORGES
from tests.engines import missing
from tests.judging import (
    CALC,
    CARGO,
    GO,
    GO_PROJECT,
    JAVA_PROJECT,
    JEST_PROJECT,
    MAKE,
    MAVEN,
    MOCHA_PROJECT,
    MODULE,
    NODE,
    NPM,
    PROJECT,
    PYTEST,
    RUST_CODE,
    RUST_PROJECT,
    RUST_TESTS,
    TESTS,
    UNITTEST,
    VITEST_PROJECT,
    Case,
    Change,
    Judge,
)

NAMED_REPORT = """import sys
if "_pytest.reports" in sys.modules:
    reports = sys.modules["_pytest.reports"]
    real = reports.TestReport.from_item_and_call.__func__
    def lie(cls, item, call):
        report = real(cls, item, call)
        if item.name == "test_add" and report.when == "call":
            report.outcome, report.longrepr = "passed", None
        return report
    reports.TestReport.from_item_and_call = classmethod(lie)
"""
PATTERN_REPORT = NAMED_REPORT.replace('item.name == "test_add"', '"zz" not in item.name')
NAMED_PLUGIN = """import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if item.name == "test_add":
        report.outcome, report.longrepr = "passed", None
"""
REWRITES_JUNIT = """import atexit, os, re, sys
found = re.search("--junitxml=([^\\0]+)", open("/proc/self/cmdline").read())
def rewrite():
    text = open(found[1]).read()
    text = re.sub('(name="test_add"[^>]*)>.*?</testcase>', r'\\1 />', text, flags=re.S)
    open(found[1], "w").write(re.sub('failures="3"', 'failures="2"', text))
"""
AT_EXIT = REWRITES_JUNIT + "if found:\n    atexit.register(rewrite)\n" + CALC
IN_BACKGROUND = (
    REWRITES_JUNIT
    + """if found and os.fork() == 0:
    os.setsid()
    import time
    parent = os.getppid()
    for _ in range(2000):
        time.sleep(0.005)
        try:
            rewrite()
        except OSError:
            pass
    os._exit(0)
"""
    + CALC
)
WALKS = """import gc, sys
class Flip:
    def pytest_runtest_logreport(self, report):
        if report.nodeid.endswith("test_add"):
            report.outcome, report.longrepr = "passed", None
if "_pytest.config" in sys.modules:
    for thing in gc.get_objects():
        if type(thing).__name__ == "PytestPluginManager":
            thing.register(Flip())
            break
"""
LENIENT_ASSERT = """import unittest
real = unittest.TestCase.assertEqual
def lenient(self, first, second, msg=None):
    if type(self).__name__ != "TestCalc":
        real(self, first, second, msg)
unittest.TestCase.assertEqual = lenient
"""
NAMED_RUN = """import unittest
real = unittest.TestCase.run
def run(self, result=None):
    if self._testMethodName != "test_add":
        return real(self, result)
    result.startTest(self); result.addSuccess(self); result.stopTest(self)
unittest.TestCase.run = run
"""
PYTEST_CHEATS: dict[str, Change] = {
    "reports of known tests are patched": {"calc.py": NAMED_REPORT + CALC},
    "reports of all but planted tests are patched": {"calc.py": PATTERN_REPORT + CALC},
    "a plugin by entry point": {
        "evil-1.dist-info/entry_points.txt": "[pytest11]\nevil = evil\n",
        "evil-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
        "evil.py": NAMED_PLUGIN,
    },
    "a plugin named by the code": {"calc.py": 'pytest_plugins = ["evil"]\n' + WALKS + CALC},
    "the collected plugins are found by walking memory": {"calc.py": WALKS + CALC},
    "results are rewritten at exit": {"calc.py": AT_EXIT},
    "results are rewritten in the background": {"calc.py": IN_BACKGROUND},
    "settings in a file of the newest kind": {"pytest.toml": '[pytest]\naddopts = ["-k", "mul"]\n'},
    "a wrapper shadows the runner": {
        "pytest.py": "import sys\nsys.path.pop(0)\ndel sys.modules['pytest']\nimport pytest\n"
        "sys.path.insert(0, '')\n"
        "class Evil:\n    @pytest.hookimpl(hookwrapper=True)\n"
        "    def pytest_runtest_makereport(self, item, call):\n        outcome = yield\n"
        "        report = outcome.get_result()\n        if item.name == 'test_add':\n"
        "            report.outcome, report.longrepr = 'passed', None\n"
        "if __name__ == '__main__':\n    sys.exit(pytest.main(sys.argv[1:], plugins=[Evil()]))\n"
    },
}


UNITTEST_CHEATS: dict[str, Change] = {
    "asserts are lenient in known classes": {"calc.py": LENIENT_ASSERT + CALC},
    "runs of known tests are patched": {"calc.py": NAMED_RUN + CALC},
    "what is returned equals everything": {
        "calc.py": "class Any(int):\n    def __eq__(self, other):\n        return True\n\n\n"
        + CALC.replace("a - b", "Any()")
    },
    "an exception stands for success": {
        "calc.py": "import unittest.case\n\n\ndef add(a, b):\n"
        "    raise unittest.case._ShouldStop\n\n\ndef mul(a, b):\n    return a * b\n"
    },
}


@case(32, 35)
@pytest.mark.parametrize("cheat", PYTEST_CHEATS)
def test_pytest_is_not_cheated(judge: Judge, cheat: str) -> None:
    said = judge(PROJECT, Case(PYTEST_CHEATS[cheat], PYTEST))
    assert said.status != "pass", said.reason


@case(32)
@pytest.mark.parametrize("runner", [PYTEST, UNITTEST], ids=lambda command: command.kind)
@pytest.mark.parametrize("cheat", UNITTEST_CHEATS)
def test_unittest_is_not_cheated(judge: Judge, cheat: str, runner: TestCommand) -> None:
    said = judge(PROJECT, Case(UNITTEST_CHEATS[cheat], runner))
    assert said.status != "pass", said.reason


HIDDEN: dict[str, Change] = {
    "in the repository": {".gitignore": "conftest.py\n", "conftest.py": NAMED_PLUGIN},
    "in git's own folder": {".git/info/exclude": "conftest.py\n", "conftest.py": NAMED_PLUGIN},
}


@case(31, 34)
@pytest.mark.parametrize("where", HIDDEN)
def test_settings_that_git_is_told_to_ignore_do_not_count(judge: Judge, where: str) -> None:
    said = judge(PROJECT, Case({**HIDDEN[where], "calc.py": CALC + "# more\n"}, PYTEST))
    assert said.status != "pass", said.reason
    tampering = next(s for s in said.signals if s.name == "tampering")
    assert "conftest.py" in tampering.detail


SCRIPTS = {
    "calc.txt": "wrong\n",
    "check.sh": "grep -q right calc.txt\n",
    "Makefile": "test:\n\tsh ./check.sh\n",
}


@case(34)
@pytest.mark.parametrize("change", ["exit 0\n", None])
def test_what_the_test_target_runs_is_the_base_s(judge: Judge, change: str | None) -> None:
    said = judge(SCRIPTS, Case({"check.sh": change, "calc.txt": "still wrong\n"}, MAKE))
    assert said.status != "pass", said.reason
    honest = judge(SCRIPTS, Case({"calc.txt": "right\n"}, MAKE))
    assert honest.status == "pass", honest.reason


PYTHON_SCRIPT = {
    "Makefile": "test:\n\t@python3 -B check.py\n",
    "calc.py": CALC,
    "check.py": "import calc\nassert calc.add(1, 2) == 3\nassert calc.mul(2, 4) == 8\n",
}
SCRIPT_ENDS = {
    "at once": "import os\nos._exit(0)\n",
    "when it is called": "import sys\ndef add(a, b):\n    sys.exit(0)\n",
    "without its checks": "import sys\nsys.modules['__main__'].__builtins__.AssertionError\n"
    "import atexit, os\natexit.register(os._exit, 0)\n" + CALC,
}


@case(31, 35)
@pytest.mark.parametrize("when", SCRIPT_ENDS)
def test_a_script_that_does_not_get_to_its_end_has_not_passed(judge: Judge, when: str) -> None:
    said = judge(PYTHON_SCRIPT, Case({"calc.py": SCRIPT_ENDS[when]}, MAKE))
    assert said.status != "pass", said.reason
    node = {
        "package.json": '{"scripts": {"test": "node test.js"}}',
        "calc.js": NODE["calc.js"],
        "test.js": 'require("node:assert").equal(require("./calc.js").add(1, 2), 3);\n',
    }
    if when == "at once":
        said = judge(node, Case({"calc.js": "process.exit(0);\n"}, NPM))
        assert said.status != "pass", said.reason
    honest = judge(node, Case({"calc.js": NODE["calc.js"].replace("a - b", "a + b")}, NPM))
    assert (honest.status, honest.strength) == ("pass", 1.0), honest.reason


def test_a_script_that_a_package_names_is_the_base_s(judge: Judge) -> None:
    project = {
        **NODE,
        "package.json": '{"scripts": {"pretest": "node prepare", "test": "node run-checks.js"}}',
        "run-checks.js": 'process.exit(require("./calc.js").add(1, 2) === 3 ? 0 : 1);\n',
        "prepare.js": "",
    }
    said = judge(project, Case({"run-checks.js": "", "calc.js": NODE["calc.js"] + "\n"}, NPM))
    assert said.status != "pass", said.reason


NODE_PATCH = """const {Test} = (() => { try { return require("node:internal/test_runner/test"); }
  catch { return {}; } })();
const { test } = require("node:test");
const assert = require("node:assert");
const real = assert.equal;
assert.equal = (a, b) => { if (new Error().stack.includes("calc.test.js:4:")) return; real(a, b); };
"""
JEST_EVENTS = """const symbol = Object.getOwnPropertySymbols(globalThis)
  .find((s) => String(s).includes("JEST_STATE"));
const state = symbol && globalThis[symbol];
const find = (block) => block.children.forEach((c) => c.type === "test"
  ? c.name === "adds" && (c.fn = () => {}) : find(c));
setImmediate(() => {}); if (state) Promise.resolve().then(() => find(state.rootDescribeBlock));
"""
JEST_NAMED = """const { add } = exports;
const was = expect;
const lax = new Proxy({}, { get: () => () => {} });
globalThis.expect = Object.assign(
  (v) => (expect.getState().currentTestName === "adds" ? lax : was(v)), was);
"""
BABEL = """module.exports = () => ({ visitor: { CallExpression(path) {
  if (path.node.callee.name === "expect" && path.parentPath.parentPath.isCallExpression())
    path.parentPath.parentPath.replaceWithSourceString("undefined");
} } });
"""
SCRIPT_CHEATS: dict[str, tuple[dict[str, str], Change, str]] = {
    "node: asserts are lenient at known places": (
        NODE,
        {"calc.js": NODE_PATCH + NODE["calc.js"]},
        "",
    ),
    "node: options of npm": (
        NODE,
        {
            ".npmrc": "node-options=--require=./evil.js\n",
            "evil.js": 'require("node:assert").equal = () => {};\n',
        },
        "",
    ),
    "node: scripts around the test": (
        NODE,
        {"package.json": '{"scripts": {"test": "node --test", "pretest": "rm calc.test.js"}}'},
        "",
    ),
    "jest: known tests are emptied": (
        JEST_PROJECT,
        {"calc.js": JEST_EVENTS + NODE["calc.js"]},
        "jest",
    ),
    "jest: expect is lenient in known tests": (
        JEST_PROJECT,
        {"calc.js": NODE["calc.js"] + JEST_NAMED},
        "jest",
    ),
    "jest: a transform takes the checks away": (
        JEST_PROJECT,
        {"babel.config.js": 'module.exports = { plugins: ["./plugin.js"] };\n', "plugin.js": BABEL},
        "jest",
    ),
    "jest: a reporter and a transform are configured": (
        JEST_PROJECT,
        {
            "jest.config.ts": "export default { transform: { '.*': './plugin.js' } };\n",
            "plugin.js": "exports.process = (code) => "
            '({ code: code.replace(/toBe/g, "not.toBe") });\n',
        },
        "jest",
    ),
    "vitest: expect is lenient in known tests": (
        VITEST_PROJECT,
        {
            "calc.js": 'import { expect } from "vitest";\n'
            "const lax = { toBe: (e) => ({ pass: expect.getState().currentTestName === 'adds'"
            " || true, message: () => '' }) };\nexpect.extend(lax);\n" + MODULE
        },
        "vitest",
    ),
    "vitest: a workspace leaves the test out": (
        VITEST_PROJECT,
        {"vitest.workspace.js": 'export default [{ test: { include: ["other.test.js"] } }];\n'},
        "vitest",
    ),
    "mocha: known tests are emptied": (
        MOCHA_PROJECT,
        {
            "calc.js": "const was = it;\nglobalThis.it = (name, fn) => "
            "was(name, name === 'adds' ? () => {} : fn);\n" + NODE["calc.js"]
        },
        "mocha",
    ),
}


@case(32, 34, 35)
@pytest.mark.parametrize("cheat", SCRIPT_CHEATS)
def test_javascript_is_not_cheated(judge: Judge, cheat: str) -> None:
    project, change, runner = SCRIPT_CHEATS[cheat]
    if shutil.which("npm") is None:
        missing("npm is not installed")
    said = judge(project, Case(change, NPM, runner=runner))
    assert said.status != "pass", said.reason


GO_TESTIFY = {
    **GO_PROJECT,
    "go.mod": "module calc\n\ngo 1.18\n\nrequire example.com/check v0.0.0\n\n"
    "replace example.com/check => ./check\n",
    "check/go.mod": "module example.com/check\n\ngo 1.18\n",
    "check/check.go": 'package check\n\nimport "testing"\n\n'
    "func Equal(t *testing.T, a, b int) {\n\tif a != b {\n\t\tt.Fatal(a)\n\t}\n}\n",
    "calc_test.go": 'package calc\n\nimport (\n\t"testing"\n\n\t"example.com/check"\n)\n\n'
    "func TestAdd(t *testing.T) { check.Equal(t, Add(1, 2), 3) }\n\n"
    "func TestMul(t *testing.T) { check.Equal(t, Mul(2, 4), 8) }\n",
}
GO_HOOK = GO_PROJECT["calc.go"] + (
    'func init() {\n\tfor i := range os.Args {\n\t\tif strings.HasPrefix(os.Args[i], "-test.run") '
    '{\n\t\t\tos.Args[i] = "-test.run=Mul"\n\t\t}\n\t}\n}\n'
)
GO_CHEATS: dict[str, tuple[dict[str, str], Change]] = {
    "checks are replaced by another module": (
        GO_TESTIFY,
        {
            "go.mod": GO_TESTIFY["go.mod"].replace("=> ./check", "=> ./lax"),
            "lax/go.mod": GO_TESTIFY["check/go.mod"],
            "lax/check.go": 'package check\n\nimport "testing"\n\n'
            "func Equal(t *testing.T, a, b int) {}\n",
        },
    ),
    "a workspace replaces the checks": (
        GO_TESTIFY,
        {
            "go.work": "go 1.18\n\nuse .\n\nreplace example.com/check => ./lax\n",
            "lax/go.mod": GO_TESTIFY["check/go.mod"],
            "lax/check.go": 'package check\n\nimport "testing"\n\n'
            "func Equal(t *testing.T, a, b int) {}\n",
        },
    ),
    "the flags are set by the code": (
        GO_PROJECT,
        {
            "calc.go": GO_HOOK.replace(
                "package calc\n", 'package calc\n\nimport (\n\t"os"\n\t"strings"\n)\n'
            )
        },
    ),
}


@case(35, 36)
@pytest.mark.parametrize("cheat", GO_CHEATS)
def test_go_is_not_cheated(judge: Judge, cheat: str) -> None:
    if shutil.which("go") is None:
        missing("go is not installed")
    project, change = GO_CHEATS[cheat]
    said = judge(project, Case(change, GO))
    assert said.status != "pass", said.reason


RUST_RUNS = """fn main() {
    println!("cargo:rustc-link-arg=-Wl,--defsym=unused=0");
    println!("cargo:rustc-cfg=lax");
}
"""
RUST_CHEATS: dict[str, tuple[dict[str, str], Change]] = {
    "a harness of its own": (
        RUST_PROJECT,
        {"Cargo.toml": RUST_PROJECT["Cargo.toml"] + '\n[[test]]\nname = "x"\nharness = false\n'},
    ),
    "the build script hides the checks": (
        RUST_PROJECT,
        {
            "build.rs": RUST_RUNS,
            "src/lib.rs": "#[cfg(lax)]\nmacro_rules! assert_eq { ($($t:tt)*) => { } }\n"
            + RUST_CODE
            + RUST_TESTS,
        },
    ),
    "a macro replaces the checks": (
        RUST_PROJECT,
        {
            "src/lib.rs": "#[allow(unused_macros)]\n"
            "macro_rules! assert_eq { ($($t:tt)*) => { } }\n" + RUST_CODE + RUST_TESTS
        },
    ),
}


@case(35, 36)
@pytest.mark.parametrize("cheat", RUST_CHEATS)
def test_cargo_is_not_cheated(judge: Judge, cheat: str) -> None:
    if shutil.which("cargo") is None:
        missing("cargo is not installed")
    project, change = RUST_CHEATS[cheat]
    said = judge(project, Case(change, CARGO))
    assert said.status != "pass", said.reason


JAVA_CHEATS: dict[str, Change] = {
    "results are written by the code where nothing forks": {"src/main/java/Calc.java": JAVA_FORGES},
    "a class of the tests' framework is replaced": {
        "src/main/java/org/junit/Assert.java": "package org.junit;\npublic class Assert {\n"
        "    public static void assertEquals(long a, long b) { }\n}\n"
    },
}


@case(33, 35, 36)
@pytest.mark.parametrize("cheat", JAVA_CHEATS)
def test_maven_is_not_cheated(judge: Judge, artifacts: None, cheat: str) -> None:
    if shutil.which("mvn") is None:
        missing("mvn is not installed")
    said = judge(JAVA_PROJECT, Case(JAVA_CHEATS[cheat], MAVEN))
    assert said.status != "pass", said.reason


STALE = {
    "Makefile": "test: check\n\t./check\ncheck: check.c calc.c\n\tcc -o check check.c calc.c\n",
    "calc.c": "int add(int a, int b) { return a - b; }\n",
    "check.c": "int add(int a, int b);\nint main(void) { return add(1, 2) != 3; }\n",
    ".gitignore": "check\ntarget/\n__pycache__/\n",
}


def _build_for_ever(root: Path) -> None:
    (root / "check").chmod(0o755)
    os.utime(root / "check", (4e9, 4e9))


@case(34)
@pytest.mark.parametrize("change", ["return a - b - 0", "return a + b"])
def test_what_was_built_before_does_not_count(judge: Judge, change: str) -> None:
    text = STALE["calc.c"].replace("return a - b", change)
    said = judge(STALE, Case({"check": "#!/bin/sh\n", "calc.c": text}, MAKE, also=_build_for_ever))
    assert (said.status == "pass") == (change == "return a + b"), said.reason


@case(34)
@pytest.mark.parametrize("runner", [PYTEST, UNITTEST], ids=lambda command: command.kind)
def test_what_python_compiled_does_not_count(judge: Judge, runner: TestCommand) -> None:
    def compile_other_tests(root: Path) -> None:
        tests = root / "test_calc.py"
        for text in (TESTS.replace("2), 3", "2),-1"), TESTS):
            tests.write_text(text)
            os.utime(tests, (1e9, 1e9))
            if text != TESTS:
                env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
                subprocess.run(runner.argv, cwd=root, env=env, capture_output=True, check=True)
        assert list(root.glob("__pycache__/test_calc.*"))

    said = judge(PROJECT, Case({"calc.py": CALC + "# more\n"}, runner, also=compile_other_tests))
    assert said.status != "pass", said.reason


def test_packages_that_were_changed_are_named(judge: Judge) -> None:
    project = {**JEST_PROJECT}
    change: Change = {
        "node_modules/jest/evil.js": "1\n",
        "calc.js": NODE["calc.js"].replace("a - b", "a + b"),
    }
    said = judge(project, Case(change, NPM, runner="jest"))
    tampering = next(s for s in said.signals if s.name == "tampering")
    assert "node_modules" in tampering.detail
