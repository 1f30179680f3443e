"""What is learned is labelled twice, split by persona, and varied enough."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from acr.errors import UsageError
from acr.nouns import DIMENSIONS, TIERS
from acr.training import data
from acr.training.augment import Augmenter, blocks

ROWS = data.prompts()


def test_there_are_thousands_of_prompts_of_every_kind() -> None:
    kinds = Counter(row.dimension for row in ROWS)
    assert set(kinds) == set(DIMENSIONS)
    assert min(kinds.values()) >= 400
    assert len({row.text for row in ROWS}) == len(ROWS) >= 4000
    assert sum(n for human, n in Counter(r.human for r in ROWS).items() if human != "en") >= 1000
    assert len({row.human for row in ROWS}) >= 11


def test_prompts_whose_labels_differ_are_not_learned() -> None:
    raw = (data.DATA / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(raw) > len(ROWS)


def test_plain_requests_cover_every_kind_and_are_not_among_the_held_out_ones() -> None:
    plain = data.plain()
    assert {row.dimension for row in plain} == set(DIMENSIONS)
    path = Path(__file__).parents[1] / "context" / "prompts.jsonl"
    held_out = {json.loads(line)["prompt"] for line in path.read_text("utf-8").splitlines()}
    assert not held_out & {row.text for row in plain}


def test_a_persona_is_in_one_split_only() -> None:
    splits = {row.source: row.split for row in ROWS}
    assert all(splits[row.source] == row.split for row in ROWS)
    assert {s for s, split in splits.items() if split == "val"} == set(data.VALIDATION)
    assert {s for s, split in splits.items() if split == "test"} == set(data.TEST)


def test_outputs_are_ten_kinds_difficulty_four_tiers_eight_models() -> None:
    labels = data.labels()
    assert len(labels) == len(set(labels)) == len(DIMENSIONS) + 1 + len(TIERS) + 8
    assert data.tier_scores(tuple([0.5] * 8)) == [0.5] * 4


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name the benchmark's folder"):
        data.matrix(tmp_path)


def test_variations_are_repeatable_and_keep_something_to_read() -> None:
    texts = [row.text for row in ROWS[:200]]
    made = Augmenter({"fix": ["behebe", "почини"]}, blocks([r.text for r in ROWS]))
    once = [made.change(text, True, random.Random(i)) for i, text in enumerate(texts)]
    again = [made.change(text, True, random.Random(i)) for i, text in enumerate(texts)]
    assert once == again
    assert 0.15 < sum(a != b for a, b in zip(once, texts, strict=True)) / len(texts) < 0.9
    assert all(text.strip() for text in once)
