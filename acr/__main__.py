"""The `acr` program: answers --version at once and hands everything else to the command line."""

from __future__ import annotations

import sys

from acr import __version__

__all__ = ["main"]


def main() -> None:
    """Runs acr with the process's arguments and exits with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"acr {__version__}")  # noqa: T201  # typer alone would double the time
        return
    if sys.argv[1:] == ["status", "--short"]:
        from acr.cli import short

        if line := short.line():
            short.write(line)
            return
    if sys.platform == "win32":
        sys.exit("acr: native Windows is not supported; run acr inside WSL (wsl --install)")
    from acr.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
