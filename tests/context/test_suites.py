"""How a repository runs its tests is read from its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acr.context.suites import detect_tests

CASES = [
    ({"pytest.ini": "", "a.py": ""}, "pytest", ("python3", "-m", "pytest")),
    ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "pytest", ("python3", "-m", "pytest")),
    ({"tests/test_a.py": "def test_a(): pass\n"}, "pytest", ("python3", "-m", "pytest")),
    (
        {"test_a.py": "import unittest\n"},
        "unittest",
        ("python3", "-m", "unittest", "discover", "-v"),
    ),
    (
        {"tests/test_a.py": "import unittest\n"},
        "unittest",
        ("python3", "-m", "unittest", "discover", "-v", "-s", "tests"),
    ),
    (
        {"p/__init__.py": "", "p/a_test.py": "import unittest\n"},
        "unittest",
        ("python3", "-m", "unittest", "discover", "-v", "-p", "*_test.py"),
    ),
    ({"setup.cfg": "[tool:pytest]\n"}, "pytest", ("python3", "-m", "pytest")),
    ({"src/p/tests/test_a.py": "def test_a(): ...\n"}, "pytest", ("python3", "-m", "pytest")),
    ({"test_a.py": "", "package.json": '{"scripts": {"test": "x"}}'}, "npm", ("npm", "test")),
    ({"test_a.py": "", "Makefile": "test:\n"}, "pytest", ("python3", "-m", "pytest")),
    (
        {"test_a.py": "import unittest\n", "setup.cfg": "[options]\ntests = pytest\n"},
        "pytest",
        ("python3", "-m", "pytest"),
    ),
    ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm", ("npm", "test")),
    (
        {"package.json": '{"scripts": {"test": "x"}, "packageManager": "pnpm@9.1.0"}'},
        "pnpm",
        ("pnpm", "test"),
    ),
    (
        {"package.json": '{"scripts": {"test": "x"}}', "pnpm-lock.yaml": ""},
        "pnpm",
        ("pnpm", "test"),
    ),
    ({"package.json": '{"scripts": {"test": "x"}}', "yarn.lock": ""}, "yarn", ("yarn", "test")),
    (
        {"package.json": '{"scripts": {"test": "x"}}', "bun.lockb": ""},
        "bun",
        ("bun", "run", "test"),
    ),
    ({"go.mod": "module m\n"}, "go", ("go", "test", "-json", "./...")),
    ({"Cargo.toml": ""}, "cargo", ("cargo", "test", "--offline")),
    ({"pom.xml": ""}, "maven", ("mvn", "-o", "-q", "test")),
    ({"pom.xml": "", "mvnw": ""}, "maven", ("./mvnw", "-o", "-q", "test")),
    ({"build.gradle.kts": ""}, "gradle", ("gradle", "--offline", "test")),
    ({"Makefile": "all:\ntest: all\n\ttrue\n"}, "make", ("make", "test")),
    ({"GNUmakefile": "lint check:: all\n"}, "make", ("make", "check")),
]


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(("files", "kind", "argv"), CASES)
def test_the_test_command_is_found(
    tmp_path: Path, files: dict[str, str], kind: str, argv: tuple[str, ...]
) -> None:
    found = detect_tests(make(tmp_path / "r", files), files)[0]
    assert (found.kind, found.argv) == (kind, argv)
    assert found.source.split()[0].rstrip(",") in files


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "{broken"},
        {"package.json": '{"scripts": {"test": 3}}'},
        {"Makefile": "all:\n"},
        {"pyproject.toml": "broken ["},
        {"tox.ini": "[testenv:lint]\ncommands = ruff check\n"},
        {"Makefile": "test := 3\n"},
        {"attest_it.py": "", "latest.py": ""},
        {"package.json": "[" * 100_000},
    ],
)
def test_where_there_are_no_tests_none_are_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert detect_tests(make(tmp_path, files), files) == ()


@pytest.mark.parametrize("name", ["package.json", "pyproject.toml", "Makefile", "pytest.ini"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert detect_tests(tmp_path, [name]) == ()


def test_the_projects_own_interpreter_runs_its_tests(tmp_path: Path) -> None:
    root = make(tmp_path, {"pytest.ini": "", ".venv/bin/python": ""})
    found = detect_tests(root)[0]
    assert found.argv[0] == str(root / ".venv/bin/python")
