"""Memory: tasks, decisions and outcomes in SQLite; what is acknowledged is on disk."""

from __future__ import annotations

import contextlib
import difflib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from acr.errors import AcrError
from acr.memory import driver, migrations, rows, statistics, steps, summary, vectors
from acr.memory.spaces import Spaces
from acr.memory.statistics import Figures
from acr.memory.steps import StepSum
from acr.memory.summary import Filters, Try
from acr.nouns import (
    Attempt,
    Decision,
    Neighbour,
    Outcome,
    Pair,
    Recent,
    RoutedRun,
    SessionTurn,
    Statistic,
    Step,
    Task,
    Verdict,
    VerdictStatus,
    to_json,
)

__all__ = ["Judged", "Memory", "Record"]

OVERSAMPLED = 1.25
"""Similar tasks read per neighbour wanted: some have no judged attempt."""
SHORT = 200
"""Characters of a neighbour's prompt."""
EVERYTHING = Filters()
HUMAN = ("status", "score", "weight", "handicap", "expected")
"""Figures that stay when a person has judged."""
FORGOTTEN = "[forgotten]"
"""Stands for the prompt of a forgotten task in decisions that cite it."""


class Memory:
    """A context manager over memory.db. Every write is one immediate transaction."""

    def __init__(self, db: Any, path: Path, embedder: str, capacity: int) -> None:
        self.db, self.path = db, path
        self.embedder, self.capacity = embedder, max(1, capacity)
        self._spaces = Spaces()

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
            migrations.migrate(db, path)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA cache_size = -16000")  # KiB: the vectors of 20,000 tasks and more
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
        row = _task_row(task, vector)
        with self.writing():
            self._insert_task(row)
            self._prune(self.capacity)

    def add_decision(self, decision: Decision) -> None:
        """Stores a decision; nothing happens when it is there already."""
        row = rows.to_row(decision)
        with self.writing():
            self._insert("decisions", "id", row)

    def add_outcome(self, outcome: Outcome) -> None:
        """Stores attempt and verdict, and task and decision when they are new.

        The same attempt again replaces what is there: a better verdict may come later; a
        person's verdict stays, and a pruned attempt stays pruned. Raises AcrError when a score
        is not within 0..1.
        """
        task, decision = _task_row(outcome.task), outcome.decision
        decided = rows.to_row(decision) if decision else None
        judged = _outcome_rows(_checked(outcome))
        with self.writing():
            if self._is_pruned(outcome.attempt.id):
                return
            self._insert_task(task)
            if decided:
                self._insert("decisions", "id", decided)
            self._insert_outcome(judged)
            self._prune(self.capacity)

    def add_turn(self, turn: SessionTurn, outcome: Outcome) -> bool:
        """Stores the outcome of a session's turn; whether the turn is new. It counts once, ever."""
        task, judged = _task_row(outcome.task), _outcome_rows(_checked(outcome))
        with self.writing():
            if not self._insert("turns", "id", rows.to_row(turn)).rowcount:
                return False
            self._insert_task(task)
            self._insert_outcome(judged)
            self._prune(self.capacity)
        return True

    def has_turn(self, turn: str) -> bool:
        """Whether the turn with this id is stored, or was."""
        with driver.speaking(self.path):
            found = self.db.execute("SELECT 1 FROM turns WHERE id = ?", (turn,)).fetchone()
        return found is not None

    def turns(self, limit: int) -> tuple[tuple[SessionTurn, str, str], ...]:
        """The latest turns with what is left of them: (turn, dimension, model), newest first."""
        with driver.speaking(self.path):
            found = self.db.execute(
                "SELECT t.*, f.dimension, f.model FROM turns t JOIN figures f"
                " ON f.attempt = t.attempt ORDER BY t.started DESC LIMIT ?",
                (limit,),
            )
            return tuple(
                (rows.from_row(SessionTurn, row), row["dimension"], row["model"]) for row in found
            )

    def follow(
        self, agent: str, session: str, before: float, revise: Callable[[Verdict], Verdict]
    ) -> Outcome | None:
        """Puts `revise` on the verdict of the session's last turn that began before `before`.

        Once for each turn, and not where a person has judged; returns the outcome that changed.
        """
        with self.writing():
            turn = self.db.execute(
                "SELECT * FROM turns WHERE agent = ? AND session = ? AND started < ?"
                " ORDER BY started DESC LIMIT 1",
                (agent, session, before),
            ).fetchone()
            if turn is None or turn["followed"]:
                return None
            self.db.execute("UPDATE turns SET followed = 1 WHERE id = ?", (turn["id"],))
            row = self.db.execute(f"{OUTCOMES} WHERE a.id = ?", (turn["attempt"],)).fetchone()
            if row is None or row["human"]:
                return None
            outcome = _outcome(row)
            changed = replace(outcome, verdict=revise(outcome.verdict))
            self._insert_outcome(_outcome_rows(_checked(changed)))
        return changed

    def add_steps(self, made: Iterable[Step]) -> None:
        """Stores model calls of stored attempts; nothing happens to those there already."""
        with self.writing():
            steps.add(self.db, made)

    def steps(self, task_id: str) -> tuple[Step, ...]:
        """The model calls of a run that went through the gateway, in order."""
        with driver.speaking(self.path):
            return steps.of_task(self.db, task_id)

    def routed_runs(self) -> tuple[RoutedRun, ...]:
        """Attempts with a verdict of profiles that the gateway has routed, routed and not."""
        with driver.speaking(self.path):
            return steps.routed(self.db)

    def step_sums(
        self,
        dimension: str | None = None,
        repository: str | None = None,
        since: float | None = None,
    ) -> tuple[StepSum, ...]:
        """What model calls add up to, by kind, tier and model; the filters as in `statistics`."""
        with driver.speaking(self.path):
            return steps.sums(self.db, dimension, repository, since)

    def set_human(self, run: str, status: VerdictStatus) -> Outcome:
        """A person's verdict on the last attempt of a run (id, prefix, or "" for the latest)."""
        task = self.task(run)
        last = next(iter(self.outcomes(task.id, limit=1)), None)
        if last is None:
            raise AcrError(f"run {task.id} has no attempt to judge")
        judged = replace(last, human=status)
        self.add_outcome(judged)
        return judged

    def forget(self, task_ids: Iterable[str]) -> int:
        """Deletes tasks with all that hangs on them, sums included; returns how many there were.

        Their bytes are overwritten, in the file and in its write-ahead log.
        """
        gone = set(task_ids)
        with self.writing():
            count = sum(self._forget_task(task) for task in gone)
            self._forget_citations(gone)
            self._changed()
        with driver.speaking(self.path):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return count

    def prunable(self, keep: int, before: float = -math.inf) -> int:
        """How many attempts `prune` would take."""
        with driver.speaking(self.path):
            newest = "SELECT seq FROM attempts ORDER BY seq DESC LIMIT ?"
            row = self.db.execute(
                f"SELECT count(*) FROM attempts WHERE started < ? OR seq NOT IN ({newest})",
                (before, keep),
            ).fetchone()
        return int(row[0])

    def prune(self, keep: int, before: float = -math.inf) -> tuple[str, ...]:
        """Keeps the newest `keep` attempts in full, of those that started at `before` or later.

        Of others the figures stay. Returns the ids of the tasks that are no longer there.
        """
        with self.writing():
            gone = self._prune(keep, before)
            left = self.db.execute(
                "SELECT id FROM tasks WHERE id NOT IN (SELECT task FROM attempts)"
                " AND id IN (SELECT task FROM figures)"
            ).fetchall()
            return gone + tuple(row["id"] for row in left if self._delete_task(row["id"]))

    def _is_pruned(self, attempt: str) -> bool:
        sql = f"SELECT 1 FROM figures WHERE attempt = ? AND {PRUNED}"
        return self.db.execute(sql, (attempt,)).fetchone() is not None

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

    def runs(self, repository: str | None = None) -> tuple[str, ...]:
        """Like `tasks`, with those of which only figures are left."""
        where, values = ("repository = ?", (repository,)) if repository else ("true", ())
        with driver.speaking(self.path):
            sql = f"SELECT id FROM {RUNS} WHERE {where} ORDER BY seq"
            return tuple(row["id"] for row in self.db.execute(sql, values))

    def run_id(self, ref: str) -> str:
        """The id of the run with this id or unique prefix, pruned or not. Raises AcrError."""
        with driver.speaking(self.path):
            return str(self._one(RUNS, "run", ref)["id"])

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

    def outcomes(
        self, task_id: str | None = None, limit: int | None = None, newest_first: bool = True
    ) -> tuple[Outcome, ...]:
        """Outcomes of one task or of all, by the order in which they were stored.

        Their tasks come without embedding.
        """
        where, values = ("a.task = ?", (task_id,)) if task_id else ("true", ())
        order = "DESC" if newest_first else "ASC"
        with driver.speaking(self.path):
            found = self.db.execute(
                f"{OUTCOMES} WHERE {where} ORDER BY a.seq {order} LIMIT ?",
                (*values, -1 if limit is None else limit),
            )
            return tuple(_outcome(row) for row in found)

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
        """Judged attempts on the k most similar tasks with a cosine of `threshold` or more.

        With `dimensions` the tasks are of these, and a quarter as many others are added.
        """
        with driver.speaking(self.path):
            among = self._of_kinds(dimensions) if dimensions else None
            others = k // 4 if dimensions else 0
            for most in (math.ceil(k * OVERSAMPLED), self.capacity):
                near = self._spaces.nearest(self.db, embedder, vector, most, among, others)
                similar = {row: cosine for row, cosine in near.items() if cosine >= threshold}
                attempts = self._judged(similar, exclude)
                inside = [row for row in similar if among is None or row in among]
                judged = [row for row in inside if row in attempts][:k]
                if len(judged) == k or len(inside) < most:
                    break
        chosen = {*judged, *(similar.keys() - {*inside})} & attempts.keys()
        now = time.time()
        return tuple(
            _neighbour(row, cosine, repository, now)
            for task, cosine in similar.items()
            if task in chosen
            for row in attempts[task]
        )

    def _of_kinds(self, dimensions: Sequence[str]) -> frozenset[int]:
        """Rows of the tasks of these dimensions."""
        sql = (
            "SELECT coalesce(group_concat(seq), '') FROM tasks"
            " WHERE dimension IN (SELECT value FROM json_each(?))"
        )
        kinds = rows.bind([rows.plain(name) for name in dimensions])
        return frozenset(
            map(int, filter(None, self.db.execute(sql, (kinds,)).fetchone()[0].split(",")))
        )

    def search(
        self, vector: tuple[float, ...], embedder: str, k: int, threshold: float
    ) -> tuple[tuple[Task, float], ...]:
        """The k most similar tasks, judged or not, and their cosine, most similar first."""
        with driver.speaking(self.path):
            near = self._spaces.nearest(self.db, embedder, vector, k)
            found = [
                (self.db.execute("SELECT * FROM tasks WHERE seq = ?", (row,)).fetchone(), cosine)
                for row, cosine in near.items()
                if cosine >= threshold
            ]
        return tuple((rows.from_row(Task, row), cosine) for row, cosine in found)

    def statistics(
        self,
        dimension: str | None = None,
        repository: str | None = None,
        since: float | None = None,
    ) -> tuple[Statistic, ...]:
        """Sums by profile, model, dimension and repository, pruned attempts included.

        `since` (seconds since the epoch) narrows them to attempts that started then or later.
        """
        with driver.speaking(self.path):
            asked = rows.plain(dimension), rows.plain(repository)
            return statistics.read(self.db, *asked, since)

    def tries(self, filters: Filters = EVERYTHING) -> list[Try]:
        """Each attempt in numbers, pruned ones included, in the order they were stored."""
        with driver.speaking(self.path):
            return summary.read(self.db, filters)

    def values(self, name: str) -> list[str]:
        """What attempts are known by under a name of Filters, such as "language"; sorted."""
        with driver.speaking(self.path):
            return summary.values(self.db, name)

    def open_decision(self, root: str, since: float) -> tuple[str, str] | None:
        """(task, profile) of the latest decision without a result in a work tree since then."""
        with driver.speaking(self.path):
            row = self.db.execute(
                "SELECT d.task, d.chosen FROM decisions d JOIN tasks t ON t.id = d.task"
                " LEFT JOIN attempts a ON a.decision = d.id"
                " WHERE t.root = ? AND d.created >= ? AND a.id IS NULL ORDER BY d.seq DESC LIMIT 1",
                (rows.bind(root), since),
            ).fetchone()
        return (row["task"], row["chosen"]) if row else None

    def view(self, name: str) -> Generator[tuple[Any, ...], None, None]:
        """The rows of one of acr.memory.views, as of one moment; odd text has question marks."""
        with driver.speaking(self.path):
            for row in self.db.execute(f"SELECT * FROM {name}"):
                yield tuple(rows.shown(value) for value in row)

    def totals(self) -> tuple[Statistic, ...]:
        """Sums by profile, model and dimension over all repositories, pruned attempts included."""
        with driver.speaking(self.path):
            return statistics.totals(self.db)

    def recent(self, limit: int) -> tuple[Recent, ...]:
        """The latest verified outcomes, newest first."""
        with driver.speaking(self.path):
            return statistics.recent(self.db, limit)

    def together(self, dimension: str) -> tuple[Pair, ...]:
        """What pairs of profiles scored on the tasks of a dimension that both tried."""
        with driver.speaking(self.path):
            return statistics.together(self.db, rows.plain(dimension))

    def snapshot(self) -> str:
        """Names the state: it changes with every write that a decision could see."""
        with driver.speaking(self.path):
            row = self.db.execute(
                "SELECT (SELECT coalesce(max(seq), 0) FROM figures), (SELECT n FROM changes)"
            ).fetchone()
        return f"{row[0]}.{row[1]}"

    def counts(self) -> dict[str, Any]:
        """What is in it: rows, by dimension and profile, size in bytes, schema, embedders."""

        def number(sql: str) -> int:
            return int(self.db.execute(sql).fetchone()[0])

        def grouped(column: str) -> dict[str, int]:
            found = self.db.execute(
                f"SELECT {column}, count(*) FROM attempts a JOIN tasks t ON t.id = a.task"
                " GROUP BY 1 ORDER BY 2 DESC, 1"
            )
            return {str(row[0]): row[1] for row in found}

        with driver.speaking(self.path):
            return {
                "path": str(self.path),
                "schema": migrations.VERSION,
                "size_bytes": self.path.stat().st_size,
                "capacity": self.capacity,
                "tasks": number("SELECT count(*) FROM tasks"),
                "decisions": number("SELECT count(*) FROM decisions"),
                "attempts": number("SELECT count(*) FROM attempts"),
                "outcomes": number("SELECT count(*) FROM verdicts"),
                "judged_by_you": number("SELECT count(*) FROM verdicts WHERE human IS NOT NULL"),
                "pruned": number(f"SELECT count(*) FROM figures WHERE {PRUNED}"),
                "by_dimension": grouped("t.dimension"),
                "by_profile": grouped("a.profile"),
                "embedder": self.embedder,
                "embedders": vectors.spaces(self.db),
            }

    def check(self) -> list[str]:
        """What is wrong with it, one sentence each; empty when all is well."""
        with driver.speaking(self.path):
            wrong = [row[0] for row in self.db.execute("PRAGMA integrity_check")]
            wrong = [f"{self.path}: {text}" for text in wrong if text != "ok"]
            for what, sql in INVARIANTS.items():
                if count := self.db.execute(f"SELECT count(*) FROM {sql}").fetchone()[0]:
                    wrong.append(f"{count} {what}")
            return wrong + vectors.wrong(self.db) + statistics.wrong(self.db)

    def repair(self) -> None:
        """Adds the statistics up again from the attempts."""
        with self.writing():
            statistics.rebuild(self.db)
            self._changed()

    def records(self) -> Iterator[Record]:
        """Everything, as of one moment: tasks, decisions, outcomes, figures of pruned attempts,
        steps."""
        with driver.speaking(self.path):
            self.db.execute("BEGIN")
            try:
                for row in self.db.execute("SELECT * FROM tasks ORDER BY seq"):
                    embedder = row["embedder"]
                    vector = vectors.read(self.db, row["seq"], embedder) if embedder else None
                    yield rows.from_row(Task, row), vector
                for row in self.db.execute("SELECT * FROM decisions ORDER BY seq"):
                    yield rows.from_row(Decision, row)
                for row in self.db.execute(f"{OUTCOMES} ORDER BY a.seq"):
                    yield Judged(
                        rows.from_row(Attempt, row, "a_"),
                        rows.from_row(Verdict, row, "v_"),
                        row["human"],
                    )
                for row in self.db.execute(f"SELECT * FROM figures WHERE {PRUNED} ORDER BY seq"):
                    yield rows.from_row(Figures, row)
                yield from steps.everything(self.db)
            finally:
                self.db.execute("COMMIT")

    @contextlib.contextmanager
    def merging(self) -> Iterator[Callable[[Record], bool]]:
        """One transaction with a function that adds a record and says whether it is new.

        What is there already stays. An outcome's task must be there. Nothing is pruned.
        """
        with self.writing():
            yield self._merge
            self._changed()

    def _merge(self, record: Record) -> bool:
        """Whether it is new."""
        if isinstance(record, Decision):
            return bool(self._insert("decisions", "id", rows.to_row(record)).rowcount)
        if isinstance(record, tuple):
            return self._insert_task(_task_row(*record))
        if isinstance(record, Step):
            return bool(steps.add(self.db, [record]))
        attempt = record.attempt if isinstance(record, Figures) else record.attempt.id
        known = "SELECT 1 FROM figures WHERE attempt = ?"
        if self.db.execute(known, (attempt,)).fetchone():
            return False
        if isinstance(record, Figures):
            self._insert("figures", "attempt", rows.to_row(record))
            statistics.add(self.db, attempt)
        else:
            task = rows.from_row(Task, self._one("tasks", "run", record.attempt.task))
            decided = self.db.execute(
                "SELECT * FROM decisions WHERE id = ?", (record.attempt.decision,)
            ).fetchone()
            decision = rows.from_row(Decision, decided) if decided else None
            outcome = Outcome(task, decision, record.attempt, record.verdict, record.human)
            self._insert_outcome(_outcome_rows(_checked(outcome)))
        return True

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """One immediate transaction: all of it is stored, or nothing. They do not nest."""
        with driver.speaking(self.path):
            driver.begin(self.db)
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def _changed(self) -> None:
        self.db.execute("UPDATE changes SET n = n + 1")

    def _insert(self, table: str, key: str, row: dict[str, Any], replacing: bool = False) -> Any:
        """Inserts a row; one with the same `key` stays, or takes the new values."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        updates = ", ".join(f"{name} = excluded.{name}" for name in row)
        action = f"UPDATE SET {updates}" if replacing else "NOTHING"
        return self.db.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO {action}",
            tuple(row.values()),
        )

    def _insert_task(self, row: dict[str, Any]) -> bool:
        """Whether it is new."""
        vector = row.pop("embedding")
        added = self._insert("tasks", "id", row)
        if added.rowcount == 1 and vector:
            vectors.add(self.db, added.lastrowid, row["embedder"], vector)
        return bool(added.rowcount == 1)

    def _insert_outcome(self, new: dict[str, dict[str, Any]]) -> None:
        """`new`: table -> row, of an attempt that is not pruned."""
        figures = new["figures"]
        known = self.db.execute(
            "SELECT f.*, v.human FROM figures f JOIN verdicts v ON v.attempt = f.attempt"
            " WHERE f.attempt = ?",
            (figures["attempt"],),
        ).fetchone()
        if known and known["human"] and not new["verdicts"]["human"]:
            new["verdicts"]["human"] = known["human"]
            figures |= {name: known[name] for name in HUMAN}
        for table, row in new.items():
            self._insert(table, "id" if table == "attempts" else "attempt", row, replacing=True)
        if known:
            keys = [tuple(row[name] for name in statistics.KEY) for row in (known, figures)]
            statistics.refresh(self.db, set(keys))
        else:
            statistics.add(self.db, figures["attempt"])
        self._changed()

    def _prune(self, keep: int, before: float = -math.inf) -> tuple[str, ...]:
        """Attempts first, then tasks that are left without one; figures stay."""
        over = max(0, self.db.execute("SELECT count(*) FROM attempts").fetchone()[0] - keep)
        old = self.db.execute("SELECT id, task FROM attempts ORDER BY seq LIMIT ?", (over,))
        pruned = old.fetchall()
        idle: list[str] = []
        if before > -math.inf:
            sql = "SELECT id, task FROM attempts WHERE started < ?"
            pruned += self.db.execute(sql, (before,)).fetchall()
            sql = "SELECT id FROM tasks WHERE created < ?"
            idle += [row["id"] for row in self.db.execute(sql, (before,))]
        for row in pruned:
            self.db.execute("DELETE FROM verdicts WHERE attempt = ?", (row["id"],))
            self.db.execute("DELETE FROM attempts WHERE id = ?", (row["id"],))
        idle += [row["task"] for row in pruned]
        if self.db.execute("SELECT count(*) FROM tasks").fetchone()[0] > keep:
            sql = "SELECT seq FROM tasks ORDER BY seq DESC LIMIT 1 OFFSET ?"
            beyond = self.db.execute(f"SELECT id FROM tasks WHERE seq <= ({sql})", (keep,))
            idle += [row["id"] for row in beyond]
        return tuple(task for task in dict.fromkeys(idle) if self._delete_if_idle(task))

    def _delete_if_idle(self, task: str) -> bool:
        busy = self.db.execute("SELECT 1 FROM attempts WHERE task = ?", (task,)).fetchone()
        return busy is None and self._delete_task(task)

    def _delete_task(self, task: str) -> bool:
        """Whether it was there."""
        row = self.db.execute("SELECT seq, embedder FROM tasks WHERE id = ?", (task,)).fetchone()
        if row and row["embedder"]:
            vectors.remove(self.db, row["seq"], row["embedder"])
        self.db.execute("DELETE FROM decisions WHERE task = ?", (task,))
        self.db.execute("DELETE FROM tasks WHERE id = ?", (task,))
        return row is not None

    def _forget_task(self, task: str) -> bool:
        """Whether there was anything of it."""
        keys = self.db.execute(
            f"SELECT DISTINCT {', '.join(statistics.KEY)} FROM figures WHERE task = ?", (task,)
        ).fetchall()
        before = self.db.total_changes
        self.db.execute(
            "DELETE FROM verdicts WHERE attempt IN (SELECT id FROM attempts WHERE task = ?)",
            (task,),
        )
        for table in ("attempts", "figures"):
            self.db.execute(f"DELETE FROM {table} WHERE task = ?", (task,))
        self._delete_task(task)
        statistics.refresh(self.db, [tuple(key) for key in keys])
        return bool(self.db.total_changes > before)

    def _forget_citations(self, gone: set[str]) -> None:
        """Decisions on other tasks cite similar tasks: their prompts go too."""
        cited = self.db.execute(
            "SELECT * FROM decisions WHERE neighbours <> '[]' AND EXISTS (SELECT 1 FROM"
            " json_each(neighbours) WHERE json_extract(value, '$.task') IN"
            " (SELECT value FROM json_each(?)))",
            (rows.bind(sorted(gone)),),
        )
        for row in cited.fetchall():
            near = [
                replace(n, prompt=FORGOTTEN) if n.task in gone else n
                for n in rows.from_row(Decision, row).neighbours
            ]
            text = rows.to_row(replace(rows.from_row(Decision, row), neighbours=tuple(near)))
            self.db.execute(
                "UPDATE decisions SET neighbours = ? WHERE seq = ?",
                (text["neighbours"], row["seq"]),
            )

    def _judged(self, tasks: Iterable[int], exclude: str) -> dict[int, list[Any]]:
        """Task row -> its attempts that were verified or judged by a person, oldest first."""
        found = self.db.execute(
            "SELECT t.seq row, t.prompt, f.* FROM tasks t JOIN figures f ON f.task = t.id"
            " WHERE t.seq IN (SELECT value FROM json_each(?)) AND f.status <> 'unverified'"
            " AND t.id <> ? ORDER BY f.seq",
            (rows.bind(list(tasks)), exclude),
        )
        attempts: dict[int, list[Any]] = {}
        for row in found:
            attempts.setdefault(row["row"], []).append(row)
        return attempts

    def _with_embedding(self, task: Task, row: int) -> Task:
        stored = task.embedder and vectors.read(self.db, row, task.embedder)
        return replace(task, embedding=vectors.dequantise(stored)) if stored else task

    def _one(self, table: str, noun: str, ref: str) -> Any:
        """The row whose id is `ref` or begins with it."""
        found = self.db.execute(
            f"SELECT * FROM {table} WHERE id = ?1 OR (id >= ?1 AND id < ?1 || char(1114111))"
            " ORDER BY id <> ?1, seq DESC LIMIT 3",
            (rows.plain(ref),),
        ).fetchall()
        if len(found) == 1 or (found and found[0]["id"] == ref):
            return found[0]
        if found:
            several = " and ".join(row["id"] for row in found[:2])
            raise AcrError(f"{ref} begins several {noun}s, such as {several}; give more of it")
        ids = [row["id"] for row in self.db.execute(f"SELECT id FROM {table} ORDER BY seq DESC")]
        near = difflib.get_close_matches(ref, ids, 1)
        hint = f"did you mean {near[0]}?" if near else "acr runs lists them"
        raise AcrError(f"no {noun} {rows.plain(ref)!r}; {hint}")


@dataclass(frozen=True, slots=True)
class Judged:
    """An outcome whose task and decision are stored already."""

    attempt: Attempt
    verdict: Verdict
    human: VerdictStatus | None = None


Record = tuple[Task, bytes | None] | Decision | Judged | Figures | Step
"""A row of memory by itself; a task comes with its int8 vector."""


OUTCOMES = (
    f"SELECT {rows.columns(Task, 't')}, {rows.columns(Decision, 'd')},"
    f" {rows.columns(Attempt, 'a')}, {rows.columns(Verdict, 'v')}, v.human"
    " FROM attempts a JOIN tasks t ON t.id = a.task JOIN verdicts v ON v.attempt = a.id"
    " LEFT JOIN decisions d ON d.id = a.decision"
)
PRUNED = "attempt NOT IN (SELECT id FROM attempts)"
RUNS = (
    "(SELECT id, repository, seq FROM tasks UNION ALL SELECT DISTINCT task, repository, 0"
    " FROM figures WHERE task NOT IN (SELECT id FROM tasks))"
)
"""Every run that counts."""
INVARIANTS = {
    "attempts without a task": "attempts WHERE task NOT IN (SELECT id FROM tasks)",
    "attempts without a verdict": "attempts WHERE id NOT IN (SELECT attempt FROM verdicts)",
    "attempts without figures": "attempts WHERE id NOT IN (SELECT attempt FROM figures)",
    "verdicts without an attempt": "verdicts WHERE attempt NOT IN (SELECT id FROM attempts)",
    "decisions without a task": "decisions WHERE task NOT IN (SELECT id FROM tasks)",
}
"""What must not be -> the rows that would be it."""


def _outcome_rows(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Table -> row, made before the transaction so that it is short."""
    verdict = rows.to_row(outcome.verdict) | {"human": outcome.human}
    figures = to_json(statistics.figures(outcome))
    return {
        "attempts": rows.to_row(outcome.attempt),
        "verdicts": {"attempt": outcome.attempt.id} | verdict,
        "figures": {name: rows.plain(value) for name, value in figures.items()},
    }


