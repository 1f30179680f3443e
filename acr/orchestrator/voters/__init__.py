"""What each source of evidence knows about each profile; one voter a file, one line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from acr.nouns import Vote
from acr.orchestrator.evidence import Evidence
from acr.orchestrator.voters import (
    ability,
    classifier,
    language_model,
    neighbours,
    own,
    prior,
    repository,
)
from acr.settings import OrchestratorSettings

__all__ = ["VOTERS", "Voter", "wanted"]

Voter = Callable[[Evidence], Vote]

VOTERS: tuple[Voter, ...] = (
    prior.vote,
    ability.vote,
    own.vote,
    repository.vote,
    classifier.vote,
    neighbours.vote,
)
"""Every voter, from the most general evidence to the most particular."""


def wanted(settings: OrchestratorSettings) -> tuple[Voter, ...]:
    """VOTERS, and a chat model where the user names one."""
    if not settings.gguf:
        return VOTERS
    return (*VOTERS, partial(language_model.vote, model=settings.gguf))
