"""Gemini CLI: settings.json of the user or of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acr.installer import Place
from acr.installer.command import is_ours

__all__ = ["Gemini"]


class Gemini:
    """It allows comments but no byte order mark."""

    name = "gemini"
    title = "Gemini CLI"
    binary = "gemini"

    def places(self, root: Path | None) -> tuple[Place, ...]:
        """One file."""
        file = (root or Path.home()) / ".gemini" / "settings.json"
        return (Place(self.name, file, "jsonc", root),)

    def warning(self, root: Path | None) -> str:
        """Nothing to say."""
        return ""

    def disabled(self, data: Mapping[str, Any]) -> str:
        """Its switch for all hooks, or its list of those that are off."""
        about = data.get("hooksConfig")
        if not isinstance(about, dict):
            return ""
        if about.get("enabled") is False:
            return "hooksConfig.enabled"
        off = about.get("disabled")
        mine = (
            [c for c in off if isinstance(c, str) and is_ours(c)] if isinstance(off, list) else []
        )
        return "hooksConfig.disabled" if mine else ""
