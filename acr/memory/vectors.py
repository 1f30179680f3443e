"""Vectors as int8 in sqlite-vec tables, one table per embedder: spaces are never mixed."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from acr.errors import MemoryFileError
from acr.memory.driver import connect, how

__all__ = [
    "SCALE",
    "add",
    "connect",
    "dequantise",
    "how",
    "quantise",
    "read",
    "remove",
    "spaces",
    "table",
    "wrong",
]

SCALE = 127 * 4
"""Components of unit vectors mostly lie within ±0.25; the few outside are clipped (recall .993)."""


def quantise(vector: Sequence[float]) -> bytes:
    """A unit vector as int8, one byte per dimension."""
    return array("b", [max(-127, min(127, round(x * SCALE))) for x in vector]).tobytes()


def dequantise(stored: bytes) -> tuple[float, ...]:
    """A unit vector from its int8 form; a zero vector stays zero."""
    values = array("b", stored)
    norm = sum(x * x for x in values) ** 0.5 or 1.0
    return tuple(x / norm for x in values)


def add(db: Any, row: int, embedder: str, stored: bytes) -> None:
    """Stores the int8 vector of task row `row`. Raises MemoryFileError on another length."""
    name = table(db, embedder, len(stored)) or _new_table(db, embedder, len(stored))
    db.execute(f"INSERT INTO {name} (rowid, embedding) VALUES (?, vec_int8(?))", (row, stored))


def read(db: Any, row: int, embedder: str) -> bytes | None:
    """The int8 vector of task row `row`; None when it has none."""
    name = table(db, embedder)
    found = name and db.execute(f"SELECT embedding FROM {name} WHERE rowid = ?", (row,))
    first = found.fetchone() if found else None
    return bytes(first[0]) if first else None


def remove(db: Any, row: int, embedder: str) -> None:
    """Deletes the vector of task row `row`; sqlite-vec overwrites its bytes."""
    if name := table(db, embedder):
        db.execute(f"DELETE FROM {name} WHERE rowid = ?", (row,))


def spaces(db: Any) -> dict[str, int]:
    """Embedder -> how many vectors it has."""
    rows = db.execute("SELECT number, id FROM embedders ORDER BY number").fetchall()
    count = "SELECT count(*) FROM vectors_{}_rowids"
    return {row["id"]: db.execute(count.format(row["number"])).fetchone()[0] for row in rows}


def wrong(db: Any) -> list[str]:
    """Embedders whose vectors do not fit the tasks, one sentence each."""
    sentences = []
    for row in db.execute("SELECT number, id FROM embedders ORDER BY number").fetchall():
        odd = db.execute(
            f"WITH have AS (SELECT rowid FROM vectors_{row['number']}_rowids),"
            " want AS (SELECT seq FROM tasks WHERE embedder = ?)"
            " SELECT (SELECT count(*) FROM want WHERE seq NOT IN have)"
            " + (SELECT count(*) FROM have WHERE rowid NOT IN want)",
            (row["id"],),
        ).fetchone()[0]
        if odd:
            sentences.append(f"{row['id']}: {odd} tasks and vectors do not belong together")
    return sentences


def table(db: Any, embedder: str, dimensions: int = 0) -> str | None:
    """The table of an embedder; None when it has none yet. `dimensions` are checked."""
    row = db.execute(
        "SELECT number, dimensions FROM embedders WHERE id = ?", (embedder,)
    ).fetchone()
    if row is None:
        return None
    if dimensions and row["dimensions"] != dimensions:
        raise MemoryFileError(
            f"vectors of {embedder} have {row['dimensions']} dimensions here, not {dimensions}: "
            "the model has changed under its name; set embedding.model to another"
        )
    return f"vectors_{row['number']}"


def _new_table(db: Any, embedder: str, dimensions: int) -> str:
    number = db.execute(
        "INSERT INTO embedders (id, dimensions) VALUES (?, ?)", (embedder, dimensions)
    ).lastrowid
    name = f"vectors_{number}"
    db.execute(f"CREATE VIRTUAL TABLE {name} USING vec0(embedding int8[{dimensions}])")
    return name
