"""Memory as JSON Lines: a header with the version, then one outcome a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from acr.errors import MemoryFileError
from acr.memory.store import Memory
from acr.nouns import Outcome, from_json, to_json

__all__ = ["FORMAT", "VERSION", "dump", "load"]

FORMAT = "acr-memory"
VERSION = 1


def dump(memory: Memory) -> Iterator[str]:
    """Lines, oldest outcome first. Vectors are kept with the name of their embedder."""
    yield json.dumps({"format": FORMAT, "version": VERSION})
    for outcome in memory.outcomes(newest_first=False):
        vector = memory.vector(outcome.task.id)
        full = replace(outcome, task=replace(outcome.task, embedding=vector))
        yield json.dumps(to_json(full), ensure_ascii=False)


def load(memory: Memory, lines: Iterable[str], name: str) -> int:
    """Adds the outcomes that are not there yet; returns how many came in.

    Raises MemoryFileError that names the line; what came before it is kept, and loading the
    mended file again adds the rest only.
    """
    known = {outcome.attempt.id for outcome in memory.outcomes()}
    added = 0
    for number, line in enumerate(lines, 1):
        data = _object(line, name, number)
        if number == 1:
            _check_header(data, name)
            continue
        try:
            outcome = from_json(Outcome, data)
            if outcome.attempt.id not in known:
                memory.add_outcome(outcome)
                added += 1
        except (TypeError, KeyError, ValueError, AttributeError, StopIteration):
            raise MemoryFileError(f"{name}:{number}: not an outcome of acr") from None
    return added


def _object(line: str, name: str, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise MemoryFileError(f"{name}:{number}: not a JSON object; export it again")
    return data


def _check_header(data: dict[str, Any], name: str) -> None:
    if data.get("format") != FORMAT:
        raise MemoryFileError(f"{name}: not an export of acr memory (acr memory export FILE)")
    if data.get("version") != VERSION:
        raise MemoryFileError(
            f"{name}: version {data.get('version')} of the export; this acr knows {VERSION}"
        )
