"""Routers that do not think: the model that was asked for, or tiers by turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acr.nouns import Tier, Usage
from acr.settings import GatewaySettings
from acr.steps.nouns import StepChoice, StepRequest

__all__ = ["AsAsked", "Pinned", "as_asked"]


class AsAsked:
    """Leaves every step on the model that the agent asked for."""

    def route(self, request: StepRequest) -> StepChoice:
        """No tier."""
        return StepChoice(None, "", "as asked")

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """Nothing to learn."""


def as_asked(limits: GatewaySettings, credit: Mapping[str, float]) -> AsAsked:
    """The settings do not matter to it."""
    return AsAsked()


@dataclass(frozen=True, slots=True)
class Pinned:
    """Gives the steps of a session these tiers in turn; one tier pins them all."""

    tiers: tuple[Tier, ...]

    def route(self, request: StepRequest) -> StepChoice:
        """By position alone."""
        tier = self.tiers[request.position % len(self.tiers)]
        return StepChoice(tier, "", f"pinned to {tier}")

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """Nothing to learn."""
