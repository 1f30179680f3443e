"""Which touched files decide how tests run, and what is put back."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git
from acr.verifier.tampering import Restoration, is_fixture, is_test, restoration


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py", "pkg/a_test.go", "src/x.test.ts", "x.spec.js", "tests/helper.py", "test/a.js",
        "src/test/java/ATest.java", "a/__tests__/b.js", "lib/foo_spec.rb", "crate/tests/it.rs",
    ],
)  # fmt: skip
def test_test_files_are_known(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize(
    "path", ["src/attest.py", "django/test/client.py", "contest/a.py", "spec.md"]
)
def test_product_files_are_not_taken_for_tests(path: str) -> None:
    assert not is_test(path)


def test_fixtures_are_what_tests_read() -> None:
    assert is_fixture("tests/data/bad.json")
    assert not is_fixture("tests/test_a.py")


@pytest.fixture
def restore(git_repo: Callable[..., Path], tmp_path: Path) -> Callable[..., Restoration]:
    numbers = itertools.count()

    def make(before: dict[str, str], after: dict[str, str | None]) -> Restoration:
        root = git_repo(before, f"repo-{next(numbers)}")
        first = git.snapshot(root, tmp_path / "git")
        for path, text in after.items():
            if text is None:
                (root / path).unlink()
            else:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
        second = git.snapshot(root, tmp_path / "git")
        return restoration(git.changed(first, second), first, second)

    return make


def test_changed_and_deleted_tests_come_back_and_added_ones_go(
    restore: Callable[..., Restoration],
) -> None:
    before = {"test_a.py": "1", "test_b.py": "1", "src.py": "1", "README.md": "1"}
    undo = restore(before, {"test_a.py": "2", "test_b.py": None, "conftest.py": "x", "src.py": "2"})
    assert undo.restore == ("test_a.py", "test_b.py")
    assert undo.delete == ("conftest.py",)
    assert undo.touched == ("A conftest.py", "M test_a.py", "D test_b.py")
    assert undo.needed
    assert undo.rewrote_tests


def test_product_changes_need_no_second_run(restore: Callable[..., Restoration]) -> None:
    undo = restore({"a.py": "1"}, {"a.py": "2"})
    assert undo == Restoration()
    assert not undo.needed


def test_package_json_keeps_new_dependencies_and_loses_a_new_test_script(
    restore: Callable[..., Restoration],
) -> None:
    old = {"scripts": {"test": "jest"}, "dependencies": {}}
    new = {"scripts": {"test": "exit 0"}, "dependencies": {"a": "1"}, "jest": {"bail": 1}}
    undo = restore({"package.json": json.dumps(old)}, {"package.json": json.dumps(new)})
    mended = json.loads(undo.rewrite["package.json"])
    assert mended == {"scripts": {"test": "jest"}, "dependencies": {"a": "1"}}


def test_a_new_dependency_alone_rewrites_nothing(restore: Callable[..., Restoration]) -> None:
    old = {"scripts": {"test": "jest"}}
    undo = restore(
        {"package.json": json.dumps(old), "pyproject.toml": "[project]\n"},
        {
            "package.json": json.dumps({**old, "dependencies": {"a": "1"}}),
            "pyproject.toml": '[project]\ndependencies = ["a"]\n',
        },
    )
    assert undo.rewrite == {}
    assert undo.touched == ("M package.json", "M pyproject.toml")


@pytest.mark.parametrize("text", ['[tool.pytest.ini_options]\naddopts = "-k x"\n', "broken ="])
def test_pytest_settings_in_pyproject_are_put_back(
    restore: Callable[..., Restoration], text: str
) -> None:
    undo = restore({"pyproject.toml": "[project]\n"}, {"pyproject.toml": text})
    assert undo.rewrite == {"pyproject.toml": b"[project]\n"}


CARGO = '[package]\nname = "a"\nversion = "1.0.0"\n'


def test_cargo_targets_are_put_back_and_dependencies_stay(
    restore: Callable[..., Restoration],
) -> None:
    new = CARGO + 'autotests = false\n[lib]\ntest = false\n[dependencies]\nb = "1"\n'
    undo = restore({"Cargo.toml": CARGO}, {"Cargo.toml": new})
    mended = tomllib.loads(undo.rewrite["Cargo.toml"].decode())
    assert mended == {**tomllib.loads(CARGO), "dependencies": {"b": "1"}}
    alone = restore({"Cargo.toml": CARGO}, {"Cargo.toml": CARGO + '[dependencies]\nb = "1"\n'})
    assert alone.rewrite == {}


@pytest.mark.parametrize("name", ["pom.xml", "app/build.gradle", "build.gradle.kts"])
def test_build_files_that_change_how_tests_run_are_put_back(
    restore: Callable[..., Restoration], name: str
) -> None:
    assert restore({name: "<a/>\n"}, {name: "<a/>\n<skipTests>true</skipTests>\n"}).rewrite
    assert not restore({name: "<a/>\n"}, {name: "<a/>\n<b/>\n"}).rewrite


@pytest.mark.parametrize("path", [".cargo/config.toml", "a/.cargo/config", ".mvn/jvm.config"])
def test_settings_of_runners_that_were_added_go(
    restore: Callable[..., Restoration], path: str
) -> None:
    assert restore({"b": "1"}, {path: "x"}).delete == (path,)


def test_weakened_inline_tests_are_put_back(restore: Callable[..., Restoration]) -> None:
    old = "fn f() {}\n#[cfg(test)]\nmod t { fn a() { assert!(false) } }\n"
    undo = restore({"src/lib.rs": old}, {"src/lib.rs": old.replace("assert!(false)", "")})
    assert b"assert!(false)" in undo.rewrite["src/lib.rs"]
    assert undo.rewrote_tests
    assert undo.touched == ("M src/lib.rs",)
