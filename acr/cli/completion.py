"""acr completion: the shell's completion script, printed or put where the shell looks for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from acr.errors import UsageError

__all__ = ["app"]

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog='For this session: eval "$(acr completion bash)" · fish: acr completion fish | source'
)
def completion(
    shell: Annotated[
        Shell | None, typer.Argument(help="The shell; without it, the one of $SHELL.")
    ] = None,
    *,
    install: Annotated[
        bool, typer.Option("--install", help="Write the script where the shell looks for it.")
    ] = False,
) -> None:
    """Prints the completion script of acr for bash, zsh or fish."""
    from typer._completion_shared import get_completion_script

    chosen = shell or _login_shell()
    script = get_completion_script(prog_name="acr", complete_var="_ACR_COMPLETE", shell=chosen)
    if not install:
        sys.stdout.write(f"{script}\n")
        return
    from acr.cli.console import clean, out
    from acr.files import replace_file

    file = _place(chosen)
    replace_file(file, f"{script}\n")
    out().print(clean(f"{file} written; it holds in new {chosen} sessions."))
    if hint := _hint(chosen, file):
        out().print(clean(hint))


def _login_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in SHELLS:
        if shell == name:
            return shell
    raise UsageError(f"which shell? $SHELL is {name or 'empty'}; say acr completion bash|zsh|fish")


def _place(shell: Shell) -> Path:
    """Where `shell` looks for scripts of the user; no start-up file is edited."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return {
        "bash": data / "bash-completion/completions/acr",
        "zsh": data / "zsh/site-functions/_acr",
        "fish": config / "fish/completions/acr.fish",
    }[shell]


def _hint(shell: Shell, file: Path) -> str:
    """What the user's start-up file must say for it to be found; empty when nothing."""
    if shell == "zsh":
        return (
            "zsh looks there once ~/.zshrc has this line before compinit runs: "
            f"fpath+=({file.parent}); autoload -Uz compinit && compinit"
        )
    if shell == "bash":
        return (
            "bash reads it when the package bash-completion is active; otherwise add this line "
            f"to ~/.bashrc: source {file}"
        )
    return ""
