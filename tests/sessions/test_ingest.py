"""Each turn is one outcome, once, whatever happens to the process that stores it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import loop, settings
from acr.cli.demo import RIGHT
from acr.nouns import Outcome
from acr.sessions.ingest import Ingested, ingest
from tests import scripted
from tests.conftest import git
from tests.sessions.makers import note, spool, turn

KILLS = 50


def run() -> Ingested:
    made = ingest(settings.load())
    assert made is not None
    return made


def outcomes() -> list[Outcome]:
    return sorted(scripted.outcomes(), key=lambda o: o.attempt.started)


def left(home: Path) -> list[Path]:
    return list((home / "spool").iterdir())


def test_nothing_noted_is_nothing_learned(home: Path) -> None:
    assert run() == Ingested()
    assert not (home / "memory.db").exists()


def test_a_turn_is_an_outcome_once(home: Path, tmp_path: Path) -> None:
    notes = turn("fix the failing test", "t1", cwd=str(tmp_path), model="m1")
    spool(*notes)
    assert run().stored == 1
    assert left(home) == []
    spool(*notes)  # as after a kill before the notes were deleted
    assert run().stored == 0
    (outcome,) = outcomes()
    assert outcome.task.prompt == "fix the failing test"
    assert outcome.task.dimension == "bug_fixing"
    assert outcome.task.root == str(tmp_path)
    assert (outcome.attempt.profile, outcome.attempt.status) == ("claude/m1", "done")
    assert (outcome.attempt.usage, outcome.attempt.cost) == (None, None)  # unknown is not 0
    assert (outcome.verdict.status, outcome.decision) == ("unverified", None)


def test_what_was_forgotten_stays_forgotten(tmp_path: Path) -> None:
    notes = turn("fix it", "t1", cwd=str(tmp_path))
    spool(*notes)
    run()
    with loop.open_memory(settings.load()) as memory:
        assert memory.forget([outcomes()[0].task.id]) == 1
    spool(*notes)
    assert run().stored == 0
    assert outcomes() == []


def test_a_turn_that_is_not_over_waits(home: Path, tmp_path: Path) -> None:
    asked, stopped = turn("fix it", "t1", cwd=str(tmp_path), t=time.time())
    spool(asked)
    assert (run().waiting, outcomes()) == (1, [])
    spool(stopped)
    assert run().stored == 1
    assert left(home) == []


def test_secrets_and_harness_noise_are_not_stored(home: Path, tmp_path: Path) -> None:
    key = "sk-ant-api03-" + "Ab1" * 10
    noise = "<system-reminder>be nice</system-reminder>"
    spool(*turn(f"{noise}use {key} to log in", "t1", cwd=str(tmp_path)))
    spool(*turn(noise, "t2", cwd=str(tmp_path)))
    assert run().stored == 1
    assert "be nice" not in outcomes()[0].task.prompt
    assert "[redacted" in outcomes()[0].task.prompt
    for path in home.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path


def test_a_folder_that_is_gone_loses_no_outcome() -> None:
    spool(*turn("fix it", "t1", cwd="/nonexistent/repo"))
    assert run().stored == 1
    assert outcomes()[0].task.root == "/nonexistent/repo"


def test_the_agents_own_test_run_is_weak_evidence(tmp_path: Path) -> None:
    asked, stopped = turn("fix it", "t1", cwd=str(tmp_path))
    ran = note("tool", command="pytest -q", failed=False, t=asked.time + 0.5)
    spool(asked, ran, stopped)
    run()
    (outcome,) = outcomes()
    assert (outcome.verdict.status, outcome.verdict.strength) == ("pass", 0.2)


def test_tokens_that_hooks_were_told_of_count_where_there_is_no_file(tmp_path: Path) -> None:
    asked, stopped = turn("fix it", "t1", agent="codex", cwd=str(tmp_path), model="gpt-5.5")
    used = {"input_tokens": 1500, "cached_input_tokens": 100, "output_tokens": 40}
    told = note("request", agent="codex", usage=used, model="gpt-5.5", t=asked.time + 0.5)
    spool(asked, told, stopped)
    run()
    (outcome,) = outcomes()
    assert outcome.attempt.usage
    assert outcome.attempt.usage.total == 1540
    assert outcome.attempt.cost == pytest.approx((1400 * 5 + 100 * 0.5 + 40 * 30) / 1e6)


def test_a_complaint_lowers_the_turn_before_once(tmp_path: Path) -> None:
    first, second = turn("fix it", "t1", cwd=str(tmp_path)), turn("no, it still fails", "t2")
    other = turn("no, it still fails", "t3", session="another", cwd=str(tmp_path))
    spool(*first, *second, *other)
    assert run().lowered == 1
    spool(*first, *second)
    assert run().lowered == 0
    before, after, alone = outcomes()
    assert (before.verdict.status, before.verdict.strength) == ("fail", 0.15)
    assert after.verdict.status == alone.verdict.status == "unverified"


def test_a_persons_verdict_is_not_lowered(tmp_path: Path) -> None:
    spool(*turn("fix it", "t1", cwd=str(tmp_path)))
    run()
    with loop.open_memory(settings.load()) as memory:
        memory.set_human("", "pass")
    spool(*turn("it still fails", "t2", cwd=str(tmp_path)))
    assert run().lowered == 0
    assert outcomes()[0].status == "pass"


def test_a_turn_that_was_broken_off_tells_nothing(tmp_path: Path) -> None:
    asked, _ = turn("fix it", "t1", cwd=str(tmp_path))
    spool(asked, note("end"))
    run()
    (outcome,) = outcomes()
    assert (outcome.attempt.status, outcome.verdict.status) == ("aborted", "unverified")


def test_a_memory_that_cannot_be_used_keeps_the_notes(home: Path, tmp_path: Path) -> None:
    spool(*turn("fix it", "t1", cwd=str(tmp_path)))
    (home / "memory.db").write_text("no database at all, but long enough to be looked at")
    done = scripted.acr("ingest", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    (home / "memory.db").unlink()
    assert run().stored == 1


@pytest.mark.parametrize("answer", [True, False, None])
def test_the_verifier_looks_only_where_it_may(
    answer: bool | None, git_repo: Callable[..., Path], home: Path
) -> None:
    root = git_repo(scripted.FILES)
    head = git(root, "rev-parse", "HEAD").strip()
    if answer is not None:
        assert scripted.acr("hooks", "verify", "on" if answer else "off", cwd=root).returncode == 0
    (root / "basket.py").write_text(RIGHT)
    spool(*turn("fix the failing test", "t1", cwd=str(root), commit=head))
    run()
    (outcome,) = outcomes()
    if answer:
        assert (outcome.verdict.status, outcome.verdict.strength) == ("pass", 1.0)
    else:
        assert outcome.verdict.status == "unverified"
        assert "off here" in outcome.verdict.reason


def _ingest(home: Path) -> None:
    os.environ["ACR_HOME"] = str(home)
    ingest(settings.load())


def test_a_kill_at_any_time_loses_and_doubles_nothing(home: Path, tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["acr.agents.profiles", "acr.memory.schema", __name__])
    rng = random.Random(5)
    spool(*turn("fix number 0", "t0", cwd=str(tmp_path)))
    whole = processes.Process(target=_ingest, args=(home,))
    whole.start()
    whole.join(60)
    spool(*turn("fix number 1", "t1", cwd=str(tmp_path)))
    began = time.monotonic()
    whole = processes.Process(target=_ingest, args=(home,))
    whole.start()
    whole.join(60)
    span, ends = time.monotonic() - began, Counter[int | None]()
    for number in range(2, KILLS + 2):
        name = {"session": f"s{number % 7}", "cwd": str(tmp_path)}
        asked, stopped = turn(f"fix number {number}", f"t{number}", **name)
        spool(asked)
        child = processes.Process(target=_ingest, args=(home,))
        child.start()
        child.join(span * rng.uniform(0.0, 1.0))
        spool(stopped)
        child.kill()
        child.join()
        ends[child.exitcode] += 1
    run()
    assert ends[-signal.SIGKILL] > KILLS // 4
    counts = Counter(o.task.prompt for o in outcomes())
    assert counts == Counter(f"fix number {n}" for n in range(KILLS + 2))
    assert left(home) == []
