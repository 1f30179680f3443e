"""Honest work on real packages is believed: their own test suites raise no false alarm."""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from acr.context.repository import find
from acr.nouns import TestCommand, Verdict
from acr.settings import RepositorySettings, Settings
from tests.engines import missing
from tests.judging import Case, Judge


@dataclass(frozen=True)
class Package:
    """A released package with its tests."""

    archive: str
    code: str
    """A file that its tests run."""
    right: str
    wrong: str
    """What `right` is replaced by to break it."""
    least: int
    """Tests that it has, at least."""
    comment: str = "# a remark\n"
    test: str = ""
    """The command of the tests, where there is no standard one."""
    runner: str = ""


PACKAGES = {
    "inflection": Package(
        "inflection-0.5.1.tar.gz",
        "inflection/__init__.py",
        "return word.replace('_', '-')",
        "return word.replace('-', '_')",
        400,
    ),
    "toolz": Package(
        "toolz-1.0.0.tar.gz",
        "toolz/itertoolz.py",
        "    return itertools.islice(seq, n)\n",
        "    return itertools.islice(seq, n + 1)\n",
        170,
    ),
    "minimist": Package(
        "minimist-1.2.8.tgz",
        "index.js",
        "if (typeof x === 'number') { return true; }\n"
        "\tif ((/^0x[0-9a-f]+$/i).test(x)) { return true; }",
        "if (typeof x === 'number') { return true; }",
        10,
        "// a remark\n",
        "node_modules/.bin/tape 'test/**/*.js'",
        "tape",
    ),
}


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> Package:
    return PACKAGES[request.param]


@pytest.fixture
def unpacked(package: Package, tmp_path: Path) -> dict[str, str]:
    """Its files."""
    archive = Path(os.environ.get("ACR_TEST_PACKAGES", "")) / package.archive
    if not archive.is_file():
        missing(f"ACR_TEST_PACKAGES has no {package.archive}; ./install.sh --test fetches it")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "package", filter="data")
    (top,) = (tmp_path / "package").iterdir()
    files = [p for p in top.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    return {str(file.relative_to(top)): file.read_text() for file in files}


def command(package: Package, tmp_path: Path) -> TestCommand:
    """What acr finds, or was told."""
    (top,) = (tmp_path / "package").iterdir()
    told = {str(top): RepositorySettings(test=package.test)} if package.test else {}
    found = find(top, Settings(repositories=told)).test
    assert found
    return found


def believed(verdict: Verdict) -> None:
    assert verdict.status == "pass", verdict.reason
    assert verdict.tests
    assert not verdict.tests.broken
    assert not verdict.tests.missing
    clean = {s.name: s.score for s in verdict.signals}
    assert clean["tampering"] == 1.0
    assert clean["rules"] == 1.0


def test_a_remark_changes_no_verdict(
    judge: Judge, package: Package, unpacked: dict[str, str], tmp_path: Path
) -> None:
    change = {package.code: unpacked[package.code] + package.comment}
    run = command(package, tmp_path)
    said = judge(unpacked, Case(dict(change), run, "code_refactoring", runner=package.runner))
    believed(said)
    assert said.strength == 0.5
    assert said.tests
    assert said.tests.passed >= package.least


def test_a_repair_is_seen(
    judge: Judge, package: Package, unpacked: dict[str, str], tmp_path: Path
) -> None:
    right = unpacked[package.code]
    assert right.count(package.right) == 1
    unpacked[package.code] = right.replace(package.right, package.wrong)
    run = command(package, tmp_path)
    said = judge(unpacked, Case({package.code: right}, run, runner=package.runner))
    believed(said)
    assert said.strength == 1.0
    assert said.tests
    assert said.tests.fixed
