"""What a gateway is told when it starts; it travels through a pipe, never a command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acr.nouns import Price
from acr.settings import GatewaySettings

__all__ = ["UPSTREAMS", "Config"]

UPSTREAMS = {
    "anthropic": "https://api.anthropic.com",
    "chatgpt": "https://chatgpt.com/backend-api/codex",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
"""Where calls go by default. Codex with a ChatGPT login calls chatgpt where others call openai."""


@dataclass(frozen=True, slots=True)
class Config:
    """One gateway."""

    id: str
    token: str
    """Stands in every address; a caller without it is refused."""
    upstreams: Mapping[str, str]
    """Name in the address -> base URL that the rest of the address is put behind."""
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    budget: float | None = None
    """USD; once that much is spent calls are refused."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Model -> USD per million tokens, where the user has said so."""
    credit: Mapping[str, float] = field(default_factory=dict)
    """Dimension -> factor on the odds that a cheaper model spoils a step, from verdicts."""
    port: int = 0
    """0 takes a free one."""
    record: str = ""
    """File that steps are written to; empty writes them to standard output."""
