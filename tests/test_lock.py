"""Two acr in one work tree: the second is told who is at work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acr import lock
from acr.errors import AcrError


def test_the_second_holder_is_told_who_is_at_work(tmp_path: Path) -> None:
    first, second = lock.hold(tmp_path, "fix\nit"), lock.hold(tmp_path, "other")
    with first, pytest.raises(AcrError) as caught, second:
        pass
    assert f"process {os.getpid()}" in str(caught.value)
    assert "'fix it'" in str(caught.value)


def test_another_work_tree_is_free(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with lock.hold(tmp_path, "a"), lock.hold(other, "b"):
        pass


def test_a_link_to_the_work_tree_is_the_same_work_tree(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with lock.hold(real, "a"), pytest.raises(AcrError), lock.hold(link, "b"):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from acr import lock\n"
        "with lock.hold(pathlib.Path(sys.argv[1]), 'x'): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    with lock.hold(tmp_path, "after"):
        pass
