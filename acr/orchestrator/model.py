"""The shipped model: prompts to shares per dimension, difficulty and expected scores."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from acr import settings
from acr.errors import AcrError
from acr.nouns import DIMENSIONS, TIERS, Reading
from acr.orchestrator import llama
from acr.orchestrator.tokens import WINDOW, Tokens

__all__ = ["PATH", "Model", "load"]

PATH = Path(__file__).parents[1] / "data" / "orchestrator.gguf"
KEPT = 1024
"""Readings that are remembered, since one prompt is asked about more than once."""
REINSTALL = "reinstall acr (until then the nearest descriptions classify)"
HEADS = ("dimension", "difficulty", "tier", "model")


class _Backend(Protocol):
    def logits(self, ids: Sequence[int]) -> list[float]:
        """One number per output of the model."""


@cache
def load() -> Model:
    """The shipped model, opened once. Raises AcrError when its file is not as it should be."""
    card = PATH.with_suffix(".json")
    try:
        expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError):
        raise AcrError(f"{card} is missing or damaged; {REINSTALL}") from None
    return Model(PATH, sha256=expected)


class Model:
    """An orchestrator GGUF, run by llama.cpp or by its numpy twin: by the faster one here.

    For short prompts that is llama.cpp, for long ones a numpy with a BLAS (python -m
    tests.bench_orchestrator). llama.cpp reads 256 tokens in time only where it was built for
    AVX-512 or is no x86 build, so it is the first choice there; elsewhere numpy is.
    """

    def __init__(
        self,
        path: Path,
        *,
        sha256: str | None = None,
        backend: Literal["llama", "numpy"] | None = None,
    ) -> None:
        """Raises AcrError when `path` is no such file, or not the one that `sha256` names."""
        from acr.orchestrator.gguf import Gguf

        self.path, self.id = path, sha256 or path.name
        try:
            if sha256:
                _check(path, sha256)
            self._file = Gguf(path)
            self._labels = _labels(self._file)
            self._tokens = Tokens(str(self._file.values["tokenizer.huggingface.json"]))
        except OSError as e:
            raise AcrError(f"{path}: {e.strerror or e}; {REINSTALL}") from None
        except (ValueError, KeyError, TypeError) as e:
            raise AcrError(f"{path} is no model of acr's orchestrator ({e}); {REINSTALL}") from None
        self._backend = self._open(backend)
        self._read = lru_cache(KEPT)(self._reading)

    backend: str
    """llama or numpy."""
    why: str
    """llama.cpp's version, or why it is numpy."""

    def scores(self, prompts: Sequence[str]) -> list[Reading]:
        """What the model reads in each prompt, in order; every text has an answer."""
        return [self._read(tuple(ids)) for ids in self._tokens.encode(prompts)]

    def _open(self, wanted: str | None) -> _Backend:
        usable, why = (False, "as asked") if wanted == "numpy" else llama.available()
        if usable and wanted is None and not llama.wide() and _has_blas():
            usable, why = False, f"faster here than {why}, which was built without AVX-512"
        if usable:
            try:
                opened = llama.Encoder(self.path, WINDOW)
            except (AcrError, OSError, AttributeError) as e:
                why = str(e)
            else:
                self.backend, self.why = "llama", why
                return opened
        return self._twin(why)

    def _twin(self, why: str) -> _Backend:
        from acr.orchestrator.bert import Twin

        self.backend, self.why = "numpy", why
        try:
            return Twin(self._file)
        except (ValueError, KeyError, TypeError) as e:
            raise AcrError(f"{self.path} is not complete ({e}); {REINSTALL}") from None

    def _reading(self, ids: tuple[int, ...]) -> Reading:
        if not set(ids) - self._tokens.signs:
            even = 1 / len(DIMENSIONS)
            return Reading(dict.fromkeys(DIMENSIONS, even), 0.5, {}, {}, "nothing to read")
        try:
            logits = self._backend.logits(ids)
        except AcrError as e:
            self._backend = self._twin(str(e))
            logits = self._backend.logits(ids)
        found: dict[str, dict[str, float]] = {head: {} for head in HEADS}
        for (head, name), value in zip(self._labels, logits, strict=True):
            found[head][name] = value
        return Reading(
            dimensions=_softmax(found["dimension"]),
            difficulty=_sigmoid(found["difficulty"][""]),
            tiers={name: _sigmoid(found["tier"][name]) for name in TIERS},
            models={name: _sigmoid(value) for name, value in found["model"].items()},
            reason=f"the model ({self.backend})",
        )


def _has_blas() -> bool:
    """Whether numpy multiplies matrices by a library that is made for that."""
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    return bool(found["Build Dependencies"]["blas"].get("found"))


def _labels(file: Any) -> list[tuple[str, str]]:
    """What each output means, as (head, name). Raises ValueError."""
    if file.values.get("general.architecture") != "bert":
        raise ValueError("its architecture is not bert")
    texts = file.values.get("bert.classifier.output_labels", [])
    found = [(head, name) for head, _, name in (str(text).partition(":") for text in texts)]
    wanted = {*(("dimension", d) for d in DIMENSIONS), *(("tier", t) for t in TIERS)}
    if not wanted | {("difficulty", "")} <= set(found) or {h for h, _ in found} - set(HEADS):
        raise ValueError("its outputs are not those of a router")
    if file.shape("cls.output.weight")[0] != len(found):
        raise ValueError("its outputs have no names")
    return found


def _check(path: Path, sha256: str) -> None:
    """Raises ValueError when the file is another; what was checked is remembered by its stamp."""
    about = path.stat()
    stamp = hashlib.sha256(f"{path}{about.st_size}{about.st_mtime_ns}{sha256}".encode())
    kept = settings.folder("cache") / f"orchestrator-{stamp.hexdigest()[:12]}"
    if kept.exists():
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"its sha256 is {found[:12]}…, not {sha256[:12]}…")
    try:
        kept.touch()
    except OSError:  # it is checked again the next time
        return


def _softmax(logits: dict[str, float]) -> dict[str, float]:
    top = max(logits.values())
    powers = {name: math.exp(value - top) for name, value in logits.items()}
    whole = sum(powers.values())
    return {name: power / whole for name, power in powers.items()}


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
