"""Which arm a session's model is: the profile that has it, else a name of its own."""

from __future__ import annotations

from collections.abc import Sequence

from acr.nouns import Profile
from acr.orchestrator.benchmark import same_model

__all__ = ["profile"]


def profile(profiles: Sequence[Profile], agent: str, model: str, effort: str | None) -> Profile:
    """The agent's profile of that model, of the same effort if there is one.

    Without one it is `AGENT/MODEL`, which statistics show and which counts by its model.
    """
    same = [p for p in profiles if p.agent == agent and model and same_model(p.model, model)]
    same.sort(key=lambda p: (p.effort != effort, p.effort is not None, p.name))
    return next(iter(same), Profile(f"{agent}/{model or 'unknown'}", agent, model, "mid"))
