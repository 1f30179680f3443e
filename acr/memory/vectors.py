"""SQLite with sqlite-vec on every Python, and int8 vectors that are compared by cosine."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import re
import sqlite3
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from acr.errors import MemoryFileError

__all__ = ["Row", "connect", "cosine", "how", "quantise", "restore"]

SCALE = 127 * 4
"""Components of unit vectors mostly lie within ±0.25; the few outside are clipped (recall .993)."""
Row = sqlite3.Row


def connect(path: str) -> Any:
    """A connection with vec0 tables, in autocommit mode; rows are readable by name.

    Raises MemoryFileError when this Python cannot load sqlite-vec at all.
    """
    module, load = _driver()
    connection = module.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    connection.row_factory = module.Row
    if load:
        connection.enable_load_extension(True)
        connection.load_extension(_extension())
        connection.enable_load_extension(False)
    return connection


def how() -> str:
    """Which way sqlite-vec is loaded, for `acr doctor`."""
    module, load = _driver()
    return f"{module.__name__} {module.sqlite_version}, " + ("extension" if load else "ctypes")


def quantise(vector: Sequence[float]) -> bytes:
    """A unit vector as int8, for sqlite-vec."""
    return array("b", [max(-127, min(127, round(x * SCALE))) for x in vector]).tobytes()


def restore(raw: bytes) -> tuple[float, ...]:
    """A unit vector from its int8 form."""
    numbers = array("b", raw)
    norm = sum(x * x for x in numbers) ** 0.5 or 1.0
    return tuple(x / norm for x in numbers)


def cosine(distance: float) -> float:
    """The cosine of two unit vectors from the L2 distance of their int8 forms.

    sqlite-vec's own cosine is twice as slow (27 against 13 ms over 20,000 rows).
    """
    return 1.0 - (distance / SCALE) ** 2 / 2


@cache
def _driver() -> tuple[Any, bool]:
    """(sqlite module, whether the extension is loaded per connection).

    Some Pythons are built without enable_load_extension: then pysqlite3 when it is there, else
    the extension is registered in the SQLite library that the process has loaded.
    """
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        return sqlite3, True
    if importlib.util.find_spec("pysqlite3"):
        return importlib.import_module("pysqlite3.dbapi2"), True
    _register()
    return sqlite3, False


def _register() -> None:
    library = _loaded_sqlite()
    if library is None:
        raise MemoryFileError(
            f"the sqlite3 of {sys.executable} cannot load sqlite-vec; pip install pysqlite3"
        )
    sqlite, vec = ctypes.CDLL(library), ctypes.CDLL(_extension_file())
    entry = ctypes.cast(vec.sqlite3_vec_init, ctypes.c_void_p)
    if sqlite.sqlite3_auto_extension(entry):
        raise MemoryFileError("SQLite refused sqlite-vec; pip install pysqlite3")


def _loaded_sqlite() -> str | None:
    """The SQLite library that this process has mapped; None when it is built into Python."""
    with contextlib.suppress(OSError):
        found = re.search(r"(/\S*libsqlite3\.so\S*)", Path("/proc/self/maps").read_text())
        return found.group(1) if found else None
    from ctypes.util import find_library

    return find_library("sqlite3")


@cache
def _extension() -> str:
    """Path of vec0 without its suffix. Importing sqlite_vec would import numpy, 90 ms."""
    spec = importlib.util.find_spec("sqlite_vec")
    if spec is None or not spec.submodule_search_locations:
        raise MemoryFileError("the package sqlite-vec is missing; pip install sqlite-vec")
    return str(Path(spec.submodule_search_locations[0]) / "vec0")


def _extension_file() -> str:
    return _extension() + (".dylib" if sys.platform == "darwin" else ".so")
