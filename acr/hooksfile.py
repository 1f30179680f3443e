"""hooks.json in acr's home: what the hooks that agents execute may do; they read it as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acr import settings
from acr.errors import SettingsError
from acr.files import replace_file
from acr.nouns import to_json

__all__ = ["HooksFile", "change", "load", "path"]


@dataclass(frozen=True, slots=True)
class HooksFile:
    """What is in the file; a hook without one only notes what happens."""

    python: str = ""
    """The Python that can `-m acr ingest`; `acr hooks install` writes it. Empty: not started."""
    advise: bool = False
    """Whether a prompt may get a line of context about a better profile."""
    subagents: bool = False
    """Whether sub-agents get a model of the pool."""
    pool: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Agent -> models that its sub-agents may have."""


KINDS: dict[str, Any] = {"python": str, "advise": bool, "subagents": bool, "pool": dict}


def path() -> Path:
    """Where it is."""
    return settings.home() / "hooks.json"


def load() -> HooksFile:
    """The file, or defaults where there is none. Raises SettingsError for one that is broken."""
    try:
        data = json.loads(path().read_bytes())
    except FileNotFoundError:
        return HooksFile()
    except (ValueError, RecursionError) as e:
        raise SettingsError(f"{path()}: {e}; mend it, or delete it for the defaults") from None
    if not isinstance(data, dict):
        raise SettingsError(f"{path()}: not a JSON object; delete it for the defaults")
    known = {name: data[name] for name in KINDS if name in data}
    for name, value in known.items():
        if not isinstance(value, KINDS[name]):
            raise SettingsError(f"{path()}: {name} must be {KINDS[name].__name__}, not {value!r}")
    pool = {str(agent): tuple(map(str, models)) for agent, models in known.get("pool", {}).items()}
    return HooksFile(**{**known, "pool": pool})


def change(**values: Any) -> HooksFile:
    """Writes the file with these fields changed."""
    settings.folder()
    made = replace(load(), **values)
    replace_file(path(), json.dumps(to_json(made), indent=2) + "\n")
    return made
