"""acr export: outcomes as a table for other programs."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.errors import AcrError, UsageError

__all__ = ["app"]

Table = Literal["outcomes", "runs", "win_rates", "spend_by_day"]
Format = Literal["csv", "jsonl", "parquet"]
ROWS = 10_000
"""Rows of a group in a Parquet file."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: acr export > outcomes.csv · acr export runs --format jsonl --out runs.jsonl"
)
def export(
    table: Annotated[
        Table, typer.Argument(help="What one row is about; memory.db has views of these names.")
    ] = "outcomes",
    *,
    kind: Annotated[
        Format, typer.Option("--format", "-f", help="parquet needs pyarrow and --out.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A new file; else stdout.")
    ] = None,
    columns: Annotated[
        bool, typer.Option("--columns", help="Explain the columns instead; also as --json.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Writes outcomes, runs, win rates or spend by day as CSV, JSON Lines or Parquet.

    Null (empty in CSV) is unknown. `acr memory export` writes what `acr memory import` reads.
    """
    from acr import loop
    from acr.memory.views import VIEWS

    view = VIEWS[table]
    if columns:
        return _explain(table, as_json)
    if as_json:
        raise UsageError("--json belongs to --columns; for rows as JSON use --format jsonl")
    if kind == "parquet" and (out is None or str(out) == "-"):
        raise UsageError("Parquet is no text; name a file with --out")
    arrow = _pyarrow() if kind == "parquet" else None
    with (
        loop.open_memory(settings.load()) as memory,
        contextlib.closing(memory.view(table)) as rows,
        _opened(out) as stream,
    ):
        if arrow:
            _parquet(arrow, stream, view.columns, rows)
        else:
            (_csv if kind == "csv" else _jsonl)(stream, tuple(view.columns), rows)
    return None


def _explain(table: Table, as_json: bool) -> None:
    from acr.cli.console import clean, emit_json, out
    from acr.cli.console import table as empty
    from acr.memory.views import VIEWS

    view = VIEWS[table]
    if as_json:
        told = [{"name": n, "type": t, "about": a} for n, (t, a) in view.columns.items()]
        return emit_json({"table": table, "about": view.about, "columns": told})
    out().print(clean(f"{table}: {view.about}"))
    shown = empty("column", "type", "what it is")
    for name, (kind, about) in view.columns.items():
        shown.add_row(name, kind, clean(about))
    return out().print(shown)


def _csv(stream: TextIO, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)


def _jsonl(stream: TextIO, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        line = dict(zip(names, row, strict=True))
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _parquet(arrow: Any, stream: TextIO, columns: Any, rows: Iterable[tuple[Any, ...]]) -> None:
    """Row group by row group, so that memory stays small."""
    from importlib import import_module
    from itertools import islice

    kinds = {"text": arrow.string(), "integer": arrow.int64(), "real": arrow.float64()}
    schema = arrow.schema([(name, kinds[kind]) for name, (kind, _) in columns.items()])
    parquet = import_module("pyarrow.parquet")
    with parquet.ParquetWriter(stream.buffer, schema) as writer:
        left = iter(rows)
        while group := list(islice(left, ROWS)):
            cells = zip(zip(*group, strict=True), schema, strict=True)
            data = [arrow.array(_fitting(values, c.type == kinds["text"]), c.type)
                    for values, c in cells]  # fmt: skip
            writer.write_table(arrow.Table.from_arrays(data, schema=schema))


def _fitting(values: Iterable[Any], is_text: bool) -> list[Any]:
    """SQLite has no strict types: a column of text may hold what looks like a number."""
    return [str(v) if is_text and v is not None else v for v in values]


def _pyarrow() -> Any:
    from importlib import import_module

    try:
        return import_module("pyarrow")
    except ImportError as e:
        fix = f"{sys.executable} -m pip install pyarrow"
        raise AcrError(f"Parquet needs pyarrow ({e}); {fix}, or use --format jsonl") from None


@contextlib.contextmanager
def _opened(file: Path | None) -> Iterator[TextIO]:
    """Standard output, or a new file that is private to the user and whole or not there."""
    if file is None or str(file) == "-":
        yield sys.stdout
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{file} is there already; choose a new name") from None
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as stream:
            yield stream
    except BaseException:  # half a table is no table
        file.unlink()
        raise
