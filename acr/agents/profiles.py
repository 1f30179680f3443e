"""The profiles: one TOML file each, shipped ones and the user's; Codex gets copies of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from acr import settings
from acr.agents import ADAPTERS
from acr.errors import AcrError, SettingsError, UsageError
from acr.files import replace_file
from acr.nouns import Price, Profile
from acr.settings import parse, read_toml, refuse

__all__ = ["Synced", "load_all", "load_file", "remove", "save", "sync", "user_folder"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Names that every agent takes as a file name (Codex: letters, digits, - and _)."""
OWN = "# Written by acr profiles sync; changes are overwritten. The source is the acr profile.\n"


def user_folder() -> Path:
    """Where the user's own profiles are."""
    return settings.home() / "profiles"


def load_all() -> dict[str, Profile]:
    """Every profile by name, sorted; the user's own win over shipped ones of the same name.

    Raises SettingsError that names file and line.
    """
    files = [*_files(settings.shipped("profiles")), *_files(user_folder())]
    found = {path.stem: load_file(path) for path in files}
    return dict(sorted(found.items()))


def load_file(path: Path) -> Profile:
    """The profile in a TOML file; its name is the file's. Raises SettingsError."""
    if not NAME.fullmatch(path.stem):
        raise SettingsError(f"{path}: a profile's name has letters, digits, - and _ only")
    try:
        data, text = read_toml(path)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such profile") from None
    for own in ("name", "path"):
        if own in data:
            raise SettingsError(f"{path}: take {own} out; a profile is named by its file")
    filled = {"name": path.stem, **data}
    profile = cast(Profile, parse(Profile, filled, text, path))
    if profile.agent not in ADAPTERS:
        refuse(text, path, "agent", "one of " + ", ".join(ADAPTERS), profile.agent)
    if not profile.model:
        refuse(text, path, "model", "the model's name", "")
    return replace(profile, path=str(path))


def save(profile: Profile) -> Path:
    """Writes the user's own profile, whole or not at all. Raises UsageError for a bad name."""
    if not NAME.fullmatch(profile.name):
        raise UsageError(f"{profile.name!r}: a profile's name has letters, digits, - and _ only")
    path = user_folder() / f"{profile.name}.toml"
    replace_file(path, _toml(profile))
    return path


def remove(name: str) -> Path:
    """Deletes the user's own profile. Raises UsageError for one that is shipped or unknown."""
    path = user_folder() / f"{name}.toml"
    if path.is_file():
        path.unlink()
        return path
    if name in load_all():
        raise UsageError(
            f"{name} ships with acr; to leave it out put it under deny_profiles in [pool]"
        )
    raise UsageError(f"no profile called {name!r}; see acr profiles")


@dataclass(frozen=True, slots=True)
class Synced:
    """What sync did."""

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def sync(profiles: Iterable[Profile], codex_home: Path) -> Synced:
    """Makes `acr-NAME.config.toml` in CODEX_HOME for each Codex profile, and removes stale ones.

    Only files that begin with acr's own line are touched. Raises AcrError for a file of that
    name that is somebody else's, and when CODEX_HOME is missing.
    """
    import tomli_w

    if not codex_home.is_dir():
        raise AcrError(f"{codex_home} does not exist; run codex once, or set CODEX_HOME")
    wanted = {
        f"acr-{p.name}.config.toml": OWN + tomli_w.dumps(_codex(p))
        for p in profiles
        if p.agent == "codex"
    }
    mine = {p.name: p for p in codex_home.glob("acr-*.config.toml") if _is_own(p)}
    for name in wanted:
        if (codex_home / name).exists() and name not in mine:
            raise AcrError(f"{codex_home / name} is not acr's; move it away and sync again")
    written, unchanged = [], []
    for name, text in wanted.items():
        if name in mine and mine[name].read_text(encoding="utf-8") == text:
            unchanged.append(name)
        else:
            replace_file(codex_home / name, text)
            written.append(name)
    stale = sorted(mine.keys() - wanted.keys())
    for name in stale:
        mine[name].unlink()
    return Synced(tuple(written), tuple(unchanged), tuple(stale))


def _codex(profile: Profile) -> dict[str, Any]:
    effort = {"model_reasoning_effort": profile.effort} if profile.effort else {}
    return {"model": profile.model, **effort}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))


def _is_own(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline() == OWN
    except (OSError, UnicodeDecodeError):
        return False


def _toml(profile: Profile) -> str:
    import tomli_w

    from acr.nouns import to_json

    data = _without(to_json(profile), (None, "", [], False))
    data.pop("name")
    data.pop("path", None)
    price = _without(data.pop("price", {}), (None, [], Price(0, 0).currency))
    if "long" in price:
        price["long"] = [_without(rates, (None,)) for rates in price["long"]]
    return tomli_w.dumps({**data, **({"price": price} if price else {})})


def _without(data: dict[str, Any], defaults: tuple[Any, ...]) -> dict[str, Any]:
    """`data` without what says nothing; 0 and 0.0 say something, False does not."""
    return {k: v for k, v in data.items() if not any(v is d or v == d != 0 for d in defaults)}