def _task_row(task: Task, vector: bytes | None = None) -> dict[str, Any]:
    """Its columns, and as "embedding" its int8 vector."""
    if task.embedding:
        vector = vectors.quantise(task.embedding)
    has_vector = vector is not None and task.embedder is not None
    row = rows.to_row(replace(task, embedding=None))
    return row | {"embedding": vector, "embedder": task.embedder if has_vector else None}


def _checked(outcome: Outcome) -> Outcome:
    """Scores must be rates; a cost or time that cannot be is unknown."""
    attempt, verdict = outcome.attempt, outcome.verdict
    for name, value in (("score", verdict.score), ("strength", verdict.strength)):
        if not 0.0 <= value <= 1.0:
            raise AcrError(f"the {name} of attempt {attempt.id} must be within 0..1, not {value}")
    cost = attempt.cost
    if cost is not None and not 0.0 <= cost < math.inf:
        attempt = replace(attempt, cost=None, cost_source="")
    if not 0.0 <= attempt.duration < math.inf:
        attempt = replace(attempt, duration=0.0)
    if not math.isfinite(attempt.started):
        attempt = replace(attempt, started=0.0)
    return replace(outcome, attempt=attempt)


def _outcome(row: Any) -> Outcome:
    return Outcome(
        task=rows.from_row(Task, row, "t_"),
        decision=rows.from_row(Decision, row, "d_") if row["d_id"] else None,
        attempt=rows.from_row(Attempt, row, "a_"),
        verdict=rows.from_row(Verdict, row, "v_"),
        human=row["human"],
    )


def _neighbour(row: Any, similarity: float, repository: str, now: float) -> Neighbour:
    return Neighbour(
        task=row["task"],
        prompt=rows.text(row["prompt"])[:SHORT],
        dimension=row["dimension"],
        profile=row["profile"],
        status=row["status"],
        score=row["score"],
        cost=row["cost"],
        similarity=similarity,
        strength=row["weight"],
        same_repository=bool(repository) and row["repository"] == repository,
        age=max(0.0, now - row["started"]),
    )
