"""Speed and accuracy of the classifier: python -m tests.bench_classify."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from acr import loop
from acr.context.dimension import classify_many
from acr.settings import Settings


def main() -> None:
    """Prints load time, lines per second, and accuracy on the held-out prompts with their n."""
    start = time.perf_counter()
    reader = loop.reader(Settings())
    reader.scores(["warm"])
    print(f"import, load and first reading: {time.perf_counter() - start:.2f} s")
    lines = (Path(__file__).parent / "context/prompts.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    found = list(classify_many((row["prompt"] for row in rows), reader))
    right = Counter(r["dimension"] for r, c in zip(rows, found, strict=True) if _same(r, c))
    every = Counter(row["dimension"] for row in rows)
    for name, n in sorted(every.items()):
        print(f"{name:<22} {right[name]}/{n}")
    macro = sum(right[name] / n for name, n in every.items()) / len(every)
    print(f"accuracy {right.total()}/{len(rows)}, macro {macro:.0%}")
    many = [f"{row['prompt']} {i}" for i in range(10) for row in rows]  # none is remembered
    start = time.perf_counter()
    for _ in classify_many(many, reader):
        pass
    print(f"{len(many) / (time.perf_counter() - start):.0f} prompts per second")


def _same(row: dict[str, str], found: object) -> bool:
    return row["dimension"] == getattr(found, "dimension", "")


if __name__ == "__main__":
    main()
