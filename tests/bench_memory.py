"""How fast memory is at 20,000 rows: python -m tests.bench_memory."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from acr.memory.store import Memory
from tests.memory.makers import EMBEDDER, outcome, task, vector

ROWS = 20_000
RUNS = 30


def timed(what: str, run: Callable[[], object]) -> None:
    """Prints the median and the slowest of RUNS runs in ms."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    print(f"{what:<28} p50 {statistics.median(times):7.1f} ms   max {max(times):7.1f} ms")


def main() -> None:
    """Fills a database and times what a decision needs."""
    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "m.db") as memory:
        memory.db.execute("PRAGMA synchronous = OFF")
        start = time.perf_counter()
        for i in range(ROWS):
            kind = ("bug_fixing", "algorithm", "code_generation")[i % 3]
            made = task(f"t{i}", embedding=vector(i), dimension=kind, repository=f"r{i % 7}")
            memory.add_outcome(outcome(made, profile=f"codex-{i % 20}"))
        print(f"{ROWS} rows in {time.perf_counter() - start:.0f} s")
        memory.db.execute("PRAGMA synchronous = FULL")
        ask = vector(-1)
        timed("neighbours, k=10", lambda: memory.neighbours(ask, EMBEDDER, 10, -1.0))
        timed("statistics()", memory.statistics)
        timed("statistics(dimension)", lambda: memory.statistics(dimension="algorithm"))
        numbers = iter(range(ROWS, ROWS + RUNS))
        timed("add_outcome", lambda: memory.add_outcome(outcome(task(f"t{next(numbers)}"))))


if __name__ == "__main__":
    main()
