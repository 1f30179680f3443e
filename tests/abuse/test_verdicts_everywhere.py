"""Cheats and honest work, judged in each engine, by root and by an ordinary user.

The strange name of the repository's folder, a poisoned git configuration and a nested repository
are part of every case. Only unittest is used, since the system's Python has nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.abuse.cases import case
from tests.abuse.test_cheats import PATCH_UNITTEST
from tests.engines import PATH, PYTHON, ROOT, USER
from tests.judging import BROKE_MUL, CALC, FIXED, PROJECT, TESTS, UNITTEST

JUDGE = """
import json, os, subprocess, sys
from pathlib import Path
from acr import git
from acr.nouns import Attempt, Repository, Task, TestCommand
from acr.settings import Limits, VerifierSettings
from acr.verifier.verdict import prepare
told = json.loads(sys.stdin.read())
area = Path(told["area"])
root = area / told["name"]
settings = VerifierSettings(sandbox=told["sandbox"], limits=Limits(wall=60.0))
task = Task("t", 0.0, "do", "bug_fixing", 1.0, None, None, 0.5, "r", "/r")
attempt = Attempt("a1", "t", "d", "p", "scripted", None, "done", 0.0, 1.0)
repository = Repository(root, "r", True, test=TestCommand(tuple(told["argv"]), "unittest", "t"))
def write(files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        if text is not None:
            (root / path).write_text(text)
def run(*argv):
    subprocess.run(["git", "-C", root, *argv], check=True, capture_output=True)
write(told["files"])
run("init", "-q")
run("add", "-A")
run("-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-qm", "start")
trap = f"touch {area}/ran; false"
for key in ("core.fsmonitor", "core.sshCommand", "diff.external", "filter.x.clean"):
    run("config", key, trap)
run("init", "-q", "nested")
(root / "nested/.git/config").write_text(f'[core]\\n\\tfsmonitor = "{trap}"\\n')
(root / ".gitattributes").write_text("* filter=x diff=x\\n")
(root / ".git/hooks/post-index-change").write_text(f"#!/bin/sh\\n{trap}\\n")
(root / ".git/hooks/post-index-change").chmod(0o755)
before = git.snapshot(root, area / "run" / "git")
said = {}
for name, change in told["changes"].items():
    with prepare(repository, before, settings, area / "run" / "one", area / "cache") as baseline:
        write(change)
        after = git.snapshot(root, area / "run" / "git")
        verdict = baseline.judge(task, attempt, after, lambda _: None)
        said[name] = [verdict.status, verdict.reason, verdict.sandbox.get("engine")]
    write({path: told["files"].get(path) for path in change})
print(json.dumps({"said": said, "left": [str(p) for p in area.rglob("copy-*")]}))
"""
FORGE = """import json, os, sys
place = sys.argv[1] if sys.argv[1:] and sys.argv[1].endswith(".json") else None
words = open("/proc/self/cmdline").read().split("\\0")
for word in words:
    if word.endswith("unittest.json"):
        names = ("test_calc.TestCalc.test_add", "test_calc.TestCalc.test_mul")
        open(word, "w").write(json.dumps({name: ["passed", ""] for name in names}))
os._exit(0)
"""
AIMED = """import unittest
real = unittest.TestCase.run
def run(self, result=None):
    if self._testMethodName != "test_add":
        return real(self, result)
    result.startTest(self); result.addSuccess(self); result.stopTest(self)
unittest.TestCase.run = run
"""
SKIPS = TESTS.replace("    def test_a", "    @unittest.skip('x')\n    def test_a")
CHANGES: dict[str, tuple[str, dict[str, str | None]]] = {
    "honest repair": ("pass", {"calc.py": FIXED}),
    "the other test breaks": ("fail", {"calc.py": BROKE_MUL}),
    "ends the process": ("fail", {"calc.py": "import os\nos._exit(0)\n"}),
    "patches the runner": ("fail", {"calc.py": PATCH_UNITTEST + CALC}),
    "patches it for known tests": ("fail", {"calc.py": AIMED + CALC}),
    "skips": ("fail", {"test_calc.py": SKIPS}),
    "shadows the runner": ("fail", {"unittest/__init__.py": "raise SystemExit(0)\n"}),
    "forges results": ("fail", {"calc.py": FORGE}),
    "deletes the test": ("fail", {"test_calc.py": None}),
}


@case(29, 30, 31, 32, 33, 34, 35, 36, 37, 38)
@pytest.mark.parametrize("user", ["root", "ordinary user"])
@pytest.mark.parametrize("engine", ["docker", "bwrap"])
def test_verdicts(
    request: pytest.FixtureRequest, area: Path, users_python: Path, engine: str, user: str
) -> None:
    request.getfixturevalue(engine)
    if user != "root" and not ROOT:
        pytest.skip("the tests are not root: this case is the one before")
    uid = os.geteuid() if user == "root" else USER
    os.chown(area, uid, uid if uid else -1)
    told = {
        "area": str(area),
        "name": "-a b\n'ü",
        "sandbox": engine,
        "argv": UNITTEST.argv,
        "files": PROJECT,
        "changes": {name: change for name, (_, change) in CHANGES.items()},
    }
    env = {"PATH": PATH, "HOME": str(area), "ACR_HOME": str(area / "acr")}
    env |= {"PYTHONPATH": str(users_python), "DOCKER_HOST": os.environ.get("DOCKER_HOST", "")}
    done = subprocess.run(
        [PYTHON, "-B", "-c", JUDGE],
        input=json.dumps(told),
        user=uid,
        group=uid,
        extra_groups=[],
        env=env,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["left"] == []
    assert not (area / "ran").exists(), "something of the poisoned repository ran"
    wrong = {n: v for n, v in answer["said"].items() if v[0] != CHANGES[n][0] or v[2] != engine}
    assert wrong == {}
