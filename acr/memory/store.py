"""Memory: tasks, decisions and outcomes in SQLite; what is acknowledged is on disk."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from acr.errors import AcrError, MemoryFileError
from acr.memory import migrations, vectors
from acr.memory.redaction import redact
from acr.nouns import (
    Attempt,
    Decision,
    Neighbour,
    Outcome,
    Statistic,
    Task,
    Verdict,
    VerdictStatus,
    from_json,
    to_json,
)

__all__ = ["Memory"]

OVERSAMPLED = 4
"""Similar tasks read per neighbour wanted: some have no judged attempt."""
SHORT = 200
"""Characters of a neighbour's prompt."""
KEY = ("profile", "agent", "model", "dimension", "repository")
SUMS = ("n", "wins", "losses", "weight", "score", "cost", "cost_n", "tokens", "duration")
JUDGED = "coalesce(o.human, o.verdict)"
WEIGHT = (
    "CASE WHEN o.human IS NOT NULL THEN 1.0"
    f" WHEN {JUDGED} = 'unverified' THEN 0.0 ELSE o.strength END"
)
SCORE = "CASE o.human WHEN 'pass' THEN 1.0 WHEN 'fail' THEN 0.0 ELSE o.score END"
ADDED_UP = f"""
    SELECT o.profile, o.agent, coalesce(o.model, '') model, t.dimension, t.repository,
        count(*) n, sum({JUDGED} = 'pass') wins, sum({JUDGED} = 'fail') losses,
        sum({WEIGHT}) weight, sum(({WEIGHT}) * ({SCORE})) score,
        coalesce(sum(o.cost), 0.0) cost, count(o.cost) cost_n, sum(o.tokens) tokens,
        sum(o.duration) duration, max(o.started) last
    FROM outcomes o JOIN tasks t ON t.id = o.task WHERE {{where}}
    GROUP BY 1, 2, 3, 4, 5"""


