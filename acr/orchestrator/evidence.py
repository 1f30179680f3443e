"""What is known when a profile is chosen: own outcomes and similar tasks, ready for the voters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Protocol

from acr.nouns import Neighbour, Pair, Profile, Reading, Recent, Statistic, Task
from acr.orchestrator import benchmark, drift
from acr.orchestrator.benchmark import spelling
from acr.orchestrator.drift import Change
from acr.settings import OrchestratorSettings

__all__ = ["Evidence", "MemoryView", "Tally", "gather"]

LIKELY = 0.1
"""Share from which a dimension's evidence is mixed in, by the reader's shares."""
SURE = 0.5
"""The same for tasks whose shares were not kept: confidence from which the dimension stands alone;
below, the runner-up's evidence is mixed in, up to equal parts at confidence 0."""
HALF_LIFE = 90 * 86400.0
"""Seconds after which an outcome counts half, by the latest of its profile, dimension and
repository."""
SIBLING = 0.5
"""What an outcome of the same model in another profile (effort, agent) counts."""
TASK_LIMIT = 20.0
"""What the averages of a dimension, however many outcomes they rest on, can say about one task,
in pseudo-observations: tasks of a dimension differ."""
HERE = 0.5
"""What an own outcome in the task's dimension counts once more when it is in its repository."""
ELSEWHERE = 0.3
"""What an own outcome counts in its repository when it is in another dimension."""
ABILITY = 0.3
"""What an own outcome counts in other dimensions, as distance from what was expected there."""
ABILITY_LIMIT = 10.0
"""What they can amount to together, in pseudo-observations."""
OTHER_REPOSITORY = 0.7
"""What is left of an attempt on a similar task when it was in another repository."""
LEVEL = 3.0
"""Pseudo-observations of the benchmark in the level of a dimension."""
CHANGES = "changes"
"""In orchestrator.mute: changes of models are not looked for."""
RECENT = 200
"""Latest outcomes that are looked at for a change."""


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

    def totals(self) -> tuple[Statistic, ...]:
        """Sums of outcomes over all repositories."""
        ...

    def recent(self, limit: int) -> tuple[Recent, ...]:
        """The latest `limit` verified outcomes, newest first."""
        ...

    def together(self, dimension: str) -> tuple[Pair, ...]:
        """What pairs of profiles scored on the same tasks of a dimension."""
        ...

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
        """Attempts on the `k` most similar tasks, cosine at least `threshold`, most similar first.

        With `dimensions` they are of these, and a quarter as many others are added.
        """
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

    def add(self, row: Statistic | Tally, part: float) -> None:
        """Adds the row's counts and `part` of its weight."""
        self.weight += part * row.weight
        self.score += part * row.score
        self.n += row.n
        self.wins += row.wins
        self.losses += row.losses
        self.cost += row.cost
        self.cost_n += row.cost_n


Cells = Mapping[tuple[str, str], Tally]
"""(profile, dimension) -> own outcomes there."""


