"""The schema of memory.db: named steps, each in one transaction, recorded by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acr.errors import MemoryFileError

__all__ = ["MIGRATIONS", "VERSION", "migrate"]

STATISTICS = """(
    profile TEXT, agent TEXT, model TEXT, dimension TEXT, repository TEXT,
    n INTEGER NOT NULL DEFAULT 0, wins INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0, weight REAL NOT NULL DEFAULT 0,
    score REAL NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0,
    cost_n INTEGER NOT NULL DEFAULT 0, tokens INTEGER NOT NULL DEFAULT 0,
    duration REAL NOT NULL DEFAULT 0, last REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (profile, agent, model, dimension, repository)
) WITHOUT ROWID"""


def _first(db: Any) -> None:
    for statement in (
        "CREATE TABLE tasks (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
        " created REAL, prompt TEXT, dimension TEXT, confidence REAL, runner_up TEXT,"
        " language TEXT, difficulty REAL, repository TEXT, root TEXT, embedder TEXT)",
        "CREATE TABLE decisions (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
        " task TEXT NOT NULL, created REAL, chosen TEXT, data TEXT NOT NULL)",
        "CREATE INDEX decisions_task ON decisions (task)",
        "CREATE TABLE outcomes (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
        " task TEXT NOT NULL, decision TEXT, profile TEXT, agent TEXT, model TEXT, status TEXT,"
        " started REAL, duration REAL, cost REAL, tokens INTEGER, verdict TEXT, score REAL,"
        " strength REAL, human TEXT, attempt_data TEXT NOT NULL, verdict_data TEXT NOT NULL)",
        "CREATE INDEX outcomes_task ON outcomes (task)",
        "CREATE TABLE embedders (number INTEGER PRIMARY KEY, id TEXT UNIQUE, dimensions INTEGER)",
        f"CREATE TABLE statistics {STATISTICS}",
        f"CREATE TABLE pruned_statistics {STATISTICS}",
    ):
        db.execute(statement)


MIGRATIONS: tuple[tuple[str, Callable[[Any], None]], ...] = (("first_schema", _first),)
"""(name, step); only ever appended to."""
VERSION = len(MIGRATIONS)


def migrate(db: Any, path: Path) -> None:
    """Brings the database to VERSION, after a backup when it held an older schema.

    A newer schema is refused untouched, with MemoryFileError.
    """
    found = _version(db)
    if found == VERSION:
        return
    if found > VERSION:
        raise MemoryFileError(
            f"{path} was written by a newer acr (schema {found}, this one knows {VERSION}); "
            "update acr"
        )
    if found:
        backup = path.with_name(f"{path.name}.schema-{found}.{int(time.time())}")
        db.execute("VACUUM INTO ?", (str(backup),))
        backup.chmod(0o600)
    db.execute("PRAGMA journal_mode = WAL")
    while (found := _version(db)) < VERSION:
        _step(db, found)


def _step(db: Any, number: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        if _version(db) == number:  # else another process was faster
            name, step = MIGRATIONS[number]
            step(db)
            db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT, applied REAL)")
            db.execute("INSERT INTO migrations VALUES (?, ?)", (name, time.time()))
            db.execute(f"PRAGMA user_version = {number + 1}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _version(db: Any) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
