"""A memory in RAM for replays: what a decision reads of memory.db, answered by numpy."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from acr.bench.replay import PASS
from acr.nouns import Decision, Neighbour, Pair, Recent, Statistic
from acr.orchestrator.evidence import Tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ReplayMemory"]

KEPT = 1000
"""Latest outcomes that can be asked for."""


class ReplayMemory:
    """Implements the orchestrator's MemoryView; every outcome is verified and of today.

    Scores are what the verifier reported. `size` is the length of a vector; at most `most` tasks
    with a vector are compared, the newest.
    """

    def __init__(self, size: int, most: int = 20_000) -> None:
        import numpy as np

        self._sums: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self._pairs: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(dict)
        self._latest: deque[Recent] = deque(maxlen=KEPT)
        self._vectors: NDArray[np.float32] = np.zeros((64, size), np.float32)
        self._tasks: list[tuple[str, str, list[tuple[str, float, float | None]]]] = []
        self._kinds: NDArray[np.int32] = np.zeros(64, np.int32)
        self._numbers: dict[str, int] = {}
        self._most, self._written, self._changes = most, 0, 0

    def add(
        self,
        task: str,
        dimension: str,
        vector: NDArray[np.float32] | None,
        outcomes: Sequence[tuple[str, float, float | None]],
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Outcomes of one task: (profile, score as reported, USD or None), and the `decisions`
        that led to them, where there were any."""
        self._changes += len(outcomes)
        made: Sequence[Decision | None] = decisions or [None] * len(outcomes)
        for (profile, score, cost), decision in zip(outcomes, made, strict=True):
            more, usual = (decision.handicap, decision.usual) if decision else (0.0, None)
            cell = self._sums[profile, dimension]
            cell.n += 1
            cell.wins += score >= PASS
            cell.score += score + more
            if cost is not None:
                cell.cost += cost
                cell.cost_n += 1
            self._latest.append(Recent(profile, profile, dimension, score + more, 1.0, usual))
        self._pair(dimension, outcomes)
        if vector is not None and vector.any():
            self._remember(task, dimension, vector, list(outcomes))

    def _pair(self, dimension: str, outcomes: Sequence[tuple[str, float, float | None]]) -> None:
        pairs = self._pairs[dimension]
        for (one, a, _), (other, b, _) in itertools.product(outcomes, repeat=2):
            sums = pairs.setdefault((one, other), [0, 0.0, 0.0, 0.0])
            sums[0] += 1
            sums[1] += a
            sums[2] += b
            sums[3] += a * b

    def _remember(
        self,
        task: str,
        dimension: str,
        vector: NDArray[np.float32],
        outcomes: list[tuple[str, float, float | None]],
    ) -> None:
        import numpy as np

        place = self._written % self._most
        if place == len(self._vectors) and place < self._most:
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
            self._kinds = np.concatenate([self._kinds, np.zeros_like(self._kinds)])
        self._vectors[place] = vector
        self._kinds[place] = self._kind(dimension)
        if place == len(self._tasks):
            self._tasks.append((task, dimension, outcomes))
        else:
            self._tasks[place] = (task, dimension, outcomes)
        self._written += 1

    def totals(self) -> tuple[Statistic, ...]:
        """Sums by profile and dimension."""
        return tuple(self._statistic(key, cell) for key, cell in self._sums.items())

    def statistics(
        self,
        dimension: str | None = None,
        repository: str | None = None,
        since: float | None = None,
    ) -> tuple[Statistic, ...]:
        """The same of one dimension; a replay knows no repositories."""
        if repository is not None or since is not None:
            return ()
        return tuple(
            self._statistic(key, cell)
            for key, cell in self._sums.items()
            if dimension in (None, key[1])
        )

    def recent(self, limit: int) -> tuple[Recent, ...]:
        """The latest outcomes, newest first."""
        return tuple(itertools.islice(reversed(self._latest), limit))

    def together(self, dimension: str) -> tuple[Pair, ...]:
        """What pairs of profiles scored on the same tasks of a dimension."""
        pairs = self._pairs.get(dimension, {})
        return tuple(
            Pair(one, other, int(n), a, b, ab) for (one, other), (n, a, b, ab) in pairs.items()
        )

    def neighbours(
        self,
        vector: tuple[float, ...],
        embedder: str,
        k: int,
        threshold: float,
        exclude: str = "",
        repository: str = "",
        dimensions: Sequence[str] = (),
    ) -> tuple[Neighbour, ...]:
        """Attempts on the `k` most similar tasks, cosine at least `threshold`; with `dimensions`
        of these, and on a quarter as many others."""
        import numpy as np

        if not self._tasks or k < 1:
            return ()
        cosine = self._vectors[: len(self._tasks)] @ np.asarray(vector, np.float32)
        close = cosine >= threshold
        if dimensions:
            inside = np.isin(self._kinds[: len(cosine)], [self._kind(d) for d in dimensions])
            near = [
                *_nearest(cosine, close & inside, k),
                *_nearest(cosine, close & ~inside, k // 4),
            ]
            near.sort(key=lambda place: (-cosine[place], place))
        else:
            near = _nearest(cosine, close, k)
        return tuple(self._near(near, cosine))

    def _near(self, places: Iterable[int], cosine: NDArray[np.float32]) -> Iterable[Neighbour]:
        for place in places:
            task, dimension, outcomes = self._tasks[place]
            for profile, score, cost in outcomes:
                yield Neighbour(
                    task=task,
                    prompt="",
                    dimension=dimension,
                    profile=profile,
                    status="pass" if score >= PASS else "fail",
                    score=score,
                    cost=cost,
                    similarity=float(cosine[place]),
                )

    def _kind(self, dimension: str) -> int:
        return self._numbers.setdefault(dimension, len(self._numbers))

    def snapshot(self) -> str:
        """How many outcomes it has."""
        return str(self._changes)

    def _statistic(self, key: tuple[str, str], cell: Tally) -> Statistic:
        return Statistic(
            profile=key[0],
            agent="replay",
            model=key[0],
            dimension=key[1],
            repository="",
            n=cell.n,
            wins=cell.wins,
            losses=cell.n - cell.wins,
            weight=float(cell.n),
            score=cell.score,
            cost=cell.cost,
            cost_n=cell.cost_n,
            tokens=0,
            duration=0.0,
            last=NOW,
        )


NOW = 0.0
"""When everything in a replay happens."""


def _nearest(cosine: NDArray[np.float32], among: NDArray[np.bool_], k: int) -> list[int]:
    """The `k` places of the highest cosine `among` those, highest first."""
    import numpy as np

    places = np.flatnonzero(among)
    if len(places) > k:
        places = places[np.argpartition(-cosine[places], k)[:k]] if k else places[:0]
    found: list[int] = places[np.argsort(-cosine[places], kind="stable")].tolist()
    return found
