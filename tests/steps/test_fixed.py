"""Routers that do not think, and how one is named."""

from __future__ import annotations

import pytest

from acr.errors import SettingsError
from acr.settings import GatewaySettings
from acr.steps import ROUTERS, make
from acr.steps.fixed import AsAsked, Pinned
from acr.steps.nouns import StepRequest


def request(position: int = 0) -> StepRequest:
    """A call."""
    return StepRequest("chat", "m", {}, "s", position, 0.0)


def test_as_asked_names_no_tier() -> None:
    assert AsAsked().route(request()).tier is None


def test_pinned_tiers_are_taken_in_turn() -> None:
    router = Pinned(("frontier", "minimal"))
    assert [router.route(request(n)).tier for n in range(3)] == ["frontier", "minimal", "frontier"]


def test_routers_are_made_by_name() -> None:
    for name in ("", *ROUTERS):
        assert make(GatewaySettings(router=name)).route(request()).reason
    assert make(GatewaySettings(router="mid")) == Pinned(("mid",))
    turns = GatewaySettings(router=" frontier, minimal ")
    assert make(turns) == Pinned(("frontier", "minimal"))


@pytest.mark.parametrize("name", ["oracle", "mid,", "mid,oracle", ","])
def test_an_unknown_router_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="no router called"):
        make(GatewaySettings(router=name))
