"""Which touched files decide how tests run, and what is put back."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import git
from acr.nouns import TestCommand
from acr.verifier.tampering import (
    Restoration,
    hidden,
    is_fixture,
    is_test,
    restoration,
    scripts,
    with_hidden,
)


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py", "pkg/a_test.go", "src/x.test.ts", "x.spec.js", "tests/helper.py", "test/a.js",
        "src/test/java/ATest.java", "a/__tests__/b.js", "lib/foo_spec.rb", "crate/tests/it.rs",
        "app/tests.py", "test.js", "calc-test.mjs", "test-calc.cjs", "TestCalc.java",
        "run_tests.sh",
        "mod/src/test/resources/a.txt", "packages/a/test/b.js", "calc_test.ts", "runtests",
    ],
)  # fmt: skip
def test_test_files_are_known(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize(
    "path",
    [
        "src/attest.py", "django/test/client.py", "contest/a.py", "spec.md", "latest.js",
        "testing.py", "Testament.cs", "greatest.py", "src/commands/test/run.js",
    ],
)  # fmt: skip
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


def test_settings_that_lie_elsewhere_are_known_too(restore: Callable[..., Restoration]) -> None:
    paths = ["pytest.toml", ".babelrc", "a/babel.config.cjs", "go.work", "rust-toolchain.toml"]
    paths += ["x-1.dist-info/entry_points.txt"]
    assert restore({"b": "1"}, dict.fromkeys(paths, "x")).delete == tuple(sorted(paths))


GO_MOD = "module a\n\nrequire (\n\tx.org/b v1.0.0\n)\n"


def test_modules_that_the_base_names_are_not_led_elsewhere(
    restore: Callable[..., Restoration],
) -> None:
    def rewritten(new: str, old: str = GO_MOD) -> bool:
        return bool(restore({"go.mod": old}, {"go.mod": new}).rewrite)

    assert rewritten(GO_MOD + "replace x.org/b => ./b\n")
    assert rewritten(GO_MOD + "replace (\n\tx.org/b v1.0.0 => x.org/c v1.0.0\n)\n")
    assert rewritten(GO_MOD + "// more\n", GO_MOD + "replace x.org/b => ./b\n")
    assert not rewritten(GO_MOD + "require x.org/d v1.0.0\nreplace x.org/d => ./d\n")


def test_patched_crates_and_their_tests_dependencies_are_put_back(
    restore: Callable[..., Restoration],
) -> None:
    for more in ('[patch.crates-io]\nb = {path = "b"}\n', '[dev-dependencies]\nb = "1"\n'):
        undo = restore({"Cargo.toml": CARGO}, {"Cargo.toml": CARGO + more})
        assert tomllib.loads(undo.rewrite["Cargo.toml"].decode()) == tomllib.loads(CARGO)


def _package(script: str) -> dict[str, str]:
    return {"package.json": json.dumps({"scripts": {"test": script}})}


@pytest.mark.parametrize(
    ("kind", "argv", "files", "called", "not_called"),
    [
        ("make", "make test", {"Makefile": "t: a.sh\n\tsh ./b/c.sh && ./x.py\n"}, "b/c.sh", "a.sh"),
        ("custom", "sh -c", {"Makefile": "t:\n\t./check\n"}, "check", "t"),
        ("custom", "bash all.bash", {}, "all.bash", "bash"),
        ("npm", "npm test", _package("node ./self-check"), "self-check.js", "node"),
        ("npm", "npm test", _package("node check.js && node index.js"), "check.js", "index.js"),
        ("npm", "npm test", {"package.json": "[]"}, "test.js", "package.json"),
    ],
)
def test_scripts_that_the_test_command_runs_are_settings(
    git_repo: Callable[..., Path],
    tmp_path: Path,
    kind: str,
    argv: str,
    files: dict[str, str],
    called: str,
    not_called: str,
) -> None:
    base = git.snapshot(git_repo(files or {"a": "1"}), tmp_path / "git")
    found = scripts(TestCommand(tuple(argv.split()), kind, "test"), base)
    assert called in found
    assert not_called not in found
    assert scripts(TestCommand(("go", "test"), "go", "test"), base) == frozenset()


def test_settings_that_git_does_not_show_are_found_and_undone(tmp_path: Path) -> None:
    for name in ("conftest.py", "shown.ini", "a/.npmrc", "node_modules/x/setup.cfg", "a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "tox.ini").symlink_to("/etc/passwd")
    before = hidden(tmp_path, ["tox.ini"])
    assert before == {"conftest.py": b"conftest.py", "a/.npmrc": b"a/.npmrc"}
    (tmp_path / "a" / ".npmrc").write_text("new")
    (tmp_path / "a" / "test_x.py").write_text("new")
    undo = with_hidden(Restoration(), before, hidden(tmp_path, ["tox.ini"]))
    assert undo.delete == ("a/test_x.py",)
    assert undo.rewrite == {"a/.npmrc": b"a/.npmrc"}
    assert undo.needed
    assert undo.touched == (
        "A a/test_x.py (ignored by git)",
        "M a/.npmrc (ignored by git)",
    )


def test_weakened_inline_tests_are_put_back(restore: Callable[..., Restoration]) -> None:
    old = "fn f() {}\n#[cfg(test)]\nmod t { fn a() { assert!(false) } }\n"
    undo = restore({"src/lib.rs": old}, {"src/lib.rs": old.replace("assert!(false)", "")})
    assert b"assert!(false)" in undo.rewrite["src/lib.rs"]
    assert undo.rewrote_tests
    assert undo.touched == ("M src/lib.rs",)
