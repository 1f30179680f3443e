"""What each source of evidence knows about each profile; one voter a file, one line here."""

from __future__ import annotations

from collections.abc import Callable

from acr.nouns import Vote
from acr.orchestrator.evidence import Evidence
from acr.orchestrator.voters import ability, classifier, neighbours, own, prior, repository

__all__ = ["VOTERS", "Voter"]

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
