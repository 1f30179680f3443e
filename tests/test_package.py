"""A wheel in an empty environment works the same as the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.packaging import ROOT, distributions, empty_venv

pytestmark = pytest.mark.xdist_group("package")


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The built wheel."""
    return distributions()[1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `acr` of an environment that has the wheel."""
    folder = tmp_path_factory.mktemp("wheel") / "venv"
    python = empty_venv(folder)
    options = ["--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([sys.executable, "-m", "pip", *options, str(wheel)], check=True)
    return folder / "bin" / "acr"


def _files(*roots: str) -> set[str]:
    found = (p for root in roots for p in (ROOT / root).rglob("*") if p.is_file())
    kept = (p for p in found if "__pycache__" not in p.parts)
    return {str(p.relative_to(ROOT)) for p in kept}


def test_the_wheel_holds_every_file_of_acr_hooks_and_profiles(wheel: Path) -> None:
    shipped = {f"acr/_shipped/{name}" for name in _files("hooks", "profiles")}
    names = set(zipfile.ZipFile(wheel).namelist())
    content = {name for name in names if ".dist-info/" not in name}
    assert content == _files("acr") - _files("acr/training/data") | shipped
    assert "acr/py.typed" in content
    assert {Path(name).name for name in shipped} >= {"post_run.py", "codex-sol.toml"}


def test_the_wheel_holds_licence_readme_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = {n.partition(".dist-info/")[2]: n for n in archive.namelist()}
        assert archive.read(about["licenses/LICENSE"]) == (ROOT / "LICENSE").read_bytes()
        assert b"acr = acr.__main__:main" in archive.read(about["entry_points.txt"])
        metadata = archive.read(about["METADATA"]).decode()
    assert (ROOT / "README.md").read_text() in metadata
    assert "Provides-Extra: orchestrator" in metadata


def test_the_source_archive_can_be_installed_and_tested() -> None:
    with tarfile.open(distributions()[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"install.sh", "LICENSE", "README.md", "CHANGELOG.md", "tests/conftest.py"}
    assert wanted | _files("acr", "hooks", "profiles", "tests") <= names


def _json(*command: str) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _checkout(*arguments: str) -> Any:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from acr.__main__ import main; main()"
    return _json(sys.executable, "-c", code, *arguments)


def test_the_installed_command_tells_its_version(installed: Path) -> None:
    from acr import __version__

    done = subprocess.run([installed, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"acr {__version__}\n"


def test_installed_profiles_are_those_of_the_checkout(installed: Path) -> None:
    found, expected = _json(str(installed), "profiles", "--json"), _checkout("profiles", "--json")
    for entry in (*found, *expected):
        entry["profile"].pop("path")
    assert found == expected
    assert found


def test_the_doctor_finds_the_same_in_both(installed: Path) -> None:
    found, expected = _json(str(installed), "doctor", "--json"), _checkout("doctor", "--json")
    states = [{check["name"]: check["status"] for check in r["checks"]} for r in (found, expected)]
    assert states[0] == states[1]
    assert found["ok"]
