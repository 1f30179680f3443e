"""Memory: tasks, decisions and outcomes in SQLite; what is acknowledged is on disk."""

from __future__ import annotations

import contextlib
import difflib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from acr.errors import AcrError
from acr.memory import driver, migrations, rows, statistics, vectors
from acr.nouns import (
    Attempt,
    Decision,
    Neighbour,
    Outcome,
    Statistic,
    Task,
    Verdict,
    VerdictStatus,
)

__all__ = ["Memory"]

OVERSAMPLED = 4
"""Similar tasks read per neighbour wanted: some have no judged attempt."""
SHORT = 200
"""Characters of a neighbour's prompt."""
FORGOTTEN = "[forgotten]"
"""Stands for the prompt of a forgotten task in decisions that cite it."""


class Memory:
    """A context manager over memory.db. Every write is one immediate transaction."""

    def __init__(self, db: Any, path: Path, embedder: str, capacity: int) -> None:
        self.db, self.path = db, path
        self.embedder, self.capacity = embedder, max(1, capacity)

    @classmethod
    def open(cls, path: Path, embedder: str = "", capacity: int = 20_000) -> Memory:
        """Opens or makes the database; `capacity` is the number of attempts kept in full.

        Raises MemoryFileError when the file cannot be used; it is never replaced.
        """
        with driver.speaking(path), contextlib.ExitStack() as on_error:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                migrations.check_version(path)
            path.touch(mode=0o600)
            db = driver.connect(path)
            on_error.callback(db.close)
            db.execute("PRAGMA busy_timeout = 5000")
            migrations.migrate(db, path)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            on_error.pop_all()
        return cls(db, path, embedder, capacity)

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self.db.close()

    def add_task(self, task: Task, vector: bytes | None = None) -> None:
        """Stores a task, its prompt redacted; nothing happens when it is there already.

        `vector` is the int8 form of its embedding, where that is at hand instead.
        """
        with self.writing():
            self._insert_task(task, vector)
            self._prune(self.capacity)

    def add_decision(self, decision: Decision) -> None:
        """Stores a decision; nothing happens when it is there already."""
        with self.writing():
            self._insert("decisions", "id", rows.to_row(decision))

    def add_outcome(self, outcome: Outcome) -> None:
        """Stores attempt and verdict, and task and decision when they are new.

        The same attempt again replaces what is there: a better verdict may come later; a
        person's verdict stays. Raises AcrError when a score is not within 0..1.
        """
        with self.writing():
            self._insert_task(outcome.task)
            if outcome.decision:
                self._insert("decisions", "id", rows.to_row(outcome.decision))
            self._insert_outcome(_checked(outcome))
            self._prune(self.capacity)

    def set_human(self, run: str, status: VerdictStatus) -> Outcome:
        """A person's verdict on the last attempt of a run (id, prefix, or "" for the latest)."""
        task = self.task(run)
        last = next(iter(self.outcomes(task.id, limit=1)), None)
        if last is None:
            raise AcrError(f"run {task.id} has no attempt to judge")
        judged = replace(last, human=status)
        with self.writing():
            self._insert_outcome(judged)
        return judged

    def forget(self, task_ids: Iterable[str]) -> int:
        """Deletes tasks with all that hangs on them, sums included; returns how many there were.

        Their bytes are overwritten, in the file and in its write-ahead log.
        """
        gone = set(task_ids)
        with self.writing():
            for task in gone:
                self.db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (task,))
        return len(gone)

    def prune(self, keep: int) -> tuple[str, ...]:
        """Keeps the newest `keep` attempts in full; of older ones the figures stay.

        Returns the ids of the tasks that are no longer there.
        """
        with self.writing():
            return self._prune(keep)

    def task(self, ref: str = "") -> Task:
        """The task with this id or unique prefix, or the latest; its embedding is the stored one.

        Raises AcrError when there is none or several.
        """
        with driver.speaking(self.path):
            if ref:
                row = self._one("tasks", "run", ref)
            else:
                row = self.db.execute("SELECT * FROM tasks ORDER BY seq DESC LIMIT 1").fetchone()
            if row is None:
                raise AcrError('nothing has been run yet; start with acr "PROMPT" or acr demo')
            return self._with_embedding(rows.from_row(Task, row), row["seq"])

    def tasks(self, repository: str | None = None) -> tuple[str, ...]:
        """Ids of all tasks, oldest first, or of one repository's."""
        where, values = ("repository = ?", (repository,)) if repository else ("true", ())
        with driver.speaking(self.path):
            found = self.db.execute(f"SELECT id FROM tasks WHERE {where} ORDER BY seq", values)
            return tuple(row["id"] for row in found)

    def decision(self, ref: str) -> Decision:
        """The decision with this id or unique prefix. Raises AcrError otherwise."""
        with driver.speaking(self.path):
            return rows.from_row(Decision, self._one("decisions", "decision", ref))

    def decisions(self, task_id: str) -> tuple[Decision, ...]:
        """The decisions on a task, in order."""
        with driver.speaking(self.path):
            found = self.db.execute(
                "SELECT * FROM decisions WHERE task = ? ORDER BY seq", (task_id,)
            )
            return tuple(rows.from_row(Decision, row) for row in found)
