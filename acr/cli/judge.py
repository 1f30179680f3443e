"""acr good, acr bad, acr feedback: verdicts from outside, which override acr's own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.cli.runs import RunRef
from acr.errors import AcrError, UsageError
from acr.nouns import Attempt, Decision, Outcome, Signal, Task, Verdict, VerdictStatus

if TYPE_CHECKING:
    from acr.memory.store import Memory

__all__ = ["bad_app", "feedback_app", "good_app"]

EXTERNAL = "external"
"""The agent of an attempt that acr did not run itself."""
CALLER = "caller"
"""The signal that holds a reported score."""

good_app = typer.Typer(add_completion=False, rich_markup_mode=None)
bad_app = typer.Typer(add_completion=False, rich_markup_mode=None)
feedback_app = typer.Typer(add_completion=False, rich_markup_mode=None)


@good_app.command("good", epilog="Examples: acr good (the latest run) · acr good 3f2a")
def good(run: RunRef = "", *, as_json: AsJson = False) -> None:
    """Says that a run went well; this overrides its verdict."""
    _judge(run, "pass", as_json)


@bad_app.command("bad", epilog="Examples: acr bad (the latest run) · acr bad 3f2a")
def bad(run: RunRef = "", *, as_json: AsJson = False) -> None:
    """Says that a run went badly; this overrides its verdict."""
    _judge(run, "fail", as_json)


@feedback_app.command("feedback", epilog="Example: acr feedback 3f2a --score 1 --cost 0.12")
def feedback(
    ref: Annotated[
        str,
        typer.Argument(metavar="ID", help="A decision of `acr route --record`, or a run."),
    ],
    *,
    score: Annotated[float, typer.Option(help="0 (failed) to 1 (solved); 0.5 or more is a win.")],
    cost: Annotated[float | None, typer.Option(help="USD; leave it out when unknown.")] = None,
    duration: Annotated[float, typer.Option(help="Seconds that the work took.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Reports how a recorded decision went; reporting again replaces the report."""
    from acr import loop
    from acr.cli.console import emit_json

    _check("--score", score, 1.0)
    _check("--cost", cost)
    _check("--duration", duration)
    with loop.open_memory(settings.load()) as memory:
        task, decision = _decision(memory, ref)
        before = next(
            (o for o in memory.outcomes(task.id) if o.attempt.decision == decision.id), None
        )
        if before is None:
            attempt, verdict = _external(decision), Verdict("unverified", 0.0)
        else:
            attempt, verdict = before.attempt, before.verdict
        if cost is not None:
            attempt = replace(attempt, cost=cost, cost_source=CALLER)
        if duration:
            attempt = replace(attempt, duration=duration)
        human = before.human if before else None
        after = Outcome(task, decision, attempt, _reported(verdict, score), human)
        memory.add_outcome(after)
    if as_json:
        return emit_json({"decision": decision.id, **_change(before, after)})
    return _print_change(before, after)


def _judge(run: str, verdict: VerdictStatus, as_json: bool) -> None:
    from acr import loop
    from acr.cli.console import emit_json

    with loop.open_memory(settings.load()) as memory:
        task = memory.task(run)
        before = next(iter(memory.outcomes(task.id, limit=1)), None)
        if before is None:
            raise AcrError(
                f"run {task.id} was decided but not run by acr; "
                f"report it with acr feedback {task.id} --score S"
            )
        after = memory.set_human(task.id, verdict)
    if as_json:
        return emit_json(_change(before, after))
    return _print_change(before, after)


def _check(option: str, value: float | None, most: float = math.inf) -> None:
    """Raises UsageError when `value` is no number from 0 to `most`."""
    if value is not None and not (0.0 <= value <= most and math.isfinite(value)):
        span = "0 or more" if most == math.inf else f"from 0 to {most:g}"
        raise UsageError(f"{option} {value:g}: give a number, {span}")


def _decision(memory: Memory, ref: str) -> tuple[Task, Decision]:
    """The decision with this id, or the last one of the run with it."""
    if not ref:
        raise UsageError("which decision? acr route --record prints its id")
    try:
        decision = memory.decision(ref)
    except AcrError as no_decision:
        try:
            task = memory.task(ref)
        except AcrError:
            raise no_decision from None
        decisions = memory.decisions(task.id)
        if not decisions:
            raise AcrError(f"run {task.id} has no decision to report on") from None
        return task, decisions[-1]
    return memory.task(decision.task), decision


def _external(decision: Decision) -> Attempt:
    """The attempt that somebody else made on a decision; its id follows from the decision's."""
    chosen = next((c for c in decision.candidates if c.profile == decision.chosen), None)
    return Attempt(
        id=f"{EXTERNAL}-{decision.id}",
        task=decision.task,
        decision=decision.id,
        profile=decision.chosen,
        agent=EXTERNAL,
        model=chosen.model if chosen else None,
        status="done",
        started=decision.created,
        duration=0.0,
    )


def _reported(verdict: Verdict, score: float) -> Verdict:
    """`verdict` with the caller's score in place of its own; other signals are kept."""
    said = f"reported by the caller: score {score:.2f}"
    others = tuple(s for s in verdict.signals if s.name != CALLER)
    return replace(
        verdict,
        status="pass" if score >= 0.5 else "fail",
        score=score,
        signals=(*others, Signal(CALLER, score, 1.0, said)),
        reason=said,
        strength=1.0,
    )


def _change(before: Outcome | None, after: Outcome) -> dict[str, object]:
    """What changed, as JSON data with stable keys."""
    return {
        "run": after.task.id,
        "attempt": after.attempt.id,
        "profile": after.attempt.profile,
        "before": before.status if before else None,
        "status": after.status,
        "score": after.verdict.score,
        "human": after.human,
        "cost_usd": after.attempt.cost,
    }


def _print_change(before: Outcome | None, after: Outcome) -> None:
    from acr.cli.console import clean, out
    from acr.cli.live import MARKS, money

    was = f"{MARKS[before.status]} → " if before else ""
    whose = "your verdict" if after.human else after.verdict.reason
    about = f"run {after.task.id} · {after.task.dimension} · {after.attempt.profile}"
    out().print(f"{clean(about)}: {was}{MARKS[after.status]} ({clean(whose)})")
    if not after.human:
        out().print(f"  cost {money(after.attempt.cost, after.attempt.plan)}", style="dim")
