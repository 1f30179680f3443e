"""Many hooks write at once while the spool is taken away: no line is lost, torn or doubled."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections import Counter
from pathlib import Path

from acr.sessions import spool
from tests.hooks import scripts

MANY = 200


def _all_at_once(folder: Path) -> subprocess.Popen[bytes]:
    """A shell that has started a hook for each number and ends when they have."""
    folder.mkdir()
    for number in range(MANY):
        prompt = f"{number} " + "x" * (number * 97 % 9000)
        (folder / str(number)).write_bytes(scripts.payload("UserPromptSubmit", prompt=prompt))
    hook = shlex.join(scripts.command("UserPromptSubmit"))
    each = f"for n in $(seq 0 {MANY - 1}); do {hook} < {folder}/$n & done; wait"
    return subprocess.Popen(["sh", "-c", each], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _numbers(notes: list[spool.Note]) -> Counter[int]:
    return Counter(int(note.text("prompt").split()[0]) for note in notes)


def test_two_hundred_hooks_at_once_leave_two_hundred_whole_lines(
    home: Path, tmp_path: Path
) -> None:
    assert _all_at_once(tmp_path / "payloads").communicate(timeout=120)[0] == b""
    lines = (home / "spool" / "events.jsonl").read_bytes().splitlines()
    assert all(json.loads(line) for line in lines if line)
    assert _numbers(spool.read(spool.take())) == Counter(range(MANY))


def test_what_is_written_while_it_is_taken_away_is_taken_the_next_time(
    home: Path, tmp_path: Path
) -> None:
    shell = _all_at_once(tmp_path / "payloads")
    found: Counter[int] = Counter()
    while shell.poll() is None or spool.waiting():
        taken = spool.take()
        found += _numbers(spool.read(taken))
        spool.keep([], taken)
    assert found == Counter(range(MANY))
    assert list((home / "spool").iterdir()) == []


def test_what_is_put_back_is_read_again_once(home: Path) -> None:
    scripts.run("UserPromptSubmit")
    scripts.run("Stop")
    taken = spool.take()
    notes = spool.read(taken)
    spool.keep(notes[:1], taken)
    again = spool.take()
    assert spool.read(again) == notes[:1]
    # a process that was killed after putting back, before deleting
    (home / "spool" / "taken-1.jsonl").write_text(json.dumps(notes[0].data) + "\n")
    assert spool.read(spool.take()) == notes[:1]


def test_lines_that_are_none_of_ours_are_passed_over(home: Path) -> None:
    scripts.run("Stop")
    with (home / "spool" / "events.jsonl").open("ab") as file:
        file.write(b'\xff\xfe\n[]\n{"id": 1}\n{"id": "a", "t": "x"}\n' + b"[" * 100_000 + b"\n")
    (note,) = spool.read(spool.take())
    assert note.kind == "stop"


def test_one_process_ingests_at_a_time() -> None:
    with spool.alone() as first, spool.alone() as second:
        assert (first, second) == (True, False)
    with spool.alone() as third:
        assert third
