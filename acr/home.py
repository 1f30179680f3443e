"""Where acr's state lives; imports next to nothing, for what must start at once."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["home"]


def home() -> Path:
    """The folder that holds all of acr's state: $ACR_HOME, else the platform's data folder."""
    set_by_user = os.environ.get("ACR_HOME")
    if set_by_user:
        return Path(set_by_user).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("acr", appauthor=False))
