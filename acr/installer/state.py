"""What acr has put where: one record a file, with the bytes from before, until it is taken out."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from acr import settings
from acr.errors import AcrError
from acr.files import replace_file
from acr.installer import Place

__all__ = ["Record", "backup", "forget", "get", "keep", "paths", "put", "sha"]


@dataclass(frozen=True, slots=True)
class Record:
    """One file that acr has changed."""

    agent: str
    before: str | None
    """SHA-256 of what was there before acr; None when nothing was."""
    after: str
    """SHA-256 of what acr wrote last."""
    exact: bool
    """Whether `before` is all that differs: nobody else changed the file between acr's changes."""
    folders: tuple[str, ...] = ()
    """Folders that acr made for it, outermost first."""


def sha(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def _file() -> Path:
    return settings.home() / "hooks" / "installed.json"


def _all() -> dict[str, Record]:
    try:
        data = json.loads(_file().read_bytes())
        return {
            path: Record(**{**found, "folders": tuple(found["folders"])})
            for path, found in data["files"].items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        fix = "delete it, and acr knows its hooks by their marker alone"
        raise AcrError(f"{_file()} cannot be read; {fix}") from None


def get(place: Place) -> Record | None:
    """The record of a file. Raises AcrError when the records cannot be read."""
    return _all().get(str(place.path))


def paths() -> list[str]:
    """The files with a record. Raises AcrError when the records cannot be read."""
    return list(_all())


def put(place: Place, record: Record | None) -> None:
    """Stores the record; None drops it."""
    records = _all()
    if record:
        records[str(place.path)] = record
    else:
        records.pop(str(place.path), None)
    data = {path: dataclasses.asdict(found) for path, found in sorted(records.items())}
    settings.folder("hooks")
    replace_file(_file(), json.dumps({"files": data}, indent=2) + "\n")


def _kept(place: Place) -> Path:
    name = hashlib.sha256(str(place.path).encode(errors="surrogateescape")).hexdigest()[:16]
    return settings.home() / "hooks" / "before" / f"{name}-{place.path.name}"


def keep(place: Place, content: bytes) -> None:
    """Keeps the bytes from before acr."""
    settings.folder("hooks", "before")
    replace_file(_kept(place), content)


def backup(place: Place) -> bytes | None:
    """The bytes from before acr; None when there are none."""
    with contextlib.suppress(FileNotFoundError):
        return _kept(place).read_bytes()
    return None


def forget(place: Place) -> None:
    """Drops the record and the bytes from before."""
    if get(place):
        put(place, None)
    _kept(place).unlink(missing_ok=True)
