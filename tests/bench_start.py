"""Cold starts, each in a process of its own: python -m tests.bench_start [RUNS]

Wall time depends on what else runs; processor time hardly does. Modules are compiled already.
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

COMMANDS = {
    "acr --version": (["--version"], 120.0),
    "acr status --short": (["status", "--short"], 50.0),
    "acr route --json": (["route", "--json", "fix the failing test"], 1200.0),
}
"""Name -> (arguments, aim in ms)."""
ROOT = Path(__file__).parent.parent


def measure(args: list[str], home: str) -> tuple[float, float]:
    """(wall, processor) milliseconds of one run in this repository."""
    env = {**os.environ, "ACR_HOME": home, "PYTHONDONTWRITEBYTECODE": ""}
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "acr", *args],
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return 1000 * wall, 1000 * cpu


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        for name, (args, aim) in COMMANDS.items():
            first = measure(args, home)[0]
            walls, cpus = zip(*(measure(args, home) for _ in range(runs)), strict=True)
            p50 = statistics.median(walls)
            print(
                f"{name:<17} p50 {p50:6.0f} ms, min {min(walls):6.0f}, max {max(walls):6.0f}; "
                f"processor p50 {statistics.median(cpus):5.0f}; first in a new home {first:.0f} "
                f"(n {runs}, aim {aim:g} ms: {'ok' if p50 <= aim else 'OVER'}; "
                f"load {os.getloadavg()[0]:.1f})"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
