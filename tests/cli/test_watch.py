"""acr watch: a moment, a live screen on a terminal, plain lines elsewhere, a clean end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acr import lock, settings
from acr.cli.main import run
from acr.loop import open_memory
from tests.cli.records import decision, outcome, remember, task
from tests.filling import HOSTILE, fill

Capture = pytest.CaptureFixture[str]


def moment(capsys: Capture) -> Any:
    """`acr watch --once --json`."""
    assert run(["watch", "--once", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def start(*options: str, **streams: Any) -> subprocess.Popen[bytes]:
    """A watch that runs on."""
    command = [sys.executable, "-m", "acr", "watch", "--every", "0.1", *options]
    return subprocess.Popen(command, **streams)


def test_nothing_at_all_is_a_moment_too(capsys: Capture) -> None:
    told = moment(capsys)
    assert (told["running"], told["latest"]) == ([], [])
    assert told["today"]["cost_usd"] is None
    assert run(["watch", "--once"]) == 0
    assert "nothing is running" in capsys.readouterr().out


def test_a_running_try_is_known_by_its_lock_and_decision(tmp_path: Path, capsys: Capture) -> None:
    with lock.hold(tmp_path, "fix the parser"), open_memory(settings.load()) as memory:
        assert [r["run"] for r in moment(capsys)["running"]] == [None]
        asked = task(prompt="fix the parser")
        asked = replace(asked, root=str(tmp_path), created=asked.created + 3600)
        memory.add_task(asked)
        memory.add_decision(decision(asked))
        (now,) = moment(capsys)["running"]
        assert (now["run"], now["profile"], now["prompt"]) == (
            asked.id,
            "codex-sol",
            "fix the parser",
        )
        memory.add_outcome(outcome(asked, "pass"))
        assert [r["run"] for r in moment(capsys)["running"]] == [None]
    assert moment(capsys)["running"] == []


def test_a_killed_run_is_not_running(tmp_path: Path, capsys: Capture) -> None:
    code = (
        "import os, pathlib, sys; from acr import lock\n"
        "with lock.hold(pathlib.Path(sys.argv[1]), 'x'): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert lock.held() == ()
    (settings.folder("locks") / "odd.lock").write_text('{"pid": "x"}')
    (settings.folder("locks") / "bytes.lock").write_bytes(b"\xff\x00")
    assert moment(capsys)["running"] == []


def test_off_a_terminal_each_change_is_a_line_and_an_interrupt_ends_it() -> None:
    remember([outcome(task(), "fail")])
    watching = start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watching.stdout
    assert b"fail: fix it" in watching.stdout.readline()
    assert b"today: 1 attempt" in watching.stdout.readline()
    remember([outcome(task("aaaa000002", prompt="write tests"), "pass")])
    assert b"pass: write tests" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, error = watching.communicate(timeout=30)
    assert (watching.returncode, error) == (130, b"acr: stopped\n")


def test_on_a_terminal_the_screen_is_drawn_anew_and_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remember([outcome(task(), "pass")])
    monkeypatch.setenv("TERM", "xterm")
    parent, child = pty.openpty()
    watching = start(stdout=child, stderr=child, stdin=child, start_new_session=True)
    os.close(child)
    seen = b""
    while seen.count("✓ pass".encode()) < 2:
        seen += os.read(parent, 65536)
    watching.send_signal(signal.SIGINT)
    try:
        while more := os.read(parent, 65536):
            seen += more
    except OSError:  # the terminal is gone with its last user
        pass
    assert watching.wait(30) == 130
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h") == 1, "the cursor is back"
    assert b"Traceback" not in seen
    os.close(parent)


def test_hostile_prompts_are_one_printable_line(capsys: Capture) -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 12, models=8, names=HOSTILE, prompts=HOSTILE)
    assert run(["watch", "--once"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--json"], ["--every", "0"], ["--every", "nan"]])
def test_wrong_options_are_refused(options: list[str], capsys: Capture) -> None:
    assert run(["watch", *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1
