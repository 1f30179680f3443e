"""Prompts to token ids, the same for training and for every backend: the start and the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["WINDOW", "Tokens"]

HEAD, TAIL = 160, 94
"""Tokens kept of a long prompt: the ask stands at either end, pasted text between."""
WINDOW = HEAD + TAIL + 2
"""Tokens that the model sees at most, [CLS] and [SEP] among them."""
CHARACTERS = 4000
"""Kept from each end before a prompt is cut into tokens; the window rarely reaches further."""


class Tokens:
    """A WordPiece tokenizer, from the JSON that the `tokenizers` package writes.

    Raises ValueError when it is none.
    """

    def __init__(self, json: str) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_str(json)
        except Exception as e:  # the package raises nothing narrower
            raise ValueError(str(e)) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # a typed "[SEP]" is text
        self.signs = frozenset(
            self._tokenizer.token_to_id(sign) for sign in ("[CLS]", "[SEP]", "[UNK]")
        )
        """Ids that say nothing about a text."""

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of each prompt, at least [CLS] and [SEP], at most WINDOW."""
        made = self._tokenizer.encode_batch_fast([_ends(prompt) for prompt in prompts])
        return [_window(one.ids) for one in made]


def _ends(prompt: str) -> str:
    if len(prompt) > 2 * CHARACTERS:
        prompt = f"{prompt[:CHARACTERS]} {prompt[-CHARACTERS:]}"
    return prompt.encode(errors="replace").decode()  # no lone surrogates


def _window(ids: list[int]) -> list[int]:
    return ids if len(ids) <= WINDOW else ids[: HEAD + 1] + ids[-TAIL - 1 :]
