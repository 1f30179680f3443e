"""Every text becomes at most a window of ids: the start and the end of what is long."""

from __future__ import annotations

from pathlib import Path

import pytest

from acr.orchestrator.tokens import HEAD, TAIL, WINDOW, Tokens

JSON = Path(__file__).parents[2] / "acr" / "data" / "minilm" / "tokenizer.json"
CLS, SEP = 101, 102


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(JSON.read_text(encoding="utf-8"))


def test_a_long_prompt_keeps_its_start_and_its_end(tokens: Tokens) -> None:
    (start,) = tokens.encode(["fix " * HEAD])
    (end,) = tokens.encode(["test " * TAIL])
    (found,) = tokens.encode(["fix " * HEAD + "code " * 500 + "test " * TAIL])
    assert len(found) == WINDOW
    assert found[: HEAD + 1] == start[:-1]
    assert found[-TAIL - 1 :] == end[1:]


@pytest.mark.parametrize("odd", ["", " \n", "\0\x1b\x7f", "\ud800", "x" * 1_000_000, "[SEP]" * 300])
def test_odd_text_is_framed_and_bounded(tokens: Tokens, odd: str) -> None:
    (found,) = tokens.encode([odd])
    assert (found[0], found[-1]) == (CLS, SEP)
    assert len(found) <= WINDOW
    assert SEP not in found[1:-1]


def test_many_are_encoded_in_order(tokens: Tokens) -> None:
    texts = [f"prompt number {i}" for i in range(50)]
    assert tokens.encode(texts) == [tokens.encode([text])[0] for text in texts]


def test_what_is_no_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        Tokens("{}")
