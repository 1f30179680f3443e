"""What kind of request a prompt is, as a reader of prompts sees it.

Without a model the nearest descriptions and examples, plus cues of the wording, have to do.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
import tomllib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from acr import settings
from acr.context.embedding import Embedder
from acr.nouns import DIMENSIONS, Classification, Reading

__all__ = ["Nearest", "Reader", "classify", "classify_many", "glance", "human_ask", "is_noise"]

NEAREST = 3
"""Texts of a dimension that count, nearest first."""
SHARPNESS = 12.0
"""Logits per unit of cosine similarity."""
BATCH = 64
LOOKED_AT = 20_000
"""Characters of a prompt that cues and difficulty look at: half from each end."""

HARNESS = re.compile(
    r"<(system-reminder|environment_context|ide_\w+|tool_result|command-\w+|local-command-\w+|"
    r"user_instructions|files|open_files|attached_files|task-notification|subagent_notification)\b[^>]*>.*?</\1>",
    re.S | re.I,
)

_CHANGE = r"(fix|repair|solve|correct|make it (work|pass)|resolve|beheb|corrig|修复|исправ|直して)"
CUES: tuple[tuple[str, str, float], ...] = (
    (r"^\s*(please |can you |could you )?(fix|repair|debug|solve|resolve)\b", "bug_fixing", 2.0),
    (r"make (it|the|all|this)\b.{0,40}\b(pass|work|green)\b", "bug_fixing", 2.0),
    (r"\b(bug|crash(es|ed)?|segfault|regression|broken|stack ?trace|leak)\b", "bug_fixing", 1.0),
    (r"Traceback \(most recent call last\)|^\s+at [\w$.<>]+ ?\(|panicked at", "bug_fixing", 1.5),
    (r"\b\w*(Error|Exception)\b: ", "bug_fixing", 1.0),
    (
        r"^\s*(please |can you |could you )?"
        r"(explain|describe|summari[sz]e|review|document|walk me)",
        "code_understanding",
        3.0,
    ),
    (
        r"^\s*(why|how (do|does|is|are)|what (does|do|is|are|would|happens)|where|which|"
        r"is |are |does )",
        "code_understanding",
        2.0,
    ),
    (r"\bdocstrings?\b|\b(jsdoc|rustdoc|readme)\b", "code_understanding", 1.5),
    (
        r"\b(write|add|create|generate|extend|more|need|implement)\b.{0,40}\b(unit |integration |"
        r"e2e |regression |property[- ]\w+ )?(tests?|test cases|specs?|fixtures?)\b",
        "test_generation",
        2.5,
    ),
    (r"\bcoverage\b|\btest (suite|cases) for\b|\bin a test\b", "test_generation", 2.0),
    (
        r"\b(refactor\w*|rename|extract|dedup\w*|clean ?up|simplify|tidy|moderni[sz]e|restructure|"
        r"reorgani[sz]e|inline)\b|\badd (static )?types?\b|\btype (hints|annotations)\b"
        r"|\bsplit\b.{0,40}\b(file|module|class|function)s?\b|callbacks? to (async|promises?)",
        "code_refactoring",
        2.0,
    ),
    (
        r"\b(port|translate|convert|rewrite|transpile|turn)\b.{0,60}\b(to|in|into|nach|a)\s+"
        r"(idiomatic |modern )?(python|go|golang|rust|java|kotlin|swift|c\+\+|c#|c|ruby|php|perl|"
        r"typescript|javascript|scala|haskell|lua|julia|r|elixir|dart)\b",
        "multi_language",
        3.0,
    ),
    (
        r"\b(bindings?|ffi) (for|to)\b|\b(same|version)\b.{0,30}\bin \w+ please",
        "multi_language",
        1.5,
    ),
    (
        r"\b(complete|finish|continue) (the|this)\b|\bfill in\b|\bTODOs?\b"
        r"|<FILL|what (does|will) .{0,40}\b(print|output|return)\b|\boutput of\b",
        "code_completion",
        2.5,
    ),
    (
        r"\b(plot|chart|histogram|heat ?map|scatter|dataframe|pandas|csv|dataset|data set|"
        r"correlation|regression model|train(ing)? (a|the|script)|cross[- ]validat\w*|p[- ]value|"
        r"churn|cohort|sql query|jupyter|notebook)\b",
        "data_science",
        2.0,
    ),
    (
        r"\bO\((n|1|log|m|k|v|e)\b|\b(dynamic programming|backtracking|leetcode|dijkstra|knapsack|"
        r"shortest path|subarray|subsequence|lru cache|n[- ]queens|sudoku|binary search|trie|"
        r"minimum number of|modulo 1e9)\b",
        "algorithm",
        2.0,
    ),
    (
        r"\b(migrate|migration|upgrade|replace)\b.{0,80}\b(whole|entire|everywhere|all|across|"
        r"monorepo|code ?base|project)\b|\bend[- ]to[- ]end\b|\b(set up|introduce)\b.{0,60}"
        r"\b(ci|docker|kubernetes|pipeline|deployment|every service)\b",
        "agentic_programming",
        2.5,
    ),
    (
        r"^\s*(please |can you |could you |i need )?"
        r"(write|create|implement|build|add|make|generate)"
        r"\b(?!.{0,60}\b(tests?|types?|coverage|specs?|docstrings?)\b)",
        "code_generation",
        1.2,
    ),
)
"""Pattern, dimension, logits it adds. Word order decides: the wish mostly stands first."""
_CUES = tuple((re.compile(p, re.I | re.M), d, w) for p, d, w in CUES)
_ASKS_CHANGE = re.compile(_CHANGE, re.I)

LANGUAGE_NAMES = {
    "c#": r"\bc#|\bcsharp\b|\.cs\b|\bdotnet\b",
    "c++": r"\bc\+\+|\.(cpp|hpp|cc)\b",
    "c": r"\bin C\b|\.[ch]\b|\bANSI C\b",
    "go": r"\bgolang\b|\bin Go\b|\.go\b|\bgoroutine",
    "java": r"\bjava\b|\.java\b|\bspring boot\b|\bmaven\b",
    "javascript": r"\bjavascript\b|\bnode(\.js)?\b|\.jsx?\b|\breact\b|\bexpress\b|\bvue\b",
    "kotlin": r"\bkotlin\b|\.kt\b",
    "php": r"\bphp\b|\blaravel\b",
    "python": r"\bpython\b|\.py\b|\bdjango\b|\bpandas\b|\bflask\b|\bpytest\b|^\s*def \w+\(",
    "ruby": r"\bruby\b|\.rb\b|\brails\b|\brspec\b",
    "rust": r"\brust\b|\.rs\b|\bcargo\b",
    "scala": r"\bscala\b",
    "shell": r"\bbash\b|\bshell script\b|\.sh\b",
    "sql": r"\bsql\b|\bselect .+ from\b",
    "swift": r"\bswift\b|\bswiftui\b",
    "typescript": r"\btypescript\b|\.tsx?\b|\bangular\b",
}
_LANGUAGES = {
    name: re.compile(pattern, (0 if name in ("c", "go") else re.I) | re.M)
    for name, pattern in LANGUAGE_NAMES.items()
}
DIFFICULTY = {
    "agentic_programming": 0.75,
    "algorithm": 0.6,
    "bug_fixing": 0.5,
    "code_completion": 0.25,
    "code_generation": 0.45,
    "code_refactoring": 0.4,
    "code_understanding": 0.3,
    "data_science": 0.45,
    "multi_language": 0.45,
    "test_generation": 0.4,
}
"""Where a dimension's difficulty starts, before the prompt's length and words move it."""
HARD = re.compile(
    r"\b(race|deadlock|concurren\w+|distributed|memory leak|segfault|entire|everywhere|performance|"
    r"security|lock-free|compiler|migration|architecture|intermittent\w*|flaky)\b",
    re.I,
)
EASY = re.compile(r"\b(typo|rename|simple|small|trivial|one-liner|hello world|bump)\b", re.I)


def human_ask(text: str) -> str:
    """What the person typed: blocks that agents and editors add are taken out."""
    return HARNESS.sub("", text).replace("\0", "").strip() or text.strip()


def is_noise(text: str) -> bool:
    """Whether nothing in it is a person's."""
    return not HARNESS.sub("", text).replace("\0", "").strip()


