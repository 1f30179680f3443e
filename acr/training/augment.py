"""Prompts as others would have typed them: casing, typos, other words, other pasted text."""

from __future__ import annotations

import random
import re

__all__ = ["Augmenter"]

BLOCK = re.compile(r"```.*?```", re.S)
WORD = re.compile(r"[A-Za-z]+")
SWITCHED = 0.25
"""Share of the known words that are said in another language, where any are."""


class Augmenter:
    """Changes a prompt in ways that leave the wish as it is."""

    def __init__(self, translations: dict[str, list[str]], blocks: list[str]) -> None:
        self._translations, self._blocks = translations, blocks

    def change(self, text: str, english: bool, rng: random.Random) -> str:
        """`text` itself in about a third of all cases."""
        if rng.random() < 0.35:
            return text
        if english and rng.random() < 0.3:
            text = self._switch(text, rng)
        if rng.random() < 0.2:
            text = self._paste(text, rng)
        if rng.random() < 0.3 and len(text) > 12:
            text = _typos(text, rng)
        if rng.random() < 0.2:
            text = text.rstrip("?!. ")
        return text

    def _switch(self, text: str, rng: random.Random) -> str:
        """Some English words become foreign ones."""

        def other(found: re.Match[str]) -> str:
            options = self._translations.get(found[0].lower())
            return rng.choice(options) if options and rng.random() < SWITCHED * 2 else found[0]

        return WORD.sub(other, text)

    def _paste(self, text: str, rng: random.Random) -> str:
        """A pasted block goes, or a foreign one comes at either end."""
        if BLOCK.search(text):
            return BLOCK.sub("", text) if len(BLOCK.sub("", text).split()) > 4 else text
        block = rng.choice(self._blocks)
        return f"{text}\n\n{block}" if rng.random() < 0.7 else f"{block}\n\n{text}"


def _typos(text: str, rng: random.Random) -> str:
    letters = list(text)
    for _ in range(max(1, len(text) // 60)):
        at = rng.randrange(len(letters) - 1)
        if not letters[at].isalpha() or not letters[at + 1].isalpha():
            continue
        kind = rng.random()
        if kind < 0.4:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        elif kind < 0.7:
            letters[at] = ""
        else:
            letters[at] *= 2
    return "".join(letters)


def blocks(texts: list[str]) -> list[str]:
    """Short pasted blocks that occur in `texts`."""
    return [b for text in texts for b in BLOCK.findall(text) if len(b) < 500]
