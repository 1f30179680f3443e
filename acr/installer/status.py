"""Whether acr's hooks are installed, enabled and trusted: three questions, three answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acr.errors import AcrError
from acr.installer import Agent, Place, codex_server, edit, get

__all__ = ["Spot", "Status", "look", "spots", "target"]


@dataclass(frozen=True, slots=True)
class Spot:
    """One file that holds hooks of acr's."""

    path: str
    scope: str
    events: tuple[str, ...]
    current: bool
    """Whether they are what this version would install."""


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with one agent."""

    agent: str
    installed: bool
    enabled: bool | None
    """None when it is not installed, or cannot be known."""
    trusted: bool | None
    """None when it is not installed, or cannot be known; agents that ask for no trust give it."""
    files: tuple[Spot, ...]
    notes: tuple[str, ...]
    """What is wrong, in sentences."""


def spots(agent: Agent, root: Path | None) -> list[Place]:
    """The user's files, and those of the repository `root`, that hold hooks of acr's."""
    return [place for place in _places(agent, root) if edit.hooks(place)]


def _places(agent: Agent, root: Path | None) -> list[Place]:
    """All files to look at, each once: a home may itself be a repository."""
    places = [*agent.places(None), *(agent.places(root) if root else ())]
    return list({place.path: place for place in reversed(places)}.values())[::-1]


def target(agent: Agent, root: Path | None) -> Place:
    """Where to install: where acr's hooks are already, else the agent's first choice."""
    places = agent.places(root)
    return next((place for place in places if edit.hooks(place)), places[0])


def look(name: str, cwd: Path, root: Path | None) -> Status:
    """How it stands with an agent in `cwd`, of the repository `root`."""
    agent = get(name)
    try:
        places = spots(agent, root)
        notes = [warning for r in (None, root) if (warning := agent.warning(r))]
    except AcrError as e:
        return Status(name, installed=False, enabled=None, trusted=None, files=(), notes=(str(e),))
    files = tuple(_spot(place) for place in places)
    if not files:
        return Status(name, installed=False, enabled=None, trusted=None, files=(), notes=())
    if not all(spot.current for spot in files):
        notes.append(f"not what this version installs; run: acr hooks install {name}")
    if len(files) > 1:
        notes.append("installed twice: every event is noted twice; uninstall one of the two")
    every = [edit.data(place) for place in _places(agent, root) if place.path.exists()]
    off = [setting for data in every if (setting := agent.disabled(data))]
    notes += [f"{setting} turns hooks off" for setting in off]
    if name == "codex":
        return _asked(files, notes, cwd, enabled=not off)
    return Status(name, True, not off, True, files, tuple(notes))


def _spot(place: Place) -> Spot:
    found = edit.hooks(place)
    current = edit.install(place)
    events = tuple(hook.event for hook in found)
    return Spot(str(place.path), place.scope, events, current.before == current.after)


def _asked(files: tuple[Spot, ...], notes: list[str], cwd: Path, *, enabled: bool) -> Status:
    """What Codex says of its hooks; unknown is said where it says nothing."""
    seen = codex_server.ask(cwd)
    if seen is None:
        notes.append("whether Codex trusts them is not known: it could not be asked")
        return Status("codex", True, None if enabled else False, None, files, tuple(notes))
    notes += [w for w in seen.warnings if any(Path(f.path).name in w for f in files)]
    count = sum(len(spot.events) for spot in files)
    on = [hook for hook in seen.hooks if hook.enabled]
    trusted = [hook for hook in seen.hooks if hook.runs]
    if len(seen.hooks) < count:
        notes.append(f"Codex sees {len(seen.hooks)} of {count} hooks")
    if len(on) < len(seen.hooks):
        notes.append(f"{len(seen.hooks) - len(on)} of {count} are turned off in Codex")
    if len(trusted) < len(seen.hooks):
        notes.append(
            f"{len(seen.hooks) - len(trusted)} of {count} are not trusted: Codex skips them "
            "silently; open codex, choose /hooks and trust them, or: "
            "acr hooks install codex --trust"
        )
    all_on = enabled and len(on) == count
    return Status("codex", True, all_on, len(trusted) == count, files, tuple(dict.fromkeys(notes)))
