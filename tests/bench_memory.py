"""How fast memory is at 20,000 attempts: python -m tests.bench_memory."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from acr.memory import driver
from acr.memory.store import Judged, Memory
from acr.memory.vectors import quantise
from acr.nouns import Outcome
from tests.memory.makers import EMBEDDER, outcome, task, vector

ROWS = 20_000
RUNS = 50
DAYS = 100
"""Over which the attempts are spread."""


def made(number: int) -> Outcome:
    """One of many outcomes: 10 kinds of task, 20 profiles, 30 repositories."""
    rng = random.Random(number)
    asked = task(
        f"t{number}",
        dimension=f"kind-{rng.randrange(10)}",
        repository=f"repository-{rng.randrange(30)}",
        embedding=vector(number),
    )
    one = outcome(asked, profile=f"codex-{rng.randrange(20)}")
    started = 1e9 + 86_400 * DAYS * number / ROWS
    return replace(one, attempt=replace(one.attempt, started=started))


def fill(memory: Memory) -> None:
    """Stores ROWS outcomes."""
    with memory.merging() as merge:
        for number in range(ROWS):
            one = made(number)
            merge((replace(one.task, embedding=None), quantise(one.task.embedding or ())))
            if one.decision:
                merge(one.decision)
            merge(Judged(one.attempt, one.verdict))


def timed(what: str, run: Callable[[], object]) -> None:
    """Prints median, smallest and largest of RUNS runs in ms."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    middle = statistics.median(times)
    print(f"{what:<36} p50 {middle:6.1f} ms   min {min(times):6.1f}   max {max(times):6.1f}")


def measure(memory: Memory) -> None:
    """What a decision reads, and what a run writes."""
    ask, since = vector(-1), 1e9 + 86_400 * (DAYS - 30)
    timed("neighbours(k=10)", lambda: memory.neighbours(ask, EMBEDDER, 10, -1.0))
    timed(
        "neighbours(k=40), of one kind",
        lambda: memory.neighbours(ask, EMBEDDER, 40, -1.0, dimensions=["kind-1"]),
    )
    timed("totals()", memory.totals)
    timed("statistics()", memory.statistics)
    timed("statistics(dimension)", lambda: memory.statistics(dimension="kind-1"))
    timed("statistics(repository)", lambda: memory.statistics(repository="repository-1"))
    timed(
        "statistics(dimension, last 30 days)",
        lambda: memory.statistics(dimension="kind-1", since=since),
    )
    timed("statistics(last 30 days)", lambda: memory.statistics(since=since))
    timed("snapshot()", memory.snapshot)
    timed("task(latest)", memory.task)
    ready = iter([made(ROWS + number) for number in range(RUNS)])
    timed("add_outcome, the oldest pruned", lambda: memory.add_outcome(next(ready)))
    timed("set_human", lambda: memory.set_human("", "pass"))


def main() -> None:
    """Fills a database and times it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        with Memory.open(path) as memory:
            start = time.perf_counter()
            fill(memory)
            took = time.perf_counter() - start
            size = path.with_name("memory.db-wal").stat().st_size + path.stat().st_size
            print(f"{ROWS} outcomes stored in {took:.0f} s ({driver.how()}), {size / 1e6:.0f} MB")
        timed("open", lambda: Memory.open(path).close())
        with Memory.open(path) as memory:
            measure(memory)
            memory.forget(memory.tasks()[: ROWS // 2])
            start = time.perf_counter()
            assert memory.check() == []
            print(f"check() {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
