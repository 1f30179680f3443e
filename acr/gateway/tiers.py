"""The tier maps: which model of a provider stands for a tier. One TOML file a provider family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

from acr import settings
from acr.agents import prices
from acr.nouns import TIERS, Price, Profile, Tier
from acr.settings import parse, read_toml, refuse
from acr.steps.nouns import Dialect

__all__ = ["Rung", "TierMap", "family", "list_price", "load_all", "user_folder"]


@dataclass(frozen=True, slots=True)
class Rung:
    """[minimal], [efficient], [mid], [frontier]: a tier of a tier map."""

    model: str
    """The model that steps of this tier go to."""
    known: tuple[str, ...] = ()
    """Shell patterns of other models that count as this tier."""
    drop: tuple[str, ...] = ()
    """Fields of a request that the model does not accept, as in output_config.effort."""
    price: Price | None = None
    """An override; without it the price table is asked."""

    def has(self, model: str) -> bool:
        """Whether `model` is of this tier."""
        return model == self.model or any(fnmatchcase(model, wanted) for wanted in self.known)


@dataclass(frozen=True, slots=True)
class TierMap:
    """A file in profiles/tiers: the models of one provider family that may stand in for another."""

    name: str
    dialects: tuple[Dialect, ...]
    """APIs that all of its models are had by: responses, chat, messages."""
    description: str = ""
    minimal: Rung | None = None
    efficient: Rung | None = None
    mid: Rung | None = None
    frontier: Rung | None = None
    path: str = field(default="", compare=False)

    @property
    def rungs(self) -> dict[Tier, Rung]:
        """Tier -> what stands for it, cheapest first."""
        found = {tier: cast("Rung | None", getattr(self, tier)) for tier in TIERS}
        return {tier: rung for tier, rung in found.items() if rung}

    def tier(self, model: str) -> Tier | None:
        """The tier of `model`; None when it is not of this family."""
        exact = (tier for tier, rung in self.rungs.items() if rung.model == model)
        known = (tier for tier, rung in self.rungs.items() if rung.has(model))
        return next(exact, None) or next(known, None)

    def price(self, model: str) -> Price | None:
        """USD per million tokens of `model`: the rung's own, else the price table's."""
        tier = self.tier(model)
        own = self.rungs[tier].price if tier else None
        return own or list_price(self.name, model)


def list_price(provider: str, model: str) -> Price | None:
    """USD per million tokens by the price table; None when nobody knows."""
    return prices.price(Profile("", "", f"{provider}/{model}", "mid"))


def user_folder() -> Path:
    """Where the user's own tier maps are; one of a shipped name takes its place."""
    return settings.home() / "profiles" / "tiers"


def load_all() -> dict[str, TierMap]:
    """Every tier map by name, the user's own first. Raises SettingsError with file and line."""
    shipped, own = settings.shipped("profiles") / "tiers", user_folder()
    files = {p.stem: p for f in (shipped, own) for p in sorted(f.glob("*.toml"))}
    first = sorted(files, key=lambda name: (files[name].parent != own, name))
    return {name: _load(files[name]) for name in first}


def family(maps: Iterable[TierMap], model: str, dialect: Dialect) -> TierMap | None:
    """The first map that knows `model` in this dialect."""
    fitting = (m for m in maps if dialect in m.dialects and m.tier(model))
    return next(fitting, None)


def _load(path: Path) -> TierMap:
    data, text = read_toml(path)
    filled: Mapping[str, object] = {"name": path.stem, **data}
    loaded = cast(TierMap, parse(TierMap, filled, text, path))
    if not loaded.rungs:
        refuse(text, path, "minimal, efficient, mid or frontier", "a table with a model", None)
    for tier, rung in loaded.rungs.items():
        if not rung.model:
            refuse(text, path, f"{tier}.model", "the model's name", "")
    return TierMap(**{n: getattr(loaded, n) for n in loaded.__slots__} | {"path": str(path)})
