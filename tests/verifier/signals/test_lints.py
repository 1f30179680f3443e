"""Linters of the repository: which, on what, and what is new."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git
from acr.verifier.signals.lints import Linter, compare, configured
from tests.judging import BWRAP, FIXED, PROJECT, Case, Change, Judge

Repo = Callable[..., Path]
RUFF = {"ruff.toml": 'lint.select = ["F"]\n'}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (RUFF, ["ruff"]),
        ({"pyproject.toml": "[tool.ruff]\n"}, ["ruff"]),
        ({"pyproject.toml": "[tool.black]\n"}, []),
        ({"pyproject.toml": "broken ="}, []),
        ({"eslint.config.mjs": ""}, ["eslint"]),
        ({".eslintrc.json": "{}", ".ruff.toml": ""}, ["ruff", "eslint"]),
        ({"a": ""}, []),
    ],
)
def test_only_what_the_base_configures_counts(
    git_repo: Repo, tmp_path: Path, files: dict[str, str], wanted: list[str]
) -> None:
    before = git.snapshot(git_repo(files), tmp_path / "git")
    changes = [("M", "a.py"), ("A", "b.ts"), ("D", "c.py"), ("A", "notes.md")]
    found = configured(changes, before)
    assert [linter.name for linter in found] == wanted
    files_of = {linter.name: linter.files for linter in found}
    assert files_of.get("ruff", ("a.py",)) == ("a.py",)
    assert files_of.get("eslint", ("b.ts",)) == ("b.ts",)
    assert not configured([("M", "notes.md")], before)


def test_reports_are_read_and_garbage_is_not() -> None:
    ruff, eslint = Linter("ruff", ()), Linter("eslint", ())
    one = {"filename": "/r/a.py", "code": "F401"}
    assert ruff.read(json.dumps([one, one]), "/r") == Counter({("a.py", "F401"): 2})
    file = {"filePath": "/r/b.js", "messages": [{"ruleId": "no-undef"}]}
    assert eslint.read(json.dumps([file]), "/r") == Counter({("b.js", "no-undef"): 1})
    for text in ("", "{}x", "[1]", '{"a": 1}', "[[]]", "null"):
        assert ruff.read(text, "/r") is None
        assert eslint.read(text, "/r") is None


def test_only_new_complaints_count() -> None:
    old = Counter({("a.py", "F401"): 1})
    assert compare(old, Counter()).score == 1.0
    assert compare(old, old).score == 1.0
    found = compare(old, Counter({("a.py", "F401"): 2, ("b.py", "F821"): 1}))
    assert found.score == pytest.approx(1 / 3)
    assert "2 new complaints" in found.detail
    assert "b.py F821" in found.detail


def test_a_new_complaint_lowers_the_score_and_decides_nothing(judge: Judge) -> None:
    files = {**PROJECT, **RUFF}
    change: Change = {"calc.py": "import os\n" + FIXED, "ruff.toml": "lint.select = []\n"}
    said = judge(files, Case(change, settings=BWRAP))
    assert said.status == "pass"
    assert said.score < 1
    lint = next(s for s in said.signals if s.name == "lint")
    assert lint.score == 0.5
    assert "calc.py F401" in lint.detail
    assert lint.weight > 0


def test_what_was_complained_of_before_is_let_be(judge: Judge) -> None:
    files = {**PROJECT, **RUFF, "calc.py": "import os\n" + PROJECT["calc.py"]}
    said = judge(files, Case({"calc.py": "import os\n" + FIXED}))
    assert next(s for s in said.signals if s.name == "lint").score == 1.0
