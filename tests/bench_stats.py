"""How fast `acr stats` is at 20,000 outcomes: python -m tests.bench_stats."""

from __future__ import annotations

import contextlib
import io
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence

from acr import loop, settings
from acr.cli.main import run
from acr.memory.statistics import Figures

ROWS = 20_000
RUNS = 10
COMMANDS: tuple[Sequence[str], ...] = (
    ("stats",),
    ("stats", "--by", "profile", "--sort", "cost-per-win"),
    ("stats", "--by", "day"),
    ("stats", "--since", "30d", "--baseline", "last-month"),
    ("stats", "--json"),
)


def made(number: int, now: float) -> Figures:
    """One of many attempts: 10 kinds of task, 12 profiles, 30 repositories, over 100 days."""
    rng = random.Random(number)
    profile = rng.randrange(12)
    status = rng.choices(("pass", "fail", "unverified"), (4 + profile, 8, 2))[0]
    return Figures(
        attempt=f"a{number}",
        task=f"t{number - (rng.random() < 0.3)}",
        profile=f"profile-{profile}",
        agent=("codex", "claude", "opencode")[profile % 3],
        model=f"model-{profile // 2}",
        dimension=f"kind-{rng.randrange(10)}",
        repository=f"repository-{rng.randrange(30)}",
        started=now - 86_400 * 100 * (1 - number / ROWS),
        duration=rng.lognormvariate(4, 1),
        cost=rng.lognormvariate(-2, 1) if rng.random() < 0.95 else None,
        tokens=50_000,
        status=status,  # type: ignore[arg-type]
        score=float(status == "pass"),
        weight=float(status != "unverified"),
        language="python",
        explored=rng.random() < 0.1,
    )


def main() -> None:
    """Fills a memory and times the commands in a process that has run them once."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ACR_HOME"] = folder
        with loop.open_memory(settings.load()) as memory, memory.merging() as merge:
            now = time.time()
            for number in range(ROWS):
                merge(made(number, now))
        for command in COMMANDS:
            walls, cpus = [], []
            for _ in range(RUNS + 1):
                wall, cpu = time.perf_counter(), time.process_time()
                with contextlib.redirect_stdout(io.StringIO()):
                    assert run(command) == 0
                walls.append(1000 * (time.perf_counter() - wall))
                cpus.append(1000 * (time.process_time() - cpu))
            wall, cpu = statistics.median(walls[1:]), statistics.median(cpus[1:])
            print(
                f"acr {' '.join(command):<44} p50 {wall:5.0f} ms"
                f"   min {min(walls[1:]):5.0f}   CPU p50 {cpu:5.0f}"
            )


if __name__ == "__main__":
    main()
