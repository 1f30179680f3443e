"""acr calibrate: fits what votes count, and what kinds are read, to one's own outcomes."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.errors import AcrError
from acr.nouns import DIMENSIONS, TIERS, Task

if TYPE_CHECKING:
    from acr.memory.store import Memory
    from acr.orchestrator.calibration import Calibration
    from acr.training.calibrate import Held

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Examples: acr calibrate · acr calibrate --undo")
def calibrate(
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Goes back to the one before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fits voters and kinds of request to your own outcomes.

    Kept is what foretells the newest of them better; --undo goes back.
    """
    from acr import loop

    if undo:
        return _undo(as_json)
    with loop.open_memory(settings.load()) as memory:
        return _fit(memory, as_json)


def _undo(as_json: bool) -> None:
    from acr.cli.console import emit_json, out
    from acr.orchestrator import calibration

    gone, now = calibration.undo()
    if as_json:
        return emit_json({"undone": gone.id if gone else None, "in_use": now.id or None})
    was = f"calibration {gone.id} is undone" if gone else "the unreadable calibration is moved away"
    out().print(f"{was}; {f'{now.id} is in use again' if now.id else 'none is in use'}")
    return None


def _fit(memory: Memory, as_json: bool) -> None:
    from acr.cli.console import emit_json, out
    from acr.orchestrator import calibration, model
    from acr.training import calibrate as fits

    used = next(iter(calibration.kept()[-1:]), calibration.NONE)
    cases, named = fits.tries(memory.outcomes(), _tiers()), _named(memory)
    if len(cases) < fits.OUTCOMES and len(named) < fits.NAMED:
        raise AcrError(
            f"memory has too little to calibrate by: {len(cases)} verified first tries with votes "
            f"({fits.OUTCOMES} are needed) and {len(named)} prompts whose kind you named with "
            f"--dimension ({fits.NAMED} are needed); run more tasks first"
        )
    scores = kinds = None
    changes: dict[str, Any] = {}
    if len(cases) >= fits.OUTCOMES:
        voters, scores = fits.fit_voters(cases)
        if scores.better:
            changes |= {"voters": voters, "outcomes": len(cases)}
    if len(named) >= fits.NAMED:
        reader = model.load()
        read = [r.dimensions for r in reader.scores([task.prompt for task in named])]
        temperature, shifts, kinds = fits.fit_kinds(read, [task.dimension for task in named])
        if kinds.better:
            changes |= {"reader": reader.id, "temperature": temperature, "kinds": shifts}
            changes["named"] = len(named)
    made = None
    if changes:
        made = replace(used, id=secrets.token_hex(3), created=time.time(), **changes)
        calibration.add(made)
    if as_json:
        told = {
            "scores": _row(scores, len(cases), fits.OUTCOMES),
            "kinds": _row(kinds, len(named), fits.NAMED),
            "calibration": made,
            "previous": used.id or None,
        }
        return emit_json(told)
    out().print(_words("scores", "verified first tries", scores, len(cases), fits.OUTCOMES))
    if made:
        _print_voters(made)
    out().print(_words("kinds", "prompts of a named kind", kinds, len(named), fits.NAMED))
    if made:
        out().print(f"calibration {made.id} is in use; acr calibrate --undo goes back")
    else:
        out().print(f"nothing was changed; {used.id or 'no calibration'} stays in use")
    return None


def _tiers() -> dict[str, str]:
    """Profile name -> tier."""
    from acr.agents.profiles import load_all

    return {name: profile.tier for name, profile in load_all().items()}


def _named(memory: Memory) -> list[Task]:
    """The tasks whose kind the user named, oldest first."""
    tasks = [memory.task(run) for run in memory.tasks()]
    return [t for t in tasks if t.confidence == 1 and not t.runner_up and t.dimension in DIMENSIONS]


def _row(held: Held | None, n: int, needed: int) -> dict[str, Any]:
    """What a fit was worth, as JSON data with stable keys; unknown is null."""
    return {
        "n": n,
        "needed": needed,
        "held_out": held.held_out if held else None,
        "log_loss_before": held.log_loss[0] if held else None,
        "log_loss_after": held.log_loss[1] if held else None,
        "brier_before": held.brier[0] if held else None,
        "brier_after": held.brier[1] if held else None,
        "gain": held.gain[0] if held else None,
        "gain_interval": held.gain[1:] if held else None,
        "kept": bool(held and held.better),
    }


def _words(what: str, cases: str, held: Held | None, n: int, needed: int) -> str:
    if held is None:
        return f"{what}: {n} {cases}, {needed} are needed; left as they are"
    gain, low, high = held.gain
    return (
        f"{what}: {n} {cases}; on the {held.held_out} newest, held out, log loss "
        f"{held.log_loss[0]:.3f} uncalibrated → {held.log_loss[1]:.3f} ({gain:+.3f} better, "
        f"95 % {low:+.3f} to {high:+.3f}), Brier {held.brier[0]:.3f} → {held.brier[1]:.3f}: "
        f"{'fitted anew to all, and used' if held.better else 'not better, left as they are'}"
    )


def _print_voters(made: Calibration) -> None:
    from acr.cli.console import out, table

    if not made.voters:
        return
    shown = table("voter", "strength", "scale", *TIERS, right=("strength", "scale", *TIERS))
    for name, change in made.voters.items():
        bias = [f"{change.bias[t]:+.2f}" if t in change.bias else "" for t in TIERS]
        scale = f"x {change.scale:.2f}" if change.bias else ""
        shown.add_row(name, f"x {change.strength:.2f}", scale, *bias)
    out().print(shown)
