"""How long a hook keeps its agent waiting: python -m tests.bench_hooks [--runs 200].

Each event is run cold, RUNS times, idle and beside a busy core; a bare interpreter is measured
in the same way, as most of the time is its own start. `cpu` is the mean time on the processor,
which others at work on the machine change little.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from tests.hooks.scripts import PAYLOADS, command, payload

BUSY = "while True: pass"


def milliseconds(argv: list[str], data: bytes, runs: int) -> dict[str, float]:
    """Minimum, median, 95th percentile of the wall time, and the mean processor time."""
    times = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(argv, input=data, stdout=subprocess.DEVNULL, check=True)
        times.append(1000 * (time.perf_counter() - began))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cuts = statistics.quantiles(times, n=20)
    shown = {"min": min(times), "p50": statistics.median(times), "p95": cuts[-1]}
    shown["cpu"] = 1000 * spent / runs
    return {name: round(value, 1) for name, value in shown.items()}


@contextlib.contextmanager
def busy(is_busy: bool) -> Iterator[None]:
    """A second process that never rests, when `is_busy`."""
    if not is_busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", BUSY]) as child:
        try:
            yield
        finally:
            child.kill()


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as home:
        os.environ["ACR_HOME"] = home
        for name in ("idle", "beside a busy core"):
            with busy(name != "idle"):
                bare = [sys.executable, "-I", "-S", "-c", "pass"]
                found[name] = {"bare python": milliseconds(bare, b"", runs)}
                for event in PAYLOADS:
                    found[name][event] = milliseconds(command(event), payload(event), runs)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
