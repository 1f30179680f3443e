"""Outcome matrices: tasks x models with score and cost; the shipped one and the user's own."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acr.nouns import TIERS, Price, Reading, Tier
from acr.settings import EmbeddingSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["SHIPPED", "Matrix", "shipped"]

DATA = Path(__file__).parents[1] / "data" / "coderouterbench"
SHIPPED, VECTORS, READINGS = (DATA / f"{name}.npz" for name in ("matrix", "vectors", "readings"))
UNKNOWN = 2**32 - 1
"""Stands for a number of tokens that was not published."""
NOTHING = 255
"""Stands for a decision that was not published."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """What every model did on every task; rows are tasks, columns are models."""

    name: str
    sha256: str
    """Of the file that it was read from."""
    models: tuple[str, ...]
    tiers: tuple[Tier, ...]
    prices: tuple[Price | None, ...]
    tasks: tuple[str, ...]
    dimensions: tuple[str, ...]
    split: NDArray[np.str_]
    """train, val, test or ood, per task."""
    score: Floats
    """0..1; NaN where the model has no row for the task: it cannot be chosen there."""
    cost: Floats
    """USD of one call; NaN where unknown."""
    vectors: NDArray[np.float32]
    """Unit vectors of the prompts, tasks x dimensions; a zero row where there is no prompt."""
    overlap: NDArray[np.bool_]
    """Whether the task shares its item with one to learn from."""
    embedder: str = ""
    peers: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Published router -> column chosen per task; -1 where it published nothing."""
    about: Mapping[str, Any] = field(default_factory=dict)
    readings: NDArray[np.float64] | None = None
    """Expected scores that the shipped model reads in the prompts, tasks x (the benchmark's
    models, tiers); NaN where there is no prompt."""
    read: tuple[str, ...] = ()
    """The names of their columns."""

    def __len__(self) -> int:
        return len(self.tasks)

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Matrix:
        """The tasks that `keep` (a mask or row numbers) selects, in that order."""
        import numpy as np

        index = np.flatnonzero(keep) if keep.dtype == bool else keep
        return replace(
            self,
            tasks=tuple(self.tasks[i] for i in index),
            dimensions=tuple(self.dimensions[i] for i in index),
            split=self.split[index],
            score=self.score[index],
            cost=self.cost[index],
            vectors=self.vectors[index],
            overlap=self.overlap[index],
            readings=None if self.readings is None else self.readings[index],
            peers={name: chosen[index] for name, chosen in self.peers.items()},
        )

    def columns(self, names: Sequence[str]) -> Matrix:
        """The models `names` only; published decisions, which know all, are left out."""
        index = [self.models.index(name) for name in names]
        return replace(
            self,
            models=tuple(names),
            tiers=tuple(self.tiers[i] for i in index),
            prices=tuple(self.prices[i] for i in index),
            score=self.score[:, index],
            cost=self.cost[:, index],
            peers={},
        )

    def reading(self, row: int) -> Reading | None:
        """What the shipped model reads in the prompt of a task, but for its kind."""
        if self.readings is None or self.readings[row, 0] != self.readings[row, 0]:
            return None
        found = dict(zip(self.read, self.readings[row].tolist(), strict=True))
        tiers = {str(tier): found.pop(tier) for tier in TIERS}
        return Reading({}, 0.5, tiers, found, "the model")

    def splits(self, *names: str) -> Matrix:
        """The tasks of these splits."""
        import numpy as np

        return self.rows(np.isin(self.split, names))


@cache
def shipped() -> Matrix:
    """CodeRouterBench (arXiv 2606.22902, MIT) as released, with vectors of its prompts."""
    import numpy as np

    raw = SHIPPED.read_bytes()
    with (
        np.load(io.BytesIO(raw)) as data,
        np.load(VECTORS) as spaces,
        np.load(READINGS) as read,
    ):
        about = json.loads(data["about"].tobytes())
        vectors = spaces["vectors"].astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        rows = spaces["rows"].astype(np.int64)
        published = data["peers"].astype(np.int64)
        published[published == NOTHING] = -1
        peers = dict(zip(about["peers"], published, strict=True))
        prices = [Price(**about["prices"][model]) for model in about["models"]]
        return Matrix(
            name="CodeRouterBench",
            sha256=hashlib.sha256(raw).hexdigest(),
            models=tuple(about["models"]),
            tiers=tuple(about["tiers"][model] for model in about["models"]),
            prices=tuple(prices),
            tasks=tuple(data["tasks"].tobytes().decode().split("\n")),
            dimensions=tuple(about["dimensions"][i] for i in data["dimensions"]),
            split=np.array(about["splits"])[data["splits"]],
            score=data["score"].astype(np.float64),
            cost=_cost(data["input"], data["output"], prices),
            vectors=np.where((rows >= 0)[:, None], vectors[rows], np.float32(0)),
            overlap=data["overlap"],
            embedder=EmbeddingSettings().model,
            peers=peers,
            about=about,
            readings=np.where((rows >= 0)[:, None], read["readings"][rows] / 255, np.nan),
            read=tuple(read["columns"].tolist()),
        )


def _cost(sent: Any, received: Any, prices: Sequence[Price]) -> Floats:
    """USD per call: tokens x price; NaN where the tokens were not published."""
    import numpy as np

    per_million = np.array([[p.input, p.output] for p in prices]) / 1e6
    known = (sent != UNKNOWN) & (received != UNKNOWN)
    return np.where(known, sent * per_million[:, 0] + received * per_million[:, 1], np.nan)
