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
    from acr.nouns import to_json
    from acr.verifier.sandbox import candidates, engines

    config = settings.load().verifier
    tried = {engine.name: (engine.grade, engine.probe()) for engine in engines(config)}
    used = next((name for name in candidates(config) if tried[name][1].ok), None)
    if as_json:
        told = {name: {"grade": grade, **to_json(probe)} for name, (grade, probe) in tried.items()}
        emit_json({"setting": config.sandbox, "used": used, "engines": told})
        return
    for name, (grade, probe) in tried.items():
        mark = "✓" if probe.ok else "✗"
        said = probe.version if probe.ok else probe.reason
        note = "your own rights, only when asked for" if name == "none" else f"{said} ({grade})"
        out().print(clean(f"{mark} {name} {note}"))
        if not probe.ok and probe.fix:
            out().print(clean(f"    {probe.fix}"))
    where = f"tests run in {used}" if used else "tests are not run"
    out().print(clean(f"{where} (verifier.sandbox = {config.sandbox})"))
