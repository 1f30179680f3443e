"""opencode: a plugin file of acr's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acr.installer import Place

__all__ = ["Opencode"]


class Opencode:
    """It loads every file of its plugin folder."""

    name = "opencode"
    title = "opencode"
    binary = "opencode"

    def places(self, root: Path | None) -> tuple[Place, ...]:
        """One file, which nobody else writes."""
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config").absolute()
        folder = root / ".opencode" if root else config / "opencode"
        return (Place(self.name, folder / "plugin" / "acr.js", "js", root),)

    def warning(self, root: Path | None) -> str:
        """Nothing to say."""
        return ""

    def disabled(self, data: Mapping[str, Any]) -> str:
        """Nothing turns plugins off."""
        return ""
