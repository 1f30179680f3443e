"""What is known when a profile is chosen: own outcomes and similar tasks, ready for the voters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from acr.nouns import Neighbour, Profile, Statistic, Task
from acr.orchestrator.benchmark import spelling
from acr.settings import OrchestratorSettings

__all__ = ["Evidence", "MemoryView", "Tally", "gather"]

SURE = 0.5
"""Confidence from which a task's dimension stands alone; below, the runner-up's evidence is
mixed in, up to equal parts at confidence 0."""
RECENT = 30 * 86400.0
"""Seconds; outcomes of a profile, dimension and repository that saw no attempt since are stale."""
STALE = 0.5
"""What a stale outcome counts."""
SIBLING = 0.5
"""What an outcome of the same model in another profile (effort, agent) counts."""
TASK_LIMIT = 20.0
"""What the averages of a dimension, however many outcomes they rest on, can say about one task,
in pseudo-observations: tasks of a dimension differ."""
DIMENSION_SHARE, HERE_SHARE, ELSEWHERE_SHARE = 0.6, 0.4, 0.3
"""What an own outcome counts: in the dimension; the same again when it is also in this
repository (together 1); in this repository but another dimension."""


class MemoryView(Protocol):
    """What a decision reads of memory."""

    def statistics(
        self,
        dimension: str | None = None,
        repository: str | None = None,
        since: float | None = None,
    ) -> tuple[Statistic, ...]:
        """Sums of outcomes; filters narrow them, `since` to attempts that started after it."""
        ...

    def neighbours(
        self,
        vector: tuple[float, ...],
        embedder: str,
        k: int,
        threshold: float,
        exclude: str = "",
        repository: str = "",
    ) -> tuple[Neighbour, ...]:
        """Attempts on the `k` most similar tasks, cosine at least `threshold`."""
        ...

    def snapshot(self) -> str:
        """Names the state of memory."""
        ...


@dataclass(slots=True)
class Tally:
    """Own outcomes of one profile, added up."""

    n: int = 0
    """Attempts, unverified ones included."""
    wins: int = 0
    losses: int = 0
    weight: float = 0.0
    """Verdict strengths, discounted by age; siblings included."""
    score: float = 0.0
    """Sum of weight x score."""
    cost: float = 0.0
    """USD over `cost_n` attempts."""
    cost_n: int = 0

    def add(self, row: Statistic, part: float) -> None:
        """Adds the row's counts and `part` of its weight."""
        self.weight += part * row.weight
        self.score += part * row.score
        self.n += row.n
        self.wins += row.wins
        self.losses += row.losses
        self.cost += row.cost
        self.cost_n += row.cost_n


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the voters look at."""

    task: Task
    profiles: tuple[Profile, ...]
    dimensions: tuple[tuple[str, float], ...]
    """The task's possible dimensions and their weights, which sum to 1."""
    dimension: Mapping[str, Tally]
    """Profile name -> own outcomes in those dimensions."""
    here: Mapping[str, Tally]
    """The same, in this repository only."""
    elsewhere: Mapping[str, Tally]
    """Own outcomes in this repository, in other dimensions."""
    neighbours: tuple[Neighbour, ...]

    def fade(self, profile: str) -> float:
        """What one pseudo-observation of an average counts for this task: K / (K + n).

        Prior and own outcomes fade alike, so that together they never exceed TASK_LIMIT and
        keep their proportion, while similar tasks keep their say.
        """
        n = (
            DIMENSION_SHARE * self.dimension[profile].weight
            + HERE_SHARE * self.here[profile].weight
            + ELSEWHERE_SHARE * self.elsewhere[profile].weight
        )
        return TASK_LIMIT / (TASK_LIMIT + n)


def gather(
    task: Task, profiles: Sequence[Profile], memory: MemoryView, settings: OrchestratorSettings
) -> Evidence:
    """Reads memory once; "now" is when the task was made, so that a decision can be repeated."""
    mixture = _mixture(task)
    share = dict(mixture)
    dimension = [s for name in share for s in memory.statistics(dimension=name)]
    around = memory.statistics(repository=task.repository)
    here = [s for s in around if s.dimension in share]
    elsewhere = [s for s in around if s.dimension not in share]
    since = task.created - RECENT
    return Evidence(
        task=task,
        profiles=tuple(profiles),
        dimensions=mixture,
        dimension=_tally(profiles, dimension, share, since),
        here=_tally(profiles, here, share, since),
        elsewhere=_tally(profiles, elsewhere, {}, since),
        neighbours=_neighbours(task, memory, settings),
    )


def _mixture(task: Task) -> tuple[tuple[str, float], ...]:
    if task.confidence >= SURE or task.runner_up in (None, task.dimension):
        return ((task.dimension, 1.0),)
    first = 0.5 + 0.5 * task.confidence / SURE
    return ((task.dimension, first), (str(task.runner_up), 1 - first))


def _tally(
    profiles: Sequence[Profile],
    rows: Iterable[Statistic],
    share: Mapping[str, float],
    since: float,
) -> dict[str, Tally]:
    """Own outcomes per profile; a dimension without a share counts in full."""
    own = {p.name: Tally() for p in profiles}
    model = {p.name: spelling(p.model) for p in profiles}
    by_model = {name: Tally() for name in model.values()}
    for row in rows:
        part = share.get(row.dimension, 1.0) * (1.0 if row.last >= since else STALE)
        kin = by_model.get(model.get(row.profile) or spelling(row.model))
        for tally in (own.get(row.profile), kin):
            if tally is not None:
                tally.add(row, part)
    for name, tally in own.items():
        kin = by_model[model[name]]
        tally.weight += SIBLING * (kin.weight - tally.weight)
        tally.score += SIBLING * (kin.score - tally.score)
    return own


def _neighbours(
    task: Task, memory: MemoryView, settings: OrchestratorSettings
) -> tuple[Neighbour, ...]:
    if task.embedding is None or task.embedder is None:
        return ()
    return memory.neighbours(
        task.embedding,
        task.embedder,
        settings.neighbours,
        settings.threshold,
        exclude=task.id,
        repository=task.repository,
    )
