"""A memory in a list: the read methods that a decision needs, and nothing else."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import mul

from acr.nouns import Neighbour, Pair, Profile, Recent, Statistic, Task, VerdictStatus

NOW = 1_800_000_000.0
DAY = 86400.0


@dataclass
class Row:
    """One attempt."""

    profile: str
    score: float
    dimension: str = "bug_fixing"
    repository: str = "here"
    model: str = ""
    task: str = ""
    vector: tuple[float, ...] = ()
    age: float = DAY
    weight: float = 1.0
    cost: float | None = None

    @property
    def status(self) -> VerdictStatus:
        if self.weight == 0:
            return "unverified"
        return "pass" if self.score >= 0.5 else "fail"


@dataclass
class FakeMemory:
    """Implements MemoryView over a list of rows."""

    rows: list[Row] = field(default_factory=list)

    def statistics(
        self,
        dimension: str | None = None,
        repository: str | None = None,
        since: float | None = None,
    ) -> tuple[Statistic, ...]:
        groups: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
        for row in self.rows:
            if (
                dimension in (None, row.dimension)
                and repository in (None, row.repository)
                and (since is None or NOW - row.age >= since)
            ):
                groups[row.profile, row.model, row.dimension, row.repository].append(row)
        return tuple(_statistic(key, rows) for key, rows in groups.items())

    def totals(self) -> tuple[Statistic, ...]:
        return self.statistics()

    def recent(self, limit: int) -> tuple[Recent, ...]:
        verified = [r for r in reversed(self.rows) if r.weight > 0][:limit]
        return tuple(Recent(r.profile, r.model, r.dimension, r.score, r.weight) for r in verified)

    def together(self, dimension: str) -> tuple[Pair, ...]:
        by_task: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.task and row.weight > 0 and row.dimension == dimension:
                by_task[row.task].append(row)
        both: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for rows in by_task.values():
            for a, b in itertools.product(rows, repeat=2):
                both[a.profile, b.profile].append((a.score, b.score))
        return tuple(
            Pair(one, other, len(s), sum(a for a, _ in s), sum(b for _, b in s),
                 sum(a * b for a, b in s))
            for (one, other), s in both.items()
        )  # fmt: skip

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
        near = [(sum(map(mul, vector, r.vector)), r) for r in self.rows if len(r.vector) > 0]
        near = sorted(((s, r) for s, r in near if s >= threshold), key=lambda pair: -pair[0])
        tasks = list(dict.fromkeys(r.task for _, r in near if r.task != exclude))[:k]
        return tuple(
            Neighbour(
                task=r.task,
                prompt="a similar ask",
                dimension=r.dimension,
                profile=r.profile,
                status=r.status,
                score=r.score,
                cost=r.cost,
                similarity=s,
                strength=r.weight,
                same_repository=r.repository == repository,
                age=r.age,
            )
            for s, r in near
            if r.task in tasks
        )

    def snapshot(self) -> str:
        return f"fake-{len(self.rows)}"


def _statistic(key: tuple[str, str, str, str], rows: list[Row]) -> Statistic:
    profile, model, dimension, repository = key
    costs = [r.cost for r in rows if r.cost is not None]
    return Statistic(
        profile=profile,
        agent="codex",
        model=model,
        dimension=dimension,
        repository=repository,
        n=len(rows),
        wins=[r.status for r in rows].count("pass"),
        losses=[r.status for r in rows].count("fail"),
        weight=sum(r.weight for r in rows),
        score=sum(r.weight * r.score for r in rows),
        cost=sum(costs),
        cost_n=len(costs),
        tokens=0,
        duration=0.0,
        last=NOW - min(r.age for r in rows),
    )


def profile(name: str, model: str = "", agent: str = "codex", **changes: object) -> Profile:
    """A profile called `name`; its model is unknown to every table unless given."""
    plain = Profile(name=name, agent=agent, model=model or f"model-of-{name}", tier="mid")
    return replace(plain, **changes)  # type: ignore[arg-type]  # any field of Profile


def task(**changes: object) -> Task:
    """A bug to fix in the repository `here`, of a sure dimension, without an embedding."""
    plain = Task(
        id="t0",
        created=NOW,
        prompt="fix the failing test",
        dimension="bug_fixing",
        confidence=0.9,
        runner_up="algorithm",
        language="python",
        difficulty=0.5,
        repository="here",
        root="/repo",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # any field of Task
