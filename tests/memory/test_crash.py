"""Many processes and sudden ends lose nothing that was acknowledged."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
from pathlib import Path

from acr.memory.store import Memory
from tests.memory.makers import outcome, task

KILLS = 50
WRITER = """
import sys
from pathlib import Path
from acr.memory.store import Memory
from tests.memory.makers import outcome, task
with Memory.open(Path(sys.argv[1]), capacity=300) as memory:
    for i in range(10**6):
        name = f"{sys.argv[2]}-{i}"
        memory.add_outcome(outcome(task(name)))
        print(name, flush=True)
"""


def _add_many(path: str, worker: int) -> None:
    with Memory.open(Path(path)) as memory:
        for i in range(50):
            memory.add_outcome(outcome(task(f"w{worker}-{i}")))


def test_eight_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_add_many, args=(str(path), n)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Memory.open(path) as memory:
        assert len(memory.outcomes()) == 400
        assert memory.statistics()[0].n == 400
        assert memory.check() == []


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path, rng = tmp_path / "memory.db", random.Random(7)
    seen: list[str] = []
    for number in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"r{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        with child, child.stdout or sys.stdin as output:
            seen += [output.readline().strip() for _ in range(rng.randrange(0, 12))]
            child.kill()
            seen += output.read().split()
    with Memory.open(path) as memory:
        assert memory.check() == []
        assert set(seen) <= set(memory.runs())
        assert {o.task.id for o in memory.outcomes()} >= set(seen[-200:])
        assert memory.statistics()[0].n == len(memory.runs())
