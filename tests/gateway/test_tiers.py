"""The tier maps that ship, and whose models they know."""

from __future__ import annotations

from pathlib import Path

import pytest

from acr.agents import profiles
from acr.gateway import tiers
from acr.nouns import TIERS


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_shipped_maps_agree_with_the_shipped_profiles(provider: str) -> None:
    found = tiers.load_all()[provider]
    for profile in profiles.load_all().values():
        if profile.provider == provider:
            model = profile.model.rpartition("/")[2]
            assert found.tier(model) == profile.tier, profile.name
    assert list(found.rungs) == [tier for tier in TIERS if tier in found.rungs]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_dearer_tiers_cost_more(provider: str) -> None:
    found = tiers.load_all()[provider]
    prices = [found.price(rung.model) for rung in found.rungs.values()]
    outputs = [price.output for price in prices if price]
    assert len(outputs) == len(prices)
    assert outputs == sorted(outputs)


def test_a_family_is_found_by_model_and_dialect() -> None:
    maps = tiers.load_all().values()
    found = tiers.family(maps, "claude-haiku-4-5-20251001", "messages")
    assert found
    assert found.name == "anthropic"
    assert found.tier("claude-haiku-4-5-20251001") == "minimal"
    assert tiers.family(maps, "claude-haiku-5-5", "chat") is None
    assert tiers.family(maps, "mistral", "chat") is None


def test_a_users_map_takes_the_place_of_a_shipped_one(home: Path) -> None:
    folder = home / "profiles" / "tiers"
    folder.mkdir(parents=True)
    (folder / "openai.toml").write_text('dialects = ["chat"]\n[mid]\nmodel = "mine"\n')
    (folder / "zeta.toml").write_text('dialects = ["messages"]\n[mid]\nmodel = "claude-opus-5-5"\n')
    maps = tiers.load_all()
    assert list(maps) == ["openai", "zeta", "anthropic"]
    assert list(maps["openai"].rungs) == ["mid"]
    found = tiers.family(maps.values(), "claude-opus-5-5", "messages")
    assert found
    assert found.name == "zeta"
