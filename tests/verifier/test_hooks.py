"""Hooks of the user's: a signal, or a warning, never a verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from acr.nouns import Attempt, Signal, Verdict
from acr.settings import HookCommand
from acr.verifier import hooks

ATTEMPT = Attempt("a1", "t", "d", "p", "scripted", "m", "done", 0.0, 1.0)
VERDICT = Verdict("pass", 1.0)


def run(
    *scripts: str, timeout: float = 20.0, cwd: Path = Path("/")
) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
    commands = [HookCommand(("sh", "-c", script), timeout) for script in scripts]
    return hooks.post_run(commands, ATTEMPT, VERDICT, cwd)


def test_a_hook_sees_attempt_and_verdict_in_the_repository(tmp_path: Path) -> None:
    signals, warnings = run("cat > seen.json", cwd=tmp_path)
    assert (signals, warnings) == ((), ())
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["attempt"]["id"] == "a1"
    assert seen["verdict"]["status"] == "pass"
    assert seen["cwd"] == str(tmp_path)


def test_a_printed_signal_is_taken() -> None:
    signals, warnings = run(
        """echo '{"name": "lint", "score": 0.5, "weight": 0.2, "detail": "2 warnings"}'""",
        """echo '{"name": "note", "score": null}'""",
    )
    assert signals == (Signal("lint", 0.5, 0.2, "2 warnings"), Signal("note", None, 0.0, ""))
    assert warnings == ()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no; echo why >&2; exit 3", "exit code 3: why"),
        ("echo garbage", "not a Signal"),
        ("echo '[]'", "not a Signal"),
        ('echo \'{"name": "x", "score": 2}\'', "not between 0 and 1"),
        ('echo \'{"name": "x", "weight": -1}\'', "from 0 up"),
        ('echo \'{"name": "x", "weight": NaN}\'', "from 0 up"),
        ("kill -9 $$", "exit code -9"),
    ],
)
def test_failure_and_garbage_are_warnings(script: str, said: str) -> None:
    signals, warnings = run(script, "true")
    assert signals == ()
    assert len(warnings) == 1
    assert said in warnings[0]


def test_a_hook_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    _, warnings = run("sleep 60 & echo $! > pid; wait", timeout=1.0, cwd=tmp_path)
    assert "longer than 1 s" in warnings[0]
    assert time.monotonic() - begun < 20
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "(sleep)" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_hook_that_does_not_exist_and_an_empty_one_are_warnings() -> None:
    missing = hooks.post_run(
        [HookCommand(("no-such-hook",)), HookCommand(())], ATTEMPT, VERDICT, Path("/")
    )
    assert [("could not be started" in w or "names no program" in w) for w in missing[1]] == [
        True
    ] * 2


def test_a_hook_that_does_not_read_its_input_is_no_failure() -> None:
    attempt = replace(ATTEMPT, message="x" * 1_000_000)
    assert hooks.post_run([HookCommand(("true",))], attempt, VERDICT, Path("/")) == ((), ())


def test_the_default_hook_is_the_shipped_script() -> None:
    assert hooks.default().__name__ == "post_run"


def test_the_shipped_script_prints_a_verdict(git_repo: Callable[..., Path], bwrap: object) -> None:
    root = git_repo({"a.txt": "x"})
    (root / "a.txt").write_text("y")
    script = Path(__file__).parents[2] / "hooks" / "post_run.py"
    told = json.dumps({"attempt": None, "cwd": str(root)})
    done = subprocess.run(
        [sys.executable, str(script)], input=told, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["status"] == "unverified"
    assert json.loads(done.stdout)["changed"] == ["a.txt"]
    for bad in ("", "{", "[]", '{"attempt": {}}', '{"attempt": null, "cwd": "/nowhere"}'):
        refused = subprocess.run(
            [sys.executable, str(script)], input=bad, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 1
        assert refused.stderr.startswith("post_run: ")
        assert "Traceback" not in refused.stderr
