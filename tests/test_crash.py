"""A whole acr that is killed or stopped loses no verdict, leaves no process and no damage."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import settings
from acr.cli.demo import RIGHT, TESTS
from acr.nouns import Outcome
from tests import scripted
from tests.conftest import git

KILLS = 50
PATIENCE = 30.0
VERDICT = re.compile(r"[✓✗?] (pass|fail|unverified)\b")
pytestmark = [pytest.mark.serial, pytest.mark.xdist_group("agents")]


@pytest.fixture
def repo(git_repo: Callable[..., Path], tmp_path: Path) -> Path:
    """A repository with a bug that the demo's second agent mends."""
    scripted.install(tmp_path)
    return git_repo(scripted.FILES)


def _start(repo: Path, prompt: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "acr", "run", "--sandbox", "bwrap", "--cwd", str(repo), prompt],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _until(child: subprocess.Popen[str], words: str) -> None:
    """Reads what acr says until it says `words`."""
    assert child.stderr
    for line in child.stderr:
        if words in line:
            return
    pytest.fail(f"acr ended without saying {words!r}")


def _outcomes(prompt: str) -> list[Outcome]:
    return [o for o in scripted.outcomes() if o.task.prompt == prompt]


def _of_this_test() -> set[int]:
    """Processes that belong to this test's home."""
    mark = f"ACR_HOME={settings.home()}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found - {os.getpid()}


def _none_left() -> bool:
    limit = time.monotonic() + PATIENCE
    while _of_this_test() and time.monotonic() < limit:
        time.sleep(0.02)
    return not _of_this_test()


def test_fifty_kills_lose_no_verdict_and_damage_nothing(repo: Path) -> None:
    began = time.monotonic()
    whole = _start(repo, "fix the failing test")
    assert whole.communicate()[1].count("✓ pass") == 1
    span, rng = time.monotonic() - began, random.Random(11)
    head = git(repo, "rev-parse", "HEAD")
    ends: Counter[int] = Counter()
    for number in range(KILLS):
        git(repo, "checkout", "-q", "--", ".")
        prompt = f"fix the failing test number {number}"
        child = _start(repo, prompt)
        try:
            child.wait(span * rng.uniform(0.2, 1.0))
        except subprocess.TimeoutExpired:
            child.kill()
        said = child.communicate()[1]
        printed = [match[1] for match in VERDICT.finditer(said)]
        stored = [o.verdict.status for o in _outcomes(prompt)]
        assert stored[: len(printed)] == printed, said
        ends[len(stored)] += 1
        assert _none_left()
        assert git(repo, "rev-parse", "HEAD") == head
        assert git(repo, "status", "--porcelain").strip() in ("", "M basket.py")
    git(repo, "fsck", "--strict")
    assert len(ends) > 1  # the kills came at different points of a run
    git(repo, "checkout", "-q", "--", ".")
    last = _start(repo, "fix the failing test once more")
    assert "✓ pass" in last.communicate()[1]
    assert last.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_agent_works_is_an_aborted_attempt(
    repo: Path, tmp_path: Path, number: signal.Signals
) -> None:
    scripted.install(tmp_path, scripted.both({"shell": "echo started > begun; exec sleep 600"}))
    with _start(repo, "take long") as child:
        _until(child, "echo started")
        child.send_signal(number)
        said = child.communicate(timeout=PATIENCE)[1]
        assert child.returncode == 130, said
    (outcome,) = _outcomes("take long")
    assert outcome.attempt.status == "aborted"
    assert outcome.verdict.status == "unverified"
    assert _none_left()


def test_a_signal_while_it_verifies_keeps_the_attempt_and_what_it_cost(repo: Path) -> None:
    hanging = TESTS + "\n\nimport time\n\ntime.sleep(600)\n"
    (repo / "test_basket.py").write_text(hanging)
    with _start(repo, "fix it") as child:
        _until(child, "running the tests of the base")
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=PATIENCE)[1]
        assert child.returncode == 130, said
    (outcome,) = _outcomes("fix it")
    assert outcome.attempt.status == "done"
    assert outcome.attempt.cost
    assert outcome.verdict.status == "unverified"
    assert "broken off" in outcome.verdict.reason
    assert (repo / "basket.py").read_text() != RIGHT
    assert _none_left()
