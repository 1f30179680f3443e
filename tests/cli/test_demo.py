"""acr demo: the loop before one's eyes, with nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.serial
def test_the_demo_fails_escalates_passes_remembers_and_leaves_nothing(
    home: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "acr", "demo"],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "demo-small fail → demo-large pass, then demo-large pass" in done.stdout
    assert "No model was called" in done.stdout
    assert "1 similar task, 1 win" in done.stderr
    assert list(temporary.iterdir()) == []
    assert not home.exists()
