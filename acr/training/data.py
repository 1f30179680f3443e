"""What is learned from: own prompts, commit subjects and the benchmark, split by source."""

from __future__ import annotations

import csv
import gzip
import json
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from acr.errors import UsageError
from acr.nouns import DIMENSIONS, TIERS

__all__ = [
    "COMMITS_TEST",
    "DATA",
    "TEST",
    "VALIDATION",
    "Example",
    "commits",
    "matrix",
    "plain",
    "prompts",
]

PLAIN = 0.3
"""Difficulty of what is asked in a few words."""
FIX = "train from a checkout, and name the benchmark's folder"
DATA = Path(__file__).parent / "data"
VALIDATION = ("student", "maintainer", "slavic", "architect", "symfony", "legacy")
"""Personas whose prompts choose settings and stop training; none of their prompts is learned."""
TEST = (
    "scalaspark",
    "elixircto",
    "wpagency",
    "scicomp",
    "nordicdach",
    "web3",
    "analyticseng",
    "asia",
    "androidios",
    "enterprise",
)
"""Personas that are looked at once, at the end; the first eight also judged earlier models."""
COMMITS_TEST = "python-semantic-release/python-semantic-release"
"""The repository whose commit subjects are not learned."""


@dataclass(frozen=True, slots=True)
class Example:
    """One text and what is known about it."""

    text: str
    source: str
    dimension: str | None = None
    difficulty: float | None = None
    """0..1: how likely an average model fails."""
    scores: tuple[float, ...] = ()
    """Per model of the benchmark, 0..1."""
    split: str = "train"
    """train, val or test."""
    human: str = "en"
    tags: tuple[str, ...] = field(default=())


def prompts(path: Path = DATA / "prompts.jsonl") -> list[Example]:
    """The project's own prompts whose two labels agree. Raises UsageError."""
    found = []
    for row in _rows(path):
        if row["dimension"] != row["second"]:
            continue
        source = row["source"]
        split = "val" if source in VALIDATION else "test" if source in TEST else "train"
        found.append(
            Example(
                row["prompt"],
                source,
                row["dimension"],
                row["difficulty"],
                split=split,
                human=row["human"],
                tags=tuple(row["tags"]),
            )
        )
    return found


def plain() -> list[Example]:
    """What everybody asks for in a few words: the shipped descriptions and more like them."""
    rows = (DATA / "plain.psv").read_text(encoding="utf-8").splitlines()
    found = [tuple(row.split("|", 2)) for row in rows]
    described = tomllib.loads((DATA.parents[1] / "data" / "dimensions.toml").read_text("utf-8"))
    found += [(name, "", text) for name, texts in described.items() for text in texts]
    return [Example(text, "plain", name, PLAIN, human=human or "en") for name, human, text in found]


def commits(folder: Path) -> list[Example]:
    """Commit subjects: fixes, features, refactorings and tests of three repositories."""
    rows = _rows(folder.parent / "commit_subjects.jsonl.gz")
    return [
        Example(
            row["prompt"],
            row["source"],
            row["dimension"],
            split="test" if row["source"] == COMMITS_TEST else "train",
        )
        for row in rows
    ]


def matrix(folder: Path) -> list[Example]:
    """The benchmark's probing tasks whose text is known, with the score of each model."""
    texts = {row["task_id"]: row["prompt"] for row in _rows(folder / "id_prompts.jsonl.gz")}
    scores: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    path = folder / "id_probing.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                task = (row["task_id"], row["source_split"], row["dimension"])
                scores[task][row["model"]] = float(row["score"])
    except (OSError, EOFError, KeyError, ValueError) as e:
        raise UsageError(f"{path}: cannot be read ({e}); {FIX}") from None
    names = models()
    return [
        Example(
            texts[task],
            dimension,
            difficulty=1 - sum(known.values()) / len(known),
            scores=tuple(known[name] for name in names),
            split=split,
        )
        for (task, split, dimension), known in scores.items()
        if task in texts
    ]


@cache
def _prior() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "data" / "prior.json"
    prior: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return prior


def models() -> list[str]:
    """The benchmark's models, in the order of the outputs."""
    return sorted(_prior()["models"])


def tier_scores(scores: tuple[float, ...]) -> list[float]:
    """The mean score of each tier's models, in the order of TIERS."""
    tiers = [_prior()["models"][name]["tier"] for name in models()]
    groups = [[s for s, t in zip(scores, tiers, strict=True) if t == tier] for tier in TIERS]
    return [sum(group) / len(group) for group in groups]


def prior_scores(dimension: str) -> list[float]:
    """What each model scored in `dimension` on the whole, or overall where it was not measured."""
    known = [_prior()["models"][name] for name in models()]
    return [one["dimensions"].get(dimension, one["overall"])[0] for one in known]


def labels() -> list[str]:
    """What each output of the model is, in order."""
    return [
        *(f"dimension:{name}" for name in DIMENSIONS),
        "difficulty",
        *(f"tier:{name}" for name in TIERS),
        *(f"model:{name}" for name in models()),
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, EOFError, ValueError) as e:
        raise UsageError(f"{path}: cannot be read ({e}); {FIX}") from None