def glance(ask: str) -> tuple[str, float]:
    """(dimension, difficulty 0..1) by the wording alone, in well under a millisecond.

    Without any cue it is code_generation, of middling difficulty.
    """
    seen = _ends(ask)
    cues = _cues(seen)
    dimension = max(cues, key=lambda name: cues[name], default="code_generation")
    return dimension, _difficulty(seen, dimension)


class Reader(Protocol):
    """Says of prompts what kind they are and how hard: the orchestrator's model, or Nearest."""

    def scores(self, prompts: Sequence[str]) -> list[Reading]:
        """One reading per prompt, in order."""


def classify(prompt: str, reader: Reader) -> Classification:
    """The kind of request; every text gets an answer, an odd one with low confidence."""
    return next(classify_many([prompt], reader))


def classify_many(prompts: Iterable[str], reader: Reader) -> Iterator[Classification]:
    """One classification per prompt, in order, read and answered in batches."""
    texts = iter(prompts)
    while batch := list(itertools.islice(texts, BATCH)):
        asks = [human_ask(text) for text in batch]
        for ask, reading in zip(asks, reader.scores(asks), strict=True):
            yield _classified(ask, reading)


def _classified(ask: str, reading: Reading) -> Classification:
    scores = reading.dimensions
    best, second = sorted(scores, key=lambda d: -scores[d])[:2]
    return Classification(
        dimension=best,
        confidence=scores[best],
        runner_up=second,
        scores=scores,
        language=_language(_ends(ask)),
        difficulty=round(reading.difficulty, 3),
        reason=f"{reading.reason}; next is {second} at {scores[second]:.0%}",
    )


