"""SQLite with sqlite-vec on every Python, and its errors as sentences."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from acr.errors import AcrError, MemoryFileError

__all__ = ["ROUTES", "WAIT", "begin", "connect", "how", "insist", "speaking"]

INSTALL = "pip install pysqlite3"
WAIT = 5.0
"""Seconds to wait for another program that holds the database."""


def connect(path: str | Path, *, uri: bool = False) -> Any:
    """A connection with vec0 tables, in autocommit mode; rows are readable by name.

    Raises MemoryFileError when this Python cannot load sqlite-vec at all.
    """
    _, module, prepare = _route()
    connection = module.connect(
        str(path), timeout=WAIT, isolation_level=None, check_same_thread=False, uri=uri
    )
    connection.row_factory = module.Row
    prepare(connection)
    return connection


def begin(db: Any, wait: float = WAIT) -> None:
    """BEGIN IMMEDIATE, once no other program writes, for at most `wait` seconds."""
    insist(db, "BEGIN IMMEDIATE", wait)


def insist(db: Any, statement: str, wait: float = WAIT) -> None:
    """Runs a statement again while the database is locked, for at most `wait` seconds.

    Asks every few milliseconds: SQLite's own waiting asks ten times a second at last, so that
    many writers on a busy machine starve some of them, and it does not wait for everything.
    """
    deadline = time.monotonic() + wait
    db.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                db.execute(statement)
            except _route()[1].OperationalError as e:
                if "locked" not in str(e) or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 (spreads the writers)
            else:
                return
    finally:
        db.execute(f"PRAGMA busy_timeout = {round(1000 * WAIT)}")


def how() -> str:
    """Which way sqlite-vec is loaded, for `acr doctor`."""
    name, module, _ = _route()
    return f"{name}, SQLite {module.sqlite_version}"


@contextlib.contextmanager
def speaking(path: Path) -> Iterator[None]:
    """SQLite's and the file system's errors as MemoryFileError: what happened, what to do."""
    try:
        yield
    except AcrError:
        raise
    except OSError as e:
        raise MemoryFileError(
            f"{e.filename or path}: {e.strerror}; make the file and its folder readable and "
            "writable, or set ACR_HOME to another folder"
        ) from None
    except (sqlite3.Error, _route()[1].Error) as e:
        raise MemoryFileError(_sentence(path, str(e))) from None


def _sentence(path: Path, reason: str) -> str:
    hints = {
        "locked": "another program has held it for 5 s; try again when it is done",
        "not a database": "it is left as it is; move it away to begin anew, or restore a backup",
        "malformed": "it is left as it is; restore a backup, or move it away and bring an export "
        "back with acr memory import",
        "readonly": "make the file and its folder writable",
        "unable to open": "make the file and its folder readable and writable",
        "full": "free some disk space; nothing that was stored before is lost",
        "disk I/O": "check the disk; nothing that was stored before is lost",
    }
    hint = next((text for part, text in hints.items() if part in reason), "see acr memory check")
    return f"{path}: {reason}; {hint}"


Prepare = Callable[[Any], None]
"""What is done to each new connection."""


def _stdlib() -> tuple[Any, Prepare] | None:
    return (sqlite3, _load) if hasattr(sqlite3.Connection, "enable_load_extension") else None


def _pysqlite3() -> tuple[Any, Prepare] | None:
    if importlib.util.find_spec("pysqlite3") is None:
        return None
    return import_module("pysqlite3.dbapi2"), _load


def _ctypes() -> tuple[Any, Prepare] | None:
    """Registers vec0 with the SQLite library that Python's own module is linked to."""
    module = getattr(import_module("_sqlite3"), "__file__", None)
    try:
        register = ctypes.CDLL(module).sqlite3_auto_extension
        entry = ctypes.CDLL(_extension() + _SUFFIX).sqlite3_vec_init
    except (OSError, AttributeError):
        return None
    failed = register(ctypes.cast(entry, ctypes.c_void_p))
    return None if failed else (sqlite3, lambda connection: None)


ROUTES: dict[str, Callable[[], tuple[Any, Prepare] | None]] = {
    "load_extension": _stdlib,
    "pysqlite3": _pysqlite3,
    "auto_extension": _ctypes,
}
"""Ways to sqlite-vec, best first: many Pythons are built without enable_load_extension."""
_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"


@cache
def _route() -> tuple[str, Any, Prepare]:
    """(name, sqlite module, what to do to a connection) of the first way that is open."""
    for name, route in ROUTES.items():
        if found := route():
            return (name, *found)
    raise MemoryFileError(f"the sqlite3 of {sys.executable} cannot load sqlite-vec; {INSTALL}")


def _load(connection: Any) -> None:
    connection.enable_load_extension(True)
    connection.load_extension(_extension())
    connection.enable_load_extension(False)


@cache
def _extension() -> str:
    """Path of vec0 without its suffix. Importing sqlite_vec would import numpy, 90 ms."""
    spec = importlib.util.find_spec("sqlite_vec")
    if spec is None or not spec.submodule_search_locations:
        raise MemoryFileError("the package sqlite-vec is missing; pip install sqlite-vec")
    return str(Path(spec.submodule_search_locations[0]) / "vec0")
