"""Codex CLI: hooks.json, or [hooks] in config.toml, and the trust that it asks for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acr.installer import Place, edit

__all__ = ["Codex", "config", "keys", "moved"]


def _home() -> Path:
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex").absolute()


def config() -> Place:
    """The user's config.toml, which also says what is trusted."""
    return Place("codex", _home() / "config.toml", "toml", bom=True)


def keys(place: Place) -> list[str]:
    """Under which names Codex keeps trust for acr's hooks in the file: they tell their place."""
    files = {str(place.path), os.path.realpath(place.path)}
    return [
        f"{file}:{_snake(found.event)}:{found.group}:{found.handler}"
        for file in sorted(files)
        for found in edit.hooks(place)
    ]


def moved(place: Place) -> int:
    """How many groups of others stand behind acr's: without it Codex knows them no more."""
    hooks = edit.data(place).get("hooks", {})
    ours: dict[str, set[int]] = {}
    for found in edit.hooks(place):
        ours.setdefault(found.event, set()).add(found.group)
    return sum(n > min(at) and n not in at for e, at in ours.items() for n in range(len(hooks[e])))


def _snake(event: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event).lower()


class Codex:
    """It reads strict JSON with no byte order mark, and warns when hooks are in both files."""

    name = "codex"
    title = "Codex CLI"
    binary = "codex"

    def places(self, root: Path | None) -> tuple[Place, ...]:
        """hooks.json, unless hooks are in config.toml and hooks.json is not there."""
        folder = root / ".codex" if root else _home()
        json = Place(self.name, folder / "hooks.json", "json", root)
        toml = Place(self.name, folder / "config.toml", "toml", root, bom=True)
        in_use = _has_hooks(toml) and not json.path.exists()
        return (toml, json) if in_use else (json, toml)

    def warning(self, root: Path | None) -> str:
        """Codex warns at each start when a folder has hooks in both files."""
        if not all(_has_hooks(place) for place in self.places(root)):
            return ""
        one, two = (place.path for place in self.places(root))
        return f"hooks are both in {one} and {two.name}; Codex wants them in one of the two"

    def disabled(self, data: Mapping[str, Any]) -> str:
        """Its switch for all hooks."""
        features = data.get("features")
        off = isinstance(features, dict) and features.get("hooks") is False
        return "features.hooks" if off else ""


def _has_hooks(place: Place) -> bool:
    """Whether anybody's hooks are in the file; what is trusted does not count."""
    hooks = edit.data(place).get("hooks")
    return isinstance(hooks, dict) and bool(hooks.keys() - {"state"})
