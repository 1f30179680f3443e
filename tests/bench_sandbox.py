"""Overhead of one sandboxed run of `true`, median of 15: python -m tests.bench_sandbox

Docker is measured on the engine that DOCKER_HOST or the usual sockets give.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from acr.settings import Limits, VerifierSettings
from acr.verifier.sandbox import Job, Sandbox, engines
from acr.verifier.sandbox.engine import NOBODY

RUNS = 15
AIMS = {"docker": 1000.0, "bwrap": 60.0, "none": 60.0}
"""Milliseconds."""


def measure(engine: Sandbox, copy: Path) -> list[float]:
    """Milliseconds of each of 15 runs, after one that is not counted."""
    job = Job(["/bin/true"], copy, Path("/project"), Limits(), {"PATH": "/usr/bin:/bin"})
    engine.run(job)
    taken = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        engine.run(job)
        taken.append(1000 * (time.perf_counter() - begun))
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        for engine in engines(VerifierSettings()):
            if not (probe := engine.probe()).ok:
                print(f"{engine.name:<7} not measured: {probe.reason}")
                continue
            taken = measure(engine, Path(folder))
            median = statistics.median(taken)
            aim = AIMS[engine.name]
            verdict = "ok" if median <= aim else "OVER"
            print(
                f"{engine.name:<7} median {median:6.1f} ms, max {max(taken):6.1f} ms"
                f"  (n {RUNS}, aim {aim:g} ms: {verdict}; load {os.getloadavg()[0]:.1f})"
            )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
