"""acr: routes each coding task to the agent and model that wins on your code."""

__version__ = "0.1.0"

__all__ = ["__version__"]
