"""Load time, latency and accuracy of the shipped model: python -m tests.bench_orchestrator."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from acr.context.dimension import Nearest, Reader, classify_many
from acr.context.embedding import load
from acr.memory.statistics import wilson
from acr.nouns import DIMENSIONS
from acr.orchestrator.model import PATH, Model
from acr.settings import EmbeddingSettings
from acr.training.data import Example, prompts

ROUNDS = 15
COLD = f"""
import time
from pathlib import Path
from acr.orchestrator.model import Model
begun = time.perf_counter()
model = Model(Path({str(PATH)!r}))
print(f"{{model.backend}}, in a new process: load {{time.perf_counter() - begun:.3f}} s")
"""


def main() -> None:
    """Prints load time, milliseconds per prompt by length, and accuracy on the test personas."""
    subprocess.run([sys.executable, "-c", COLD], check=True)
    for backend in ("llama", "numpy"):
        begun = time.perf_counter()
        model = Model(PATH, backend="numpy" if backend == "numpy" else None)
        print(f"{model.backend} ({model.why}): load {(time.perf_counter() - begun) * 1e3:.0f} ms")
        for words in (18, 62, 254):
            print(f"  {words + 2} tokens: {_latency(model, words):.1f} ms")
    held = [e for e in prompts() if e.split == "test"]
    parts = {
        "all": held,
        "not in English": [e for e in held if e.human != "en"],
        "misleading words": [e for e in held if "misleading" in e.tags],
    }
    for name, reader in (
        ("the model", Model(PATH)),
        ("nearest descriptions and cues", Nearest(load(EmbeddingSettings()))),
    ):
        for part, examples in parts.items():
            _accuracy(f"{name}, {part}", reader, examples)


def _latency(model: Model, words: int) -> float:
    """Median milliseconds; each round reads another prompt, as readings are remembered."""
    taken = []
    for i in range(ROUNDS):
        text = " ".join(["test", "code", "file", "list"][(i + j) % 4] for j in range(words - 1))
        begun = time.perf_counter()
        model.scores([f"{text} {i}"])
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e3


def _accuracy(name: str, reader: Reader, examples: list[Example]) -> None:
    found = [c.dimension for c in classify_many((e.text for e in examples), reader)]
    right = [f == e.dimension for f, e in zip(found, examples, strict=True)]
    pairs = list(zip(right, examples, strict=True))
    of = [[hit for hit, e in pairs if e.dimension == d] for d in DIMENSIONS]
    macro = statistics.fmean(sum(hits) / len(hits) for hits in of)
    low, high = wilson(sum(right), len(right))
    print(f"{name}: macro {macro:.1%} ({sum(right)}/{len(right)}, {low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