@dataclass(frozen=True)
class Evidence:
    """Everything the voters look at."""

    task: Task
    profiles: tuple[Profile, ...]
    dimensions: tuple[tuple[str, float], ...]
    """The task's possible dimensions and their weights, which sum to 1."""
    cells: Cells
    """Own outcomes in every dimension, in all repositories."""
    places: Cells
    """The same, in this repository only."""
    neighbours: tuple[Neighbour, ...]
    changes: Mapping[str, Change] = field(default_factory=dict)
    """Profiles whose model has become better or worse -> how."""
    reading: Reading | None = None
    """What the shipped model reads in the prompt."""

    @cached_property
    def dimension(self) -> dict[str, Tally]:
        """Profile name -> own outcomes in the task's dimensions."""
        return self._joined(self.cells)

    @cached_property
    def here(self) -> dict[str, Tally]:
        """The same, in this repository only."""
        return self._joined(self.places)

    @cached_property
    def elsewhere(self) -> dict[str, Tally]:
        """Own outcomes in this repository, in other dimensions."""
        kinds = {dimension for dimension, _ in self.dimensions}
        made = {p.name: Tally() for p in self.profiles}
        for (name, dimension), tally in self.places.items():
            if dimension not in kinds:
                made[name].add(tally, 1.0)
        return made

    @cached_property
    def ability(self) -> dict[str, tuple[float, float]]:
        """Profile name -> (mean distance of outcomes in other dimensions from what the benchmark
        expects there, their strength in pseudo-observations)."""
        kinds = {dimension for dimension, _ in self.dimensions}
        sums = {p.name: [0.0, 0.0] for p in self.profiles}
        for (name, dimension), tally in self.cells.items():
            if dimension not in kinds and tally.weight:
                sums[name][0] += tally.score - tally.weight * self.expected(name, dimension)
                sums[name][1] += tally.weight
        return {
            name: (distance / n, n * ABILITY / (1 + n * ABILITY / ABILITY_LIMIT))
            for name, (distance, n) in sums.items()
            if n
        }

    @cached_property
    def nearby(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(profile, dimension) -> (weight, weight x score) of attempts on similar tasks."""
        sums: dict[tuple[str, str], tuple[float, float]] = {}
        for near in self.neighbours:
            place = 1.0 if near.same_repository else OTHER_REPOSITORY
            age = 0.5 ** (near.age / HALF_LIFE)
            weight = near.strength * max(0.0, near.similarity) ** 2 * place * age
            if weight > 0:
                known, score = sums.get((near.profile, near.dimension), (0.0, 0.0))
                sums[near.profile, near.dimension] = known + weight, score + weight * near.score
        return sums

    @cached_property
    def strength(self) -> dict[str, float]:
        """Profile name -> pseudo-observations of its own outcomes that say something here."""
        return {
            p.name: self.dimension[p.name].weight
            + HERE * self.here[p.name].weight
            + ELSEWHERE * self.elsewhere[p.name].weight
            + self.ability.get(p.name, (0.0, 0.0))[1]
            for p in self.profiles
        }

    def fade(self, profile: str) -> float:
        """What one pseudo-observation of an average counts for this task: K / (K + n).

        Prior and own outcomes fade alike, so that together they never exceed TASK_LIMIT and
        keep their proportion, while similar tasks keep their say.
        """
        return TASK_LIMIT / (TASK_LIMIT + self.strength[profile])

    @cached_property
    def expected(self) -> Callable[[str, str], float]:
        """(profile, dimension) -> what the benchmark expects of it there, 0..1."""
        shipped, named = benchmark.load(), {p.name: p for p in self.profiles}

        @cache
        def score(profile: str, dimension: str) -> float:
            return shipped.expect(named[profile].model, named[profile].tier, dimension).score

        return score

    @cached_property
    def level(self) -> Callable[[str, str], float]:
        """(profile, dimension) -> what a task is expected to score there, 0..1: the benchmark and
        own outcomes pooled; the point from which single outcomes are measured."""

        @cache
        def pooled(profile: str, dimension: str) -> float:
            tally = self.cells.get((profile, dimension), Tally())
            sums = LEVEL * self.expected(profile, dimension) + tally.score
            return min(1.0, sums / (LEVEL + tally.weight))

        return pooled

    def mean(self, of: Callable[[str, str], float], profile: str) -> float:
        """`expected` or `level` of a profile over the task's dimensions, by their weights."""
        return sum(share * of(profile, dimension) for dimension, share in self.dimensions)

    def _joined(self, cells: Cells) -> dict[str, Tally]:
        made = {p.name: Tally() for p in self.profiles}
        for name, total in made.items():
            for dimension, share in self.dimensions:
                if tally := cells.get((name, dimension)):
                    total.add(tally, share)
        return made


def gather(
    task: Task,
    profiles: Sequence[Profile],
    memory: MemoryView,
    settings: OrchestratorSettings,
    reading: Reading | None = None,
) -> Evidence:
    """Reads memory once; "now" is when the task was made, so that a decision can be repeated."""
    totals = memory.totals()
    around = memory.statistics(repository=task.repository)
    models = {p.name: spelling(p.model) for p in profiles}
    watched = totals and CHANGES not in settings.mute
    changes = drift.changes(totals, memory.recent(RECENT), models) if watched else {}
    return Evidence(
        task=task,
        profiles=tuple(profiles),
        dimensions=_mixture(task),
        cells=_cells(profiles, totals, task.created, changes),
        places=_cells(profiles, around, task.created, changes),
        neighbours=_neighbours(task, memory, settings),
        changes={p.name: c for p in profiles if (c := changes.get(models[p.name]))},
        reading=reading,
    )


def _mixture(task: Task) -> tuple[tuple[str, float], ...]:
    likely = {name: share for name, share in task.shares.items() if share >= LIKELY}
    if likely.get(task.dimension):
        whole = sum(likely.values())
        order = sorted(likely, key=lambda name: (name != task.dimension, -likely[name], name))
        return tuple((name, likely[name] / whole) for name in order)
    if task.confidence >= SURE or task.runner_up in (None, task.dimension):
        return ((task.dimension, 1.0),)
    first = 0.5 + 0.5 * task.confidence / SURE
    return ((task.dimension, first), (str(task.runner_up), 1 - first))


def _cells(
    profiles: Sequence[Profile],
    rows: Iterable[Statistic],
    now: float,
    changes: Mapping[str, Change],
) -> dict[tuple[str, str], Tally]:
    """Own outcomes per profile and dimension, and half of those of its model's other profiles."""
    model = {p.name: spelling(p.model) for p in profiles}
    kin: dict[str, dict[str, list[float]]] = {name: {} for name in model.values()}
    own: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for row in rows:
        name = model.get(row.profile) or spelling(row.model)
        if name in kin:
            part = 0.5 ** (max(0.0, now - row.last) / HALF_LIFE)
            whole = kin[name].setdefault(row.dimension, [0.0, 0.0])
            whole[0] += part * row.weight
            whole[1] += part * row.score
            if row.profile in model:
                own[row.profile, row.dimension].add(row, part)
    made: dict[tuple[str, str], Tally] = {}
    for profile, name in model.items():
        change = changes.get(name)
        for dimension, (weight, score) in kin[name].items():
            tally = own.get((profile, dimension)) or Tally()
            tally.weight += SIBLING * (weight - tally.weight)
            tally.score += SIBLING * (score - tally.score)
            if change and (left := change.cells.get(dimension)):
                tally.weight *= left[0]
                tally.score = tally.weight * left[1]
            made[profile, dimension] = tally
    return made


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
        dimensions=[dimension for dimension, _ in _mixture(task)],
    )
