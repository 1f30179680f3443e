"""Claude Code: settings.json of the user, or settings.local.json of a repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acr.installer import Place

__all__ = ["Claude"]


class Claude:
    """It reads strict JSON, and forgives a byte order mark."""

    name = "claude"
    title = "Claude Code"
    binary = "claude"

    def places(self, root: Path | None) -> tuple[Place, ...]:
        """settings.local.json is nobody else's: the hook names paths of this machine."""
        own = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
        folder = root / ".claude" if root else own.absolute()
        names = ["settings.local.json", "settings.json"][0 if root else 1 :]
        return tuple(Place(self.name, folder / name, "json", root, bom=True) for name in names)

    def warning(self, root: Path | None) -> str:
        """Nothing to say."""
        return ""

    def disabled(self, data: Mapping[str, Any]) -> str:
        """Its one switch for all hooks."""
        return "disableAllHooks" if data.get("disableAllHooks") is True else ""