class Memory:
    """A context manager over memory.db. Every write is one immediate transaction."""

    def __init__(self, db: Any, path: Path, capacity: int) -> None:
        self.db, self.path, self.capacity = db, path, capacity

    @classmethod
    def open(cls, path: Path, embedder: str = "", capacity: int = 20_000) -> Memory:
        """Opens or makes the database. Raises MemoryFileError; never replaces a file."""
        with _speaking(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            db = vectors.connect(str(path))
            db.execute("PRAGMA busy_timeout = 5000")
            db.execute("PRAGMA synchronous = FULL")
            migrations.migrate(db, path)
        return cls(db, path, capacity)

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self.db.close()

    def add_task(self, task: Task) -> None:
        """Stores a task, its prompt redacted; nothing happens when it is there already."""
        with self._writing():
            self._insert_task(task)

    def add_decision(self, decision: Decision) -> None:
        """Stores a decision; nothing happens when it is there already."""
        with self._writing():
            self._insert_decision(decision)

    def add_outcome(self, outcome: Outcome) -> None:
        """Stores attempt and verdict, and task and decision when they are new.

        An attempt that is there already is replaced: a better verdict may come later.
        """
        with self._writing():
            self._insert_task(outcome.task)
            if outcome.decision:
                self._insert_decision(outcome.decision)
            self._drop_outcome(outcome.attempt.id)
            self._insert_outcome(outcome)
            self._count("+", "o.id = ?", outcome.attempt.id)
            self._prune()

    def set_human(self, run: str, status: VerdictStatus) -> Outcome:
        """A person's verdict on the last attempt of a run (id, prefix, or "" for the latest)."""
        task = self.task(run)
        with self._writing():
            row = self.db.execute(
                "SELECT id FROM outcomes WHERE task = ? ORDER BY seq DESC", (task.id,)
            ).fetchone()
            if row is None:
                raise AcrError(f"run {task.id} has no attempt to judge")
            self._count("-", "o.id = ?", row["id"])
            self.db.execute("UPDATE outcomes SET human = ? WHERE id = ?", (status, row["id"]))
            self._count("+", "o.id = ?", row["id"])
        return self.outcomes(task.id, limit=1)[0]

    def forget(self, task_ids: Sequence[str]) -> int:
        """Deletes tasks with all that hangs on them; returns how many there were."""
        with self._writing():
            count = 0
            for task in task_ids:
                for row in self.db.execute("SELECT id FROM outcomes WHERE task = ?", (task,)):
                    self._drop_outcome(row["id"])
                count += self._delete_task(task)
        with _speaking(self.path):
            self.db.execute("VACUUM")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def prune(self, attempts: Sequence[str]) -> None:
        """Deletes outcomes by attempt id; they live on in statistics."""
        with self._writing():
            self._roll_up(attempts)

    def task(self, ref: str = "") -> Task:
        """The task with this id or unique prefix, or the latest. Raises AcrError otherwise."""
        with _speaking(self.path):
            if not ref:
                row = self.db.execute("SELECT * FROM tasks ORDER BY seq DESC LIMIT 1").fetchone()
                if row is None:
                    raise AcrError('nothing has been run yet; start with acr "PROMPT" or acr demo')
                return _task(row)
            return _task(self._one("tasks", "run", ref))

    def tasks(self, repository: str | None = None) -> tuple[str, ...]:
        """Ids of all tasks, oldest first, or of one repository's."""
        with _speaking(self.path):
            rows = self.db.execute(
                "SELECT id FROM tasks WHERE ?1 IS NULL OR repository = ?1 ORDER BY seq",
                (repository,),
            )
            return tuple(row["id"] for row in rows)

    def vector(self, task_id: str) -> tuple[float, ...] | None:
        """The task's unit vector, int8-exact; None when it has none."""
        with _speaking(self.path):
            row = self.db.execute(
                "SELECT seq, embedder FROM tasks WHERE id = ?", (task_id,)
            ).fetchone()
            table = self._vector_table(row["embedder"]) if row and row["embedder"] else None
            if table is None:
                return None
            found = self.db.execute(
                f"SELECT embedding FROM {table} WHERE rowid = ?", (row["seq"],)
            ).fetchone()
        return vectors.restore(found["embedding"]) if found else None

    def decision(self, ref: str) -> Decision:
        """The decision with this id or unique prefix. Raises AcrError otherwise."""
        with _speaking(self.path):
            return from_json(Decision, json.loads(self._one("decisions", "decision", ref)["data"]))

    def decisions(self, task_id: str) -> tuple[Decision, ...]:
        """The decisions on a task, in order."""
        with _speaking(self.path):
            rows = self.db.execute(
                "SELECT data FROM decisions WHERE task = ? ORDER BY seq", (task_id,)
            ).fetchall()
        return tuple(from_json(Decision, json.loads(row["data"])) for row in rows)

    def outcomes(
        self, task_id: str | None = None, limit: int | None = None, newest_first: bool = True
    ) -> tuple[Outcome, ...]:
        """Outcomes of one task or of all, by the order in which they were stored."""
        order = "DESC" if newest_first else "ASC"
        with _speaking(self.path):
            rows = self.db.execute(
                "SELECT t.*, o.attempt_data, o.verdict_data, o.human, d.data decision_data"
                " FROM outcomes o JOIN tasks t ON t.id = o.task"
                " LEFT JOIN decisions d ON d.id = o.decision"
                f" WHERE ?1 IS NULL OR o.task = ?1 ORDER BY o.seq {order} LIMIT ?2",
                (task_id, -1 if limit is None else limit),
            ).fetchall()
        return tuple(_outcome(row) for row in rows)

    def neighbours(
        self,
        vector: tuple[float, ...],
        embedder: str,
        k: int,
        threshold: float,
        exclude: str = "",
        repository: str = "",
    ) -> tuple[Neighbour, ...]:
        """Judged attempts on the k most similar tasks with a cosine of `threshold` or more."""
        with _speaking(self.path):
            table = self._vector_table(embedder)
            if table is None or k < 1:
                return ()
            near = self.db.execute(
                f"SELECT rowid, distance FROM {table} WHERE embedding MATCH vec_int8(?) AND k = ?",
                (vectors.quantise(vector), k * OVERSAMPLED + 1),
            ).fetchall()
            similar = {r["rowid"]: vectors.cosine(r["distance"]) for r in near}
            marks = ",".join("?" * len(similar))
            rows = self.db.execute(
                f"SELECT t.seq, t.id, t.prompt, t.dimension, t.repository, o.profile, o.cost,"
                f" o.started, {JUDGED} status, {WEIGHT} strength, {SCORE} score FROM tasks t"
                f" JOIN outcomes o ON o.task = t.id WHERE t.seq IN ({marks})"
                f" AND {JUDGED} <> 'unverified' AND t.id <> ? ORDER BY o.seq",
                (*similar, exclude),
            ).fetchall()
        kept = [s for s in similar if similar[s] >= threshold and any(r["seq"] == s for r in rows)]
        nearest = sorted(kept, key=lambda s: -similar[s])[:k]
        now = time.time()
        return tuple(
            Neighbour(
                task=row["id"],
                prompt=row["prompt"][:SHORT],
                dimension=row["dimension"],
                profile=row["profile"],
                status=row["status"],
                score=row["score"],
                cost=row["cost"],
                similarity=similar[seq],
                strength=row["strength"],
                same_repository=bool(repository) and row["repository"] == repository,
                age=max(0.0, now - row["started"]),
            )
            for seq in nearest
            for row in rows
            if row["seq"] == seq
        )

    def statistics(
        self,
        dimension: str | None = None,
        repository: str | None = None,
        since: float | None = None,
    ) -> tuple[Statistic, ...]:
        """Sums by profile, model, dimension and repository; pruned rows count unless `since`."""
        with _speaking(self.path):
            if since is None:
                rows = self.db.execute(
                    "SELECT * FROM statistics WHERE (?1 IS NULL OR dimension = ?1)"
                    " AND (?2 IS NULL OR repository = ?2)",
                    (dimension, repository),
                ).fetchall()
            else:
                where = (
                    "o.started >= ?3 AND (?1 IS NULL OR t.dimension = ?1)"
                    " AND (?2 IS NULL OR t.repository = ?2)"
                )
                rows = self.db.execute(
                    ADDED_UP.format(where=where), (dimension, repository, since)
                ).fetchall()
        names = [f.name for f in fields(Statistic)]
        return tuple(Statistic(**{name: row[name] for name in names}) for row in rows if row["n"])

    def snapshot(self) -> str:
        """Which state this is: it changes with every write that a decision could see."""
        with _speaking(self.path):
            row = self.db.execute(
                "SELECT coalesce(max(seq), 0), count(*), count(human), total(strength)"
                " FROM outcomes"
            ).fetchone()
        return "-".join(f"{value:g}" for value in row)

    def counts(self) -> dict[str, Any]:
        """What is in it: rows by table, dimension and profile, size in bytes, schema, embedders."""
        with _speaking(self.path):

            def grouped(column: str) -> dict[str, int]:
                rows = self.db.execute(
                    f"SELECT {column} name, count(*) n FROM outcomes o"
                    " JOIN tasks t ON t.id = o.task GROUP BY 1 ORDER BY 2 DESC, 1"
                )
                return {row["name"]: row["n"] for row in rows}

            def count(table: str) -> int:
                return int(self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

            pruned = self.db.execute("SELECT coalesce(sum(n), 0) FROM pruned_statistics")
            return {
                "path": str(self.path),
                "tasks": count("tasks"),
                "decisions": count("decisions"),
                "attempts": count("outcomes"),
                "outcomes": count("outcomes"),
                "pruned": int(pruned.fetchone()[0]),
                "by_dimension": grouped("t.dimension"),
                "by_profile": grouped("o.profile"),
                "size_bytes": self.path.stat().st_size,
                "schema": migrations.VERSION,
                "embedders": [r["id"] for r in self.db.execute("SELECT id FROM embedders")],
            }

    def check(self) -> list[str]:
        """What is wrong with it, one sentence each; empty when all is well."""
        with _speaking(self.path):
            wrong = [r[0] for r in self.db.execute("PRAGMA integrity_check") if r[0] != "ok"]
            for row in self.db.execute("SELECT number, id FROM embedders").fetchall():
                wrong += self._check_vectors(row["number"], row["id"])
            expected = self._recomputed()
            found = {_key(r): _sums(r) for r in self.db.execute("SELECT * FROM statistics")}
            for key in expected.keys() | found.keys():
                if not _close(expected.get(key), found.get(key)):
                    wrong.append(f"statistics of {'/'.join(key)} do not match the outcomes")
        return wrong

    def _check_vectors(self, number: int, embedder: str) -> list[str]:
        vectors_n = self.db.execute(f"SELECT count(*) FROM vectors_{number}").fetchone()[0]
        tasks = self.db.execute("SELECT count(*) FROM tasks WHERE embedder = ?", (embedder,))
        tasks_n = tasks.fetchone()[0]
        same = vectors_n == tasks_n
        return [] if same else [f"{embedder}: {vectors_n} vectors for {tasks_n} tasks"]

    def _recomputed(self) -> dict[tuple[str, ...], list[float]]:
        sums: dict[tuple[str, ...], list[float]] = {}
        live = self.db.execute(ADDED_UP.format(where="1"))
        for row in [*live, *self.db.execute("SELECT * FROM pruned_statistics")]:
            old = sums.get(_key(row), [0.0] * len(SUMS))
            sums[_key(row)] = [a + b for a, b in zip(old, _sums(row), strict=True)]
        return sums

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with _speaking(self.path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def _insert_task(self, task: Task) -> None:
        names = [f.name for f in fields(Task) if f.name != "embedding"]
        row = {name: getattr(task, name) for name in names} | {"prompt": redact(task.prompt)}
        if not task.embedding:
            row["embedder"] = None
        added = self.db.execute(
            f"INSERT INTO tasks ({','.join(row)}) VALUES ({','.join('?' * len(row))})"
            " ON CONFLICT (id) DO NOTHING",
            tuple(row.values()),
        )
        if added.rowcount == 1 and task.embedding and task.embedder:
            table = self._vector_table(task.embedder, len(task.embedding))
            self.db.execute(
                f"INSERT INTO {table} (rowid, embedding) VALUES (?, vec_int8(?))",
                (added.lastrowid, vectors.quantise(task.embedding)),
            )

    def _insert_decision(self, decision: Decision) -> None:
        self.db.execute(
            "INSERT INTO decisions (id, task, created, chosen, data) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO NOTHING",
            (
                decision.id,
                decision.task,
                decision.created,
                decision.chosen,
                json.dumps(to_json(decision), ensure_ascii=False),
            ),
        )

    def _insert_outcome(self, outcome: Outcome) -> None:
        attempt, verdict = _without_secrets(outcome.attempt, outcome.verdict)
        row = {
            "id": attempt.id,
            "task": outcome.task.id,
            "decision": outcome.decision.id if outcome.decision else attempt.decision,
            "profile": attempt.profile,
            "agent": attempt.agent,
            "model": attempt.model,
            "status": attempt.status,
            "started": attempt.started,
            "duration": attempt.duration,
            "cost": attempt.cost,
            "tokens": attempt.usage.total if attempt.usage else 0,
            "verdict": verdict.status,
            "score": verdict.score,
            "strength": verdict.strength,
            "human": outcome.human,
            "attempt_data": json.dumps(to_json(attempt), ensure_ascii=False),
            "verdict_data": json.dumps(to_json(verdict), ensure_ascii=False),
        }
        self.db.execute(
            f"INSERT INTO outcomes ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
            tuple(row.values()),
        )

    def _count(self, sign: str, where: str, *values: Any, table: str = "statistics") -> None:
        """Adds the outcomes of `where` to the sums, or takes them away."""
        columns = (*KEY, *SUMS, "last")
        signed = (*KEY, *(f"{sign}{name}" for name in SUMS), "last")
        updates = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
        self.db.execute(
            f"INSERT INTO {table} ({','.join(columns)}) SELECT {','.join(signed)}"
            f" FROM ({ADDED_UP.format(where=where)}) WHERE true"
            f" ON CONFLICT DO UPDATE SET {updates}, last = max(last, excluded.last)",
            values,
        )

    def _drop_outcome(self, attempt: str) -> None:
        self._count("-", "o.id = ?", attempt)
        self.db.execute("DELETE FROM outcomes WHERE id = ?", (attempt,))

    def _prune(self) -> None:
        """Oldest first beyond capacity."""
        over = self.db.execute("SELECT count(*) FROM outcomes").fetchone()[0] - self.capacity
        if over > 0:
            rows = self.db.execute("SELECT id FROM outcomes ORDER BY seq LIMIT ?", (over,))
            self._roll_up([row["id"] for row in rows.fetchall()])

    def _roll_up(self, attempts: Sequence[str]) -> None:
        """Deletes outcomes; what they add up to stays."""
        for attempt in attempts:
            row = self.db.execute("SELECT task FROM outcomes WHERE id = ?", (attempt,)).fetchone()
            self._count("+", "o.id = ?", attempt, table="pruned_statistics")
            self.db.execute("DELETE FROM outcomes WHERE id = ?", (attempt,))
            left = self.db.execute("SELECT 1 FROM outcomes WHERE task = ?", (row["task"],))
            if left.fetchone() is None:
                self._delete_task(row["task"])

    def _delete_task(self, task: str) -> int:
        row = self.db.execute("SELECT seq, embedder FROM tasks WHERE id = ?", (task,)).fetchone()
        if row is None:
            return 0
        if row["embedder"]:
            table = self._vector_table(row["embedder"])
            self.db.execute(f"DELETE FROM {table} WHERE rowid = ?", (row["seq"],))
        self.db.execute("DELETE FROM decisions WHERE task = ?", (task,))
        self.db.execute("DELETE FROM tasks WHERE id = ?", (task,))
        return 1

    def _vector_table(self, embedder: str, dimensions: int = 0) -> str | None:
        """The table of an embedder's vectors; made when `dimensions` is given."""
        row = self.db.execute(
            "SELECT number, dimensions FROM embedders WHERE id = ?", (embedder,)
        ).fetchone()
        if row is None:
            if not dimensions:
                return None
            number = self.db.execute(
                "INSERT INTO embedders (id, dimensions) VALUES (?, ?)", (embedder, dimensions)
            ).lastrowid
            self.db.execute(
                f"CREATE VIRTUAL TABLE vectors_{number} USING vec0(embedding int8[{dimensions}])"
            )
            return f"vectors_{number}"
        if dimensions and row["dimensions"] != dimensions:
            raise MemoryFileError(
                f"{self.path}: vectors of {embedder} have {row['dimensions']} dimensions, "
                f"not {dimensions}; give the other model another name"
            )
        return f"vectors_{row['number']}"

    def _one(self, table: str, noun: str, ref: str) -> Any:
        prefix = ref.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
        rows = self.db.execute(
            f"SELECT * FROM {table} WHERE id LIKE ? ESCAPE '\\' ORDER BY seq DESC LIMIT 3",
            (prefix,),
        ).fetchall()
        exact = [row for row in rows if row["id"] == ref]
        if len(exact or rows) == 1:
            return (exact or rows)[0]
        if rows:
            raise AcrError(f"{ref} begins several {noun}s, e.g. {rows[0]['id']}; give more of it")
        raise AcrError(f"no {noun} {ref!r}; acr runs lists them")


@contextlib.contextmanager
def _speaking(path: Path) -> Iterator[None]:
    """SQLite's and the file system's errors as sentences."""
    try:
        yield
    except OSError as e:
        raise MemoryFileError(f"{e.filename or path}: {e.strerror}") from None
    except Exception as e:
        if not isinstance(e, sqlite3.Error) and type(e).__module__ != "pysqlite3._sqlite3":
            raise
        raise MemoryFileError(_sentence(path, str(e))) from None


def _sentence(path: Path, reason: str) -> str:
    hints = {
        "locked": "another acr has held it for 5 s; try again",
        "not a database": "move it away to begin anew, or restore a backup",
        "malformed": "restore a backup, or move it away and acr memory import an export",
        "readonly": "make the file and its folder writable",
        "unable to open": "make the file and its folder readable and writable",
        "full": "free some disk space; nothing that was acknowledged is lost",
    }
    hint = next((text for part, text in hints.items() if part in reason), "see acr doctor")
    return f"{path}: {reason}; {hint}"


def _task(row: Any) -> Task:
    names = [f.name for f in fields(Task) if f.name != "embedding"]
    return Task(**{name: row[name] for name in names})


def _outcome(row: Any) -> Outcome:
    decision = row["decision_data"]
    return Outcome(
        task=_task(row),
        decision=from_json(Decision, json.loads(decision)) if decision else None,
        attempt=from_json(Attempt, json.loads(row["attempt_data"])),
        verdict=from_json(Verdict, json.loads(row["verdict_data"])),
        human=row["human"],
    )


def _without_secrets(attempt: Attempt, verdict: Verdict) -> tuple[Attempt, Verdict]:
    signals = tuple(replace(s, detail=redact(s.detail)) for s in verdict.signals)
    return (
        replace(attempt, error=redact(attempt.error), message=redact(attempt.message)),
        replace(
            verdict,
            reason=redact(verdict.reason),
            findings=redact(verdict.findings),
            signals=signals,
        ),
    )


def _key(row: Any) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _sums(row: Any) -> list[float]:
    return [row[name] for name in SUMS]


def _close(a: Sequence[float] | None, b: Sequence[float] | None) -> bool:
    zero = [0.0] * len(SUMS)
    pairs = zip(a or zero, b or zero, strict=True)
    return all(abs(x - y) <= 1e-6 * max(1.0, abs(x)) for x, y in pairs)
