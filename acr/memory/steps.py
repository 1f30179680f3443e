"""Single model calls of attempts that ran through the gateway, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from acr.memory import rows
from acr.nouns import RoutedRun, Step, Tier

__all__ = ["StepSum", "add", "everything", "of_task", "routed", "sums"]


@dataclass(frozen=True, slots=True)
class StepSum:
    """Steps of one kind that models of one tier answered."""

    kind: str
    tier: Tier | None
    model: str
    steps: int
    tokens: int
    cost: float
    """USD of the steps whose cost is known."""
    cost_n: int
    """Steps whose cost is known."""
    seconds: float
    """Summed."""


def add(db: Any, steps: Iterable[Step]) -> int:
    """Stores steps of attempts that are there; how many were new."""
    before = db.total_changes
    for step in steps:
        row = rows.to_row(step) | {"tokens": step.usage.total if step.usage else None}
        db.execute(
            f"INSERT INTO steps ({', '.join(row)}) SELECT {', '.join('?' * len(row))}"
            " WHERE EXISTS (SELECT 1 FROM attempts WHERE id = ?) ON CONFLICT DO NOTHING",
            (*row.values(), step.attempt),
        )
    return int(db.total_changes - before)


def of_task(db: Any, task: str) -> tuple[Step, ...]:
    """The steps of a run, in order."""
    found = db.execute(
        "SELECT s.* FROM steps s JOIN attempts a ON a.id = s.attempt WHERE a.task = ?"
        " ORDER BY a.seq, s.n",
        (task,),
    )
    return tuple(rows.from_row(Step, row) for row in found)


def everything(db: Any) -> Iterable[Step]:
    """Every step."""
    for row in db.execute("SELECT * FROM steps ORDER BY rowid"):
        yield rows.from_row(Step, row)


def sums(
    db: Any, dimension: str | None, repository: str | None, since: float | None
) -> tuple[StepSum, ...]:
    """Sums by kind, tier and model, most steps first; a filter that is None takes all."""
    found = db.execute(
        "SELECT s.kind, s.tier, s.answered, count(*), coalesce(sum(s.tokens), 0),"
        " coalesce(sum(s.cost), 0.0), count(s.cost), coalesce(sum(s.seconds), 0.0)"
        " FROM steps s JOIN attempts a ON a.id = s.attempt JOIN tasks t ON t.id = a.task"
        " WHERE t.dimension = coalesce(?, t.dimension)"
        " AND t.repository = coalesce(?, t.repository) AND a.started >= coalesce(?, a.started)"
        " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3",
        (rows.plain(dimension), rows.plain(repository), since),
    )
    return tuple(StepSum(*row) for row in found)


def routed(db: Any) -> tuple[RoutedRun, ...]:
    """Attempts that passed or failed, of profiles that were ever routed; the routed ones told.

    An answer that names the asked model with a date behind it was not routed.
    """
    other = "s.tier IS NOT NULL AND substr(s.answered, 1, length(s.asked)) <> s.asked"
    found = db.execute(
        "WITH r AS (SELECT DISTINCT s.attempt FROM steps s WHERE " + other + "),"
        " p AS (SELECT DISTINCT f.profile FROM figures f JOIN r ON r.attempt = f.attempt)"
        " SELECT f.dimension, f.profile, f.attempt IN (SELECT attempt FROM r), f.status, f.cost"
        " FROM figures f WHERE f.status IN ('pass', 'fail')"
        " AND f.profile IN (SELECT profile FROM p) ORDER BY f.seq"
    )
    return tuple(RoutedRun(d, p, bool(r), s == "pass", c) for d, p, r, s, c in found)
