"""Words that the English tokenizer does not know, with a first guess of what they mean."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acr.training.data import DATA, Example

__all__ = ["Glossary", "extend"]

OFTEN, OFTEN_SIGN = 3, 2
"""How often a word, or a Chinese character, must occur in the prompts to be added."""
SHORTEST = 3


class Glossary:
    """Words of nineteen languages by their English meaning."""

    def __init__(self, path: Path = DATA / "glossary.psv") -> None:
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        self.languages = head.split("|")
        self.rows = [
            [[w.replace("_", " ") for w in cell.split("/")] for cell in row.split("|")]
            for row in rows
        ]

    def meanings(self) -> Iterator[tuple[str, str]]:
        """Pairs of a foreign word, or several, and what it is in English."""
        for english, *others in self.rows:
            for words in others:
                for word in words:
                    yield word, english[0]

    def translations(self) -> dict[str, list[str]]:
        """All foreign words of an English one."""
        return {row[0][0]: [w for words in row[1:] for w in words] for row in self.rows}


def extend(tokenizer: str, seen: Iterable[Example], table: Tensor) -> tuple[str, Tensor]:
    """The tokenizer's JSON with new words at its end, and the embedding table with their rows.

    A word of the glossary starts as the mean of its English meanings, another one as the mean
    of the pieces that it was before.
    """
    from tokenizers import Tokenizer

    made: Any = Tokenizer.from_str(tokenizer)
    made.no_padding()
    made.no_truncation()
    known: dict[str, int] = made.get_vocab()
    meanings: dict[str, list[Tensor]] = defaultdict(list)
    for word, english in Glossary().meanings():
        vector = _mean(made, english, table)
        for part in _words(made, word):
            meanings[part].append(vector)
    counts = Counter(
        word
        for example in seen
        if example.human != "en"
        for word in _words(made, example.text)
        if word not in known
    )
    frequent = {w for w, n in counts.items() if n >= (OFTEN if len(w) >= SHORTEST else OFTEN_SIGN)}
    wanted = sorted({w for w in meanings if w not in known} | {w for w in frequent if _useful(w)})
    rows = [
        torch.stack(meanings[word]).mean(0) if word in meanings else _mean(made, word, table)
        for word in wanted
    ]
    data = json.loads(tokenizer)
    for word in wanted:
        data["model"]["vocab"][word] = len(data["model"]["vocab"])
    return json.dumps(data, ensure_ascii=False), torch.cat([table, torch.stack(rows)])


def _words(tokenizer: Any, text: str) -> list[str]:
    plain = tokenizer.normalizer.normalize_str(text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(plain)]


def _mean(tokenizer: Any, text: str, table: Tensor) -> Tensor:
    """The mean vector of the pieces of `text`; of all words when none is known."""
    unknown = tokenizer.token_to_id("[UNK]")
    ids = [i for i in tokenizer.encode(text, add_special_tokens=False).ids if i != unknown]
    return table[ids].mean(0) if ids else table.mean(0)


def _useful(word: str) -> bool:
    """Foreign words and signs; no names of things, which have digits or capitals in the middle."""
    return word.isalpha() and (len(word) >= SHORTEST or ord(word[0]) > 0x2E80)
