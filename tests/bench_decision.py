"""Warm decision latency: 20 profiles, 20,000 remembered attempts, the encoder left out.

python -m tests.bench_decision [ATTEMPTS]
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from acr.memory.store import Memory
from acr.nouns import DIMENSIONS, Attempt, Outcome, Price, Task, Verdict
from acr.orchestrator.policy import decide
from acr.settings import Settings
from tests.orchestrator.fakes import DAY, profile, task

SIZE = 384
PROFILES = tuple(profile(f"p{i}", f"model-{i // 2}") for i in range(20))
PARTS = ("totals", "recent", "neighbours", "statistics", "snapshot")
PRICES = {p.name: Price(input=1 + i, output=5 + i) for i, p in enumerate(PROFILES)}


def vector(rng: random.Random) -> tuple[float, ...]:
    """A unit vector near one of fifty topics, so that most tasks have similar ones."""
    topic = random.Random(rng.randrange(50))
    raw = [topic.gauss(0, 1) + rng.gauss(0, 0.7) for _ in range(SIZE)]
    length = sum(x * x for x in raw) ** 0.5
    return tuple(x / length for x in raw)


def make_task(n: int, rng: random.Random) -> Task:
    now = time.time() - rng.random() * 90 * DAY
    return replace(
        task(),
        id=f"t{n:06}",
        created=now,
        dimension=rng.choice(DIMENSIONS),
        repository=f"r{rng.randrange(20)}",
        embedding=vector(rng),
        embedder="bench",
    )


def outcome(n: int, rng: random.Random) -> Outcome:
    about, used = make_task(n, rng), rng.choice(PROFILES)
    won = rng.random() < 0.6
    verdict = Verdict("pass" if won else "fail", float(won), strength=1.0)
    attempt = Attempt(
        f"a{n}", about.id, "", used.name, used.agent, used.model, "done", about.created, 60.0,
        cost=rng.random(),
    )  # fmt: skip
    return Outcome(about, None, attempt, verdict)


class Watched:
    """Memory, with the seconds spent in each of its methods."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self.spent = memory, dict.fromkeys(PARTS, 0.0)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return getattr(self._memory, name)(*args, **kwargs)
            finally:
                self.spent[name] += time.perf_counter() - start

        return call


def main(attempts: int) -> None:
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "memory.db") as memory:
        memory.db.execute("PRAGMA synchronous = OFF")  # filling it is not what is measured
        for n in range(attempts):
            memory.add_outcome(outcome(n, rng))
        asked = [replace(make_task(attempts + n, rng), created=time.time()) for n in range(110)]
        times = []
        for n, one in enumerate(asked):  # each decision finds an outcome that is new
            memory.add_outcome(outcome(2 * attempts + n, rng))
            times.append(measure(one, memory))
        times = times[10:]
    print(f"{attempts} attempts, {len(PROFILES)} profiles, {len(times)} decisions; ms")
    for name in times[0]:
        each = sorted(t[name] for t in times)
        print(
            f"{name:22} least {each[0]:6.2f}  p50 {statistics.median(each):6.2f}"
            f"  p95 {each[len(each) * 95 // 100]:6.2f}"
        )


def measure(about: Task, memory: Memory) -> dict[str, float]:
    """Milliseconds of one decision, by part."""
    watched = Watched(memory)
    start, cpu = time.perf_counter(), time.process_time()
    decide(about, PROFILES, watched, Settings(), prices=PRICES)
    cpu, whole = time.process_time() - cpu, time.perf_counter() - start
    rest = whole - sum(watched.spent.values())
    parts = {"decide": whole, "decide, CPU": cpu, **watched.spent, "policy itself": rest}
    return {name: 1000 * seconds for name, seconds in parts.items()}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
