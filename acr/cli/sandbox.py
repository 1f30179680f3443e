"""acr sandbox: where tests can run on this machine."""

from __future__ import annotations

import typer

from acr import settings
from acr.cli.run import AsJson

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Shows the sandboxes that tests can run in."""
    if context.invoked_subcommand is None:
        status(as_json=as_json)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Tries every engine by running a trivial sandbox, and says what to do where one fails."""
    from acr.cli.console import clean, emit_json, out
    from acr.verifier.sandbox import engines

    wanted = settings.load().verifier
    probes = {engine.name: engine.probe() for engine in engines(wanted)}
    if as_json:
        emit_json({"setting": wanted.sandbox, "engines": probes})
        return
    for name, probe in probes.items():
        mark = "✓" if probe.ok else "✗"
        out().print(clean(f"{mark} {name} {probe.version if probe.ok else probe.reason}".rstrip()))
        if not probe.ok and probe.fix:
            out().print(clean(f"    {probe.fix}"))
    out().print(clean(f"setting: verifier.sandbox = {wanted.sandbox}"))
