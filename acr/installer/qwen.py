"""Qwen Code: settings.json of the user or of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acr.installer import Place

__all__ = ["Qwen"]


class Qwen:
    """It allows comments and a byte order mark."""

    name = "qwen"
    title = "Qwen Code"
    binary = "qwen"

    def places(self, root: Path | None) -> tuple[Place, ...]:
        """One file."""
        file = (root or Path.home()) / ".qwen" / "settings.json"
        return (Place(self.name, file, "jsonc", root, bom=True),)

    def warning(self, root: Path | None) -> str:
        """Nothing to say."""
        return ""

    def disabled(self, data: Mapping[str, Any]) -> str:
        """Its one switch for all hooks."""
        return "disableAllHooks" if data.get("disableAllHooks") is True else ""
