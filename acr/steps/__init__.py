"""Which tier answers the next step of an agent. A new router is one file and one line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from acr.errors import SettingsError
from acr.nouns import TIERS
from acr.settings import GatewaySettings
from acr.steps.nouns import Router

__all__ = ["DEFAULT", "ROUTERS", "make"]

ROUTERS = {
    "as-asked": "acr.steps.fixed:as_asked",
    "steps": "acr.steps.router:from_settings",
}
"""Router name -> what makes one of [gateway]."""
DEFAULT = "steps"


def make(limits: GatewaySettings, credit: Mapping[str, float] | None = None) -> Router:
    """The router that the settings name (none: the default), or tiers in turn: `frontier,minimal`.

    `credit`: see acr.steps.learning. Raises SettingsError for another name, or impossible rules.
    """
    name = limits.router or DEFAULT
    tiers = tuple(tier for word in name.split(",") for tier in TIERS if tier == word.strip())
    if tiers and len(tiers) == name.count(",") + 1:
        from acr.steps.fixed import Pinned

        return Pinned(tiers)
    if name not in ROUTERS:
        known = ", ".join(ROUTERS)
        raise SettingsError(
            f"gateway.router: no router called {name!r}; known: {known}, or tiers in turn, "
            "such as frontier,minimal"
        )
    module, _, kind = ROUTERS[name].partition(":")
    return cast(Router, getattr(import_module(module), kind)(limits, credit or {}))
