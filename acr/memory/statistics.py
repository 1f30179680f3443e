"""What attempts add up to, by profile, model, dimension and repository, kept as they come in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from acr.memory.rates import wilson
from acr.nouns import Outcome, Pair, Recent, Statistic, VerdictStatus

__all__ = [
    "KEY",
    "Figures",
    "add",
    "figures",
    "read",
    "rebuild",
    "recent",
    "refresh",
    "together",
    "totals",
    "wilson",
    "wrong",
]

KEY = ("profile", "agent", "model", "dimension", "repository")
KEPT = {"statistics": KEY, "totals": KEY[:-1]}
"""Table -> what it adds up by; `totals` over all repositories."""
SUMS = ("n", "wins", "losses", "weight", "score", "cost", "cost_n", "tokens", "duration")
FIGURES = (
    "count(*) n, sum(status = 'pass') wins, sum(status = 'fail') losses,"
    " total(weight) weight, total(weight * (score + handicap)) score, total(cost) cost,"
    " count(cost) cost_n,"
    " sum(tokens) tokens, total(duration) duration, max(started) last"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one attempt counts for, in numbers; kept when the attempt itself is pruned."""

    attempt: str
    task: str
    profile: str
    agent: str
    model: str
    dimension: str
    repository: str
    started: float
    """Seconds since the epoch."""
    duration: float
    """Seconds."""
    cost: float | None
    """USD; None when unknown."""
    tokens: int
    status: VerdictStatus
    """A person's verdict, where there is one, else the verifier's."""
    score: float
    weight: float
    """The verdict's strength; 1 for a person's, 0 when unverified."""
    handicap: float = 0.0
    """Added to the score of a try that followed failed ones; see Decision."""
    language: str | None = None
    explored: bool | None = None
    """Whether it was chosen to learn of it; None when no decision is known."""
    judging: float | None = 0.0
    """USD that verifying it cost; None when unknown."""
    plan: bool = False
    """A subscription pays for it: its cost is what the list price would be."""
    expected: float | None = None
    """What the decision expected before any try; None without one."""


def figures(outcome: Outcome) -> Figures:
    """What `outcome` counts for."""
    attempt, verdict, human = outcome.attempt, outcome.verdict, outcome.human
    status = human or verdict.status
    strength = 1.0 if human else verdict.strength
    return Figures(
        attempt=attempt.id,
        task=outcome.task.id,
        profile=attempt.profile,
        agent=attempt.agent,
        model=attempt.model or "",
        dimension=outcome.task.dimension,
        repository=outcome.task.repository,
        started=attempt.started,
        duration=attempt.duration,
        cost=attempt.cost,
        tokens=attempt.usage.total if attempt.usage else 0,
        status=status,
        score={"pass": 1.0, "fail": 0.0}.get(human or "", verdict.score),
        weight=0.0 if status == "unverified" else strength,
        handicap=outcome.decision.handicap if outcome.decision else 0.0,
        language=outcome.task.language,
        explored=outcome.decision.explored if outcome.decision else None,
        judging=verdict.cost,
        plan=attempt.plan,
        expected=outcome.decision.usual if outcome.decision else None,
    )


def read(
    db: Any, dimension: str | None, repository: str | None, since: float | None
) -> tuple[Statistic, ...]:
    """Sums of all time from the table that keeps them, or of attempts started from `since` on."""
    given = {"dimension": dimension, "repository": repository}
    where = [f"{name} = :{name}" for name, value in given.items() if value is not None]
    if since is None:
        sql = "SELECT * FROM statistics WHERE " + " AND ".join([*where, "true"])
    else:
        sql = _added_up("statistics", " AND ".join([*where, "started >= :since"]))
    return tuple(Statistic(*row) for row in db.execute(sql, {**given, "since": since}))


def totals(db: Any) -> tuple[Statistic, ...]:
    """Sums of all time over all repositories."""
    names = ", ".join([*KEPT["totals"], "''", *SUMS, "last"])
    return tuple(Statistic(*row) for row in db.execute(f"SELECT {names} FROM totals"))


def recent(db: Any, limit: int) -> tuple[Recent, ...]:
    """The latest verified outcomes, newest first."""
    rows = db.execute(
        "SELECT profile, model, dimension, score + handicap, weight, expected FROM figures"
        " WHERE weight > 0 ORDER BY seq DESC LIMIT ?",
        (limit,),
    )
    return tuple(Recent(*row) for row in rows)


def together(db: Any, dimension: str) -> tuple[Pair, ...]:
    """Sums over the tasks of a dimension that two profiles tried, each with itself included."""
    rows = db.execute(
        "SELECT a.profile, b.profile, count(*), total(a.score), total(b.score),"
        " total(a.score * b.score) FROM figures a JOIN figures b ON b.task = a.task"
        " WHERE a.dimension = ? AND a.weight > 0 AND b.weight > 0 GROUP BY 1, 2",
        (dimension,),
    )
    return tuple(Pair(*row) for row in rows)


def add(db: Any, attempt: str) -> None:
    """Adds the figures of a new attempt."""
    updates = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
    for table in KEPT:
        db.execute(
            f"INSERT INTO {table} {_added_up(table, 'attempt = ?')}"
            f" ON CONFLICT DO UPDATE SET {updates}, last = max(last, excluded.last)",
            (attempt,),
        )


def refresh(db: Any, keys: Iterable[tuple[str, ...]]) -> None:
    """Adds up again what changed or was taken away under these keys of `statistics`."""
    for full in keys:
        for table, names in KEPT.items():
            where, key = " AND ".join(f"{name} = ?" for name in names), full[: len(names)]
            db.execute(f"DELETE FROM {table} WHERE {where}", key)
            db.execute(f"INSERT INTO {table} {_added_up(table, where)}", key)


def rebuild(db: Any) -> None:
    """Adds up everything again."""
    for table in KEPT:
        db.execute(f"DELETE FROM {table}")
        db.execute(f"INSERT INTO {table} {_added_up(table, 'true')}")


def wrong(db: Any) -> list[str]:
    """Sums that differ from their figures, one sentence each."""
    sentences = []
    for table, names in KEPT.items():
        kept, expected = (
            {tuple(row[name] for name in names): row for row in db.execute(sql)}
            for sql in (f"SELECT * FROM {table}", _added_up(table, "true"))
        )
        sentences += [
            f"{table} of {'/'.join(key)} differ from the attempts; acr memory check --repair"
            for key in sorted(kept.keys() | expected.keys())
            if not _same(kept.get(key), expected.get(key))
        ]
    return sentences


def _added_up(table: str, where: str) -> str:
    """The rows of `table` as the figures `where` make them."""
    keys = ", ".join(KEPT[table])
    return f"SELECT {keys}, {FIGURES} FROM figures WHERE {where} GROUP BY {keys}"


def _same(a: Any, b: Any) -> bool:
    return (
        a is not None
        and b is not None
        and all(math.isclose(a[name], b[name], abs_tol=1e-6) for name in (*SUMS, "last"))
    )