class Nearest:
    """Reads prompts by their nearest descriptions; knows nothing of tiers and models."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def scores(self, prompts: Sequence[str]) -> list[Reading]:
        """One reading per prompt, in order."""
        vectors = self._embedder.embed(prompts)
        return [self._read(p, v) for p, v in zip(prompts, vectors, strict=True)]

    def _read(self, prompt: str, vector: Sequence[float]) -> Reading:
        seen = _ends(prompt)
        near, cues = _similarities(vector, self._embedder), _cues(seen)
        shares = _softmax({d: SHARPNESS * near[d] + cues.get(d, 0.0) for d in DIMENSIONS})
        best = max(shares, key=shares.__getitem__)
        why = "wording and similarity" if best in cues else "similarity"
        return Reading(shares, _difficulty(seen, best), {}, {}, why)


def _ends(text: str) -> str:
    """What cues, language and difficulty look at."""
    return text if len(text) <= LOOKED_AT else text[: LOOKED_AT // 2] + text[-LOOKED_AT // 2 :]


def _similarities(vector: Sequence[float], embedder: Embedder) -> dict[str, float]:
    """Per dimension, the mean cosine of its nearest texts."""
    import numpy as np

    found: dict[str, float] = {}
    for name, matrix in _prototypes(embedder).items():
        nearest = np.sort(matrix @ np.asarray(vector, dtype=np.float32))[-NEAREST:]
        found[name] = float(nearest.mean())
    return found


def _cues(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for pattern, dimension, weight in _CUES:
        if pattern.search(text):
            found[dimension] = max(found.get(dimension, 0.0), weight)
    asks_only = found.get("code_understanding", 0.0) >= 2 and not _ASKS_CHANGE.search(text)
    if asks_only:
        found.pop("bug_fixing", None)
    return found


def _softmax(logits: Mapping[str, float]) -> dict[str, float]:
    top = max(logits.values())
    powers = {name: math.exp(value - top) for name, value in logits.items()}
    whole = sum(powers.values())
    return {name: power / whole for name, power in powers.items()}


def _language(text: str) -> str | None:
    """The programming language that is named or shown first."""
    found = ((m.start(), name) for name, p in _LANGUAGES.items() if (m := p.search(text)))
    return min(found, default=(0, None))[1]


def _difficulty(text: str, dimension: str) -> float:
    """0..1: the dimension's start, longer and harder-sounding prompts up, easy words down."""
    length = min(0.2, math.log2(1 + len(text) / 400) / 20)
    hard = 0.1 * min(2, len(HARD.findall(text)))
    easy = 0.2 if EASY.search(text) else 0.0
    return round(min(1.0, max(0.0, DIFFICULTY[dimension] + length + hard - easy)), 3)


_LOADED: dict[str, dict[str, Any]] = {}


def _prototypes(embedder: Embedder) -> dict[str, Any]:
    """Per dimension, the vectors of its texts: shipped, or computed once and kept on disk."""
    import numpy as np

    if known := _LOADED.get(embedder.id):
        return known
    source = Path(__file__).parent.parent / "data" / "dimensions.toml"
    raw = source.read_bytes()
    texts: dict[str, list[str]] = tomllib.loads(raw.decode())
    key = hashlib.sha256(raw + embedder.id.encode()).hexdigest()[:16]
    size = sum(map(len, texts.values())) * embedder.dimensions
    path = settings.folder("cache") / f"dimensions-{key}.f32"
    flat = _kept(source.with_name(path.name), size) or _kept(path, size)
    if flat is None:
        vectors = embedder.embed([text for name in texts for text in texts[name]])
        flat = array("f", itertools.chain.from_iterable(vectors))
        _keep(path, flat)
    rows = iter(np.frombuffer(flat, dtype=np.float32).reshape(-1, embedder.dimensions))
    made = {name: np.stack([next(rows) for _ in texts[name]]) for name in DIMENSIONS}
    return _LOADED.setdefault(embedder.id, made)


def _kept(path: Path, size: int) -> array[float] | None:
    try:
        flat = array("f", path.read_bytes())
    except (OSError, ValueError):
        return None
    return flat if len(flat) == size else None


def _keep(path: Path, flat: array[float]) -> None:
    """Written aside and moved, so that a reader never sees half of it."""
    aside = path.with_suffix(f".{os.getpid()}")
    try:
        aside.write_bytes(flat.tobytes())
        aside.replace(path)
    except OSError:  # a full or read-only disk costs time at the next start, nothing else
        aside.unlink(missing_ok=True)
