"""Brings memory.db to the newest schema: backup first, all steps in one transaction."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acr.errors import MemoryFileError
from acr.memory import driver

if TYPE_CHECKING:
    from sqlite_utils import Migrations

__all__ = ["APPLICATION", "VERSION", "check_version", "migrate"]

VERSION = 8
"""How many steps acr.memory.schema has; the file carries it as user_version."""
MAGIC, FORMAT = b"SQLite format 3\0", struct.Struct(">16s44xi4xi")
"""How a database file begins: magic, user_version, application_id (sqlite.org/fileformat2.html)."""
APPLICATION = int.from_bytes(b"acr\0")
"""The application_id of the file, so that another program's database is not taken for acr's."""


def check_version(path: Path, version: int = VERSION) -> None:
    """Raises MemoryFileError when `path` is newer or foreign, having read its header only.

    SQLite itself would write beside it, or, told that nobody else does, take a file that another
    process is writing to for a damaged one.
    """
    with path.open("rb") as file:
        header = file.read(FORMAT.size)
    if len(header) == FORMAT.size:
        magic, found, application = FORMAT.unpack(header)
        if magic == MAGIC:
            _check(path, found, application, version, is_new=not found and not application)


def migrate(
    db: Any, path: Path, version: int = VERSION, steps: Callable[[], Migrations] | None = None
) -> None:
    """Brings the database to `version`, after a backup when it held an older schema.

    sqlite-utils runs the steps that are missing and records each by name. The backup is
    `memory.db.schema-OLD.TIME` beside it. Several processes may do this at once. Raises
    MemoryFileError, with nothing changed, when the schema is newer.
    """
    found = _found(db, path, version)
    if found == version:
        return
    from sqlite_utils import Database

    wanted = (steps or _shipped)()
    if found:
        _back_up(db, path, found)
    else:
        driver.insist(db, "PRAGMA journal_mode = WAL")
    driver.begin(db)
    try:
        wanted.apply(Database(db, recursive_triggers=False, execute_plugins=False))
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _found(db: Any, path: Path, version: int) -> int:
    """The file's schema version, 0 when it is new. Raises MemoryFileError for a wrong one."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    _check(path, found, application, version, is_new=not (found or application or tables))
    return found


def _check(path: Path, found: int, application: int, version: int, *, is_new: bool) -> None:
    if application != APPLICATION and not is_new:
        raise MemoryFileError(
            f"{path} is a database of another program; move it away or set another ACR_HOME"
        )
    if found > version:
        raise MemoryFileError(
            f"{path} was written by a newer acr (schema {found}, this one knows {version}); "
            "update acr"
        )


def _shipped() -> Migrations:
    from acr.memory.schema import steps

    return steps


def _back_up(db: Any, path: Path, found: int) -> None:
    backup = path.with_name(f"{path.name}.schema-{found}.{time.time_ns()}")
    os.close(os.open(backup, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        db.execute("VACUUM INTO ?", (str(backup),))
    except BaseException:
        backup.unlink()
        raise
