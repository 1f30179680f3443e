"""What can go wrong, as sentences for people: each message says what to do next."""

from __future__ import annotations

__all__ = [
    "AcrError",
    "AgentError",
    "BudgetError",
    "MemoryFileError",
    "NothingAllowedError",
    "SandboxError",
    "SettingsError",
    "UsageError",
]


class AcrError(Exception):
    """An expected error: printed as one line, exit code 1."""

    exit_code = 1


class UsageError(AcrError):
    """The command line asks for something impossible: exit code 2."""

    exit_code = 2


class SettingsError(AcrError):
    """A config or profile file is wrong; the message names file and line."""


class MemoryFileError(AcrError):
    """The memory database cannot be used; it is never replaced or reset."""


class NothingAllowedError(AcrError):
    """Rules, tries or budget leave no profile to choose; the message says which."""


class BudgetError(NothingAllowedError):
    """A cap of the budget leaves too little for what is asked."""


class SandboxError(AcrError):
    """No sandbox can be had, or the one that was asked for failed."""


class AgentError(AcrError):
    """No agent could run: exit code 5."""

    exit_code = 5
