"""How long acr report takes and how large it is: python -m tests.bench_report [RUNS] [MODELS]

Wall time depends on what else runs; processor time hardly does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from acr.memory.store import Memory
from tests.filling import fill

COUNTS = (0, 1, 1_000, 20_000)
"""Attempts in memory."""


def measure(home: Path) -> tuple[float, float]:
    """(wall, processor) seconds of one report in a process of its own."""
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "acr", "report"],
        env={**os.environ, "ACR_HOME": str(home)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def main(runs: int, models: int) -> None:
    """Prints a line per size of memory."""
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            with Memory.open(home / "memory.db") as memory:
                fill(memory, count, models=models)
            walls, cpus = zip(*(measure(home) for _ in range(runs)), strict=True)
            print(
                f"{count:>6} attempts, {models} models: "
                f"{(home / 'report.html').stat().st_size / 1000:6.0f} kB, "
                f"p50 {statistics.median(walls):5.1f} s, min {min(walls):5.1f}; "
                f"processor p50 {statistics.median(cpus):4.1f} "
                f"(n {runs}; load {os.getloadavg()[0]:.1f})"
            )


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], *("3", "60")[len(sys.argv) - 1 :]]))
