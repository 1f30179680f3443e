"""Memory as JSON Lines: a header with the version, then one record a line."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any, BinaryIO, NoReturn

from acr import __version__
from acr.errors import AcrError, MemoryFileError
from acr.memory.shape import check
from acr.memory.statistics import Figures
from acr.memory.store import Judged, Memory, Record
from acr.nouns import Decision, Step, Task, from_json, to_json

__all__ = ["FORMAT", "VERSION", "dump", "load"]

FORMAT = "acr memory"
VERSION = 1
"""Of the lines; another is refused."""
BATCH = 100
"""Lines stored in one transaction: others may write in between."""
LONGEST = 1 << 27
"""Bytes of a line, at most."""
KINDS: dict[str, Any] = {"decision": Decision, "outcome": Judged, "figures": Figures, "step": Step}
"""Name in the line -> what it holds, besides tasks."""


def dump(memory: Memory) -> Generator[str, None, None]:
    """Lines, each with its end: tasks, decisions, outcomes, figures of pruned attempts, steps.

    The vector of a task is base64 of its int8 form; `embedder` names its space.
    """
    yield _line({"format": FORMAT, "version": VERSION, "acr": __version__, "written": time.time()})
    for record in memory.records():
        if isinstance(record, tuple):
            task, vector = record
            text = base64.b64encode(vector).decode() if vector else None
            yield _line({"task": to_json(task), "vector": text})
        else:
            name = next(name for name, kind in KINDS.items() if isinstance(record, kind))
            yield _line({name: to_json(record)})


def load(memory: Memory, stream: BinaryIO, name: str) -> Counter[str]:
    """Adds what is not there yet from a seekable stream; counts what was new, by kind.

    Every line is read before the first is stored. Raises MemoryFileError that names the line
    which is wrong. Loading again adds nothing more.
    """
    stream.seek(0)
    known = set(memory.tasks())
    for number, kind, record in _records(stream, name):
        if kind == "task":
            known.add(record[0].id)
        elif kind == "decision" and record.task not in known:
            _fail(name, number, f"its task {record.task} is not known")
        elif kind == "outcome" and record.attempt.task not in known:
            _fail(name, number, f"its task {record.attempt.task} is not known")
    stream.seek(0)
    added: Counter[str] = Counter()
    records = _records(stream, name)
    while batch := list(islice(records, BATCH)):
        added.update(_store(memory, batch, name))
    memory.prune(memory.capacity)
    return added


def _store(memory: Memory, batch: list[tuple[int, str, Record]], name: str) -> Counter[str]:
    added: Counter[str] = Counter()
    with memory.merging() as merge:
        for number, kind, record in batch:
            try:
                added[kind] += merge(record)
            except AcrError as e:
                _fail(name, number, str(e))
    return added


def _records(stream: BinaryIO, name: str) -> Iterator[tuple[int, str, Any]]:
    """(line, kind, record) of each line after the header."""
    _check_header(_object(stream.readline(LONGEST) or b"{}", name, 1), name)
    number = 1
    while line := stream.readline(LONGEST):
        number += 1
        if not line.strip():
            continue
        data = _object(line, name, number)
        kind = next((k for k in ("task", *KINDS) if k in data), "")
        try:
            yield number, kind, _record(kind, data)
        except ValueError as e:
            _fail(name, number, str(e))


def _record(kind: str, data: dict[str, Any]) -> Record:
    """Raises ValueError when `data` is not what an export holds."""
    if kind == "task":
        check(Task, data["task"], "task")
        check(str | None, data.get("vector"), "vector")
        return from_json(Task, data["task"] | {"embedding": None}), _vector(data.get("vector"))
    if kind not in KINDS:
        raise ValueError("neither task, decision, outcome, figures nor step")
    check(KINDS[kind], data[kind], kind)
    record: Record = from_json(KINDS[kind], data[kind])
    return record


def _vector(text: str | None) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if text else None
    except ValueError:
        raise ValueError("vector must be base64") from None


def _line(data: dict[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is not valid Unicode
        return json.dumps(data, allow_nan=False) + "\n"
    return text


def _object(line: bytes, name: str, number: int) -> dict[str, Any]:
    if len(line) >= LONGEST:
        _fail(name, number, f"longer than {LONGEST >> 20} MiB")
    try:
        data = json.loads(line.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        _fail(name, number, "not a JSON object")
    return data


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _check_header(data: dict[str, Any], name: str) -> None:
    if data.get("format") != FORMAT:
        raise MemoryFileError(f"{name} is not what acr memory export writes; nothing was imported")
    if data.get("version") != VERSION:
        raise MemoryFileError(
            f"{name} has version {data.get('version')} of the export, this acr knows {VERSION}; "
            "update the older acr"
        )


def _fail(name: str, number: int, what: str) -> NoReturn:
    raise MemoryFileError(f"{name}:{number}: {what}; mend the line or export again") from None
