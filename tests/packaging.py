"""Builds acr once per test process, and environments that hold it without a network."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "SEES_TEST_PACKAGES", "distributions", "empty_venv"]

ROOT = Path(__file__).parent.parent
SEES_TEST_PACKAGES = sysconfig.get_path("purelib") + "\n"
"""Text of a .pth file: dependencies come from the environment of the tests, acr itself does not,
because its editable installation is a .pth file too and those are not followed."""


@cache
def distributions() -> tuple[Path, Path]:
    """The sdist of this checkout, and the wheel that is built from the sdist."""
    folder = Path(tempfile.mkdtemp(prefix="acr-dist-"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def empty_venv(folder: Path) -> Path:
    """An environment whose packages are those of the tests, but without acr; returns its python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    place = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(place, capture_output=True, text=True, check=True).stdout.strip()
    (Path(site) / "tests.pth").write_text(SEES_TEST_PACKAGES)
    return python
