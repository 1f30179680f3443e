"""acr why: replays a stored decision and shows what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from acr import settings
from acr.cli.runs import RunRef
from acr.errors import AcrError
from acr.nouns import Candidate, Decision, Outcome, Task

__all__ = ["app", "explain"]

FACTORS = (0.0, 0.1, 1.0, 10.0, 100.0)
"""Weights of cost that are shown, as multiples; 0.1 and 10 are --prefer quality and cheap."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def why(
    run: RunRef = "",
    *,
    steps: Annotated[
        bool, typer.Option("--steps", help="Each model call that went through the gateway.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Explains the decisions of a run: votes, similar tasks, rules, candidates."""
    if steps:
        return _steps(run, as_json)
    return _decisions(run, as_json)


def _steps(run: str, as_json: bool) -> None:
    from acr import loop
    from acr.cli import steps
    from acr.cli.console import emit_json

    with loop.open_memory(settings.load()) as memory:
        task = memory.task(run)
        made = memory.steps(task.id)
    if as_json:
        return emit_json(steps.as_json(task, made))
    return steps.show(task, made)


def _decisions(run: str, as_json: bool) -> None:
    from acr import loop
    from acr.cli.console import emit_json, out

    with loop.open_memory(settings.load()) as memory:
        task = memory.task(run)
        decisions = memory.decisions(task.id)
        results = {o.attempt.decision: o for o in memory.outcomes(task.id)}
    if not decisions:
        raise AcrError(f"run {task.id} has no stored decision; acr route --record stores one")
    if as_json:
        told = [_as_json(d, results) for d in decisions]
        emit_json({"task": replace(task, embedding=None), "decisions": told})
        return
    for number, decision in enumerate(decisions, 1):
        if len(decisions) > 1:
            out().rule(f"try {number} of {len(decisions)}", align="left")
        explain(task, decision, results.get(decision.id))


def explain(task: Task, decision: Decision, outcome: Outcome | None = None) -> None:
    """Prints one decision: a plain sentence first, then its grounds."""
    from acr.cli.console import clean, out

    out().print(clean(_sentence(task, decision)))
    if outcome:
        out().print(clean(_result(outcome)))
    out().print(f"\nRules: {clean('; '.join(decision.rules) or 'none applied')}")
    _print_votes(decision)
    _print_neighbours(decision)
    _print_candidates(decision)
    _print_elsewhere(decision)
    out().print(clean(_footer(decision)))


def _as_json(decision: Decision, results: Mapping[str, Outcome]) -> dict[str, Any]:
    from acr.nouns import to_json
    from acr.orchestrator.policy import replay, replayed

    outcome = results.get(decision.id)
    return {
        **to_json(decision),
        "replayed": replay(decision),
        "replays_exactly": replayed(decision) == decision,
        "at_other_prices": [to_json(point) for point in _elsewhere(decision)],
        "status": _status(outcome) if outcome else None,
        "cost_usd": outcome.cost if outcome else None,
    }


def _status(outcome: Outcome) -> str:
    return outcome.human or outcome.verdict.status


def _sentence(task: Task, decision: Decision) -> str:
    from acr.cli.live import money

    chosen, best = _candidate(decision, decision.chosen), decision.candidates[0]
    cost = (
        "at unknown cost" if chosen.cost is None else f"for about {money(chosen.cost, chosen.plan)}"
    )
    after = f" after {', '.join(decision.tried)} failed" if decision.tried else ""
    text = (
        f"{chosen.profile} ({chosen.agent}/{chosen.model}) was chosen for this "
        f"{task.dimension} task{after}: {_percent(chosen.expected)} expected {cost}; "
        f"{decision.reason}."
    )
    if decision.explored:
        text += (
            f" This was an exploration, with a chance of {_percent(chosen.propensity)}; "
            f"{best.profile} looked best with {_percent(best.expected)}."
        )
    return text


def _result(outcome: Outcome) -> str:
    from acr.cli.live import money

    judge = " (your verdict)" if outcome.human else ""
    reason = f": {outcome.verdict.reason}" if outcome.verdict.reason else ""
    cost = money(outcome.cost, outcome.attempt.plan)
    return f"It ended {_status(outcome)}{judge}{reason}; cost {cost}."


def _print_votes(decision: Decision) -> None:
    from acr.cli.console import clean, out, table

    out().print("\nVotes (expected score x pseudo-observations)")
    voters = [v.voter for v in decision.votes]
    shown = table("profile", *voters, "together", right=(*voters, "together"))
    for candidate in decision.candidates:
        votes = [v.scores.get(candidate.profile) for v in decision.votes]
        if not candidate.excluded or candidate.profile in decision.tried:
            cells = [f"{_percent(v[0])} x {v[1]:.1f}" if v else "" for v in votes]
            pooled = f"{_percent(candidate.expected)} x {candidate.strength:.1f}"
            shown.add_row(clean(candidate.profile), *cells, pooled)
    out().print(shown)
    for vote in decision.votes:
        out().print(clean(f"  {vote.voter}: {vote.reason}"))


def _print_neighbours(decision: Decision) -> None:
    from acr.cli.console import clean, out, table

    if not decision.neighbours:
        return
    out().print("\nSimilar tasks")
    shown = table("similarity", "verdict", "profile", "run", "prompt", right=("similarity",))
    for near in decision.neighbours:
        prompt = " ".join(near.prompt.split())
        cells = (near.status, near.profile, near.task, prompt[:80])
        shown.add_row(f"{near.similarity:.2f}", *map(clean, cells))
    out().print(shown)


def _print_candidates(decision: Decision) -> None:
    from acr.cli.console import clean, out, table
    from acr.cli.live import money

    score, cost = decision.epsilon
    out().print(f"\nCandidates (reward = {score:g} x expected {cost:+g} x USD)")
    figures = ("expected", "cost", "reward", "chance")
    shown = table("profile", *figures, "", right=figures)
    for c in decision.candidates:
        note = "chosen" if c.profile == decision.chosen else c.excluded
        shown.add_row(
            clean(c.profile),
            _percent(c.expected),
            money(c.cost, c.plan),
            f"{c.reward:.3f}",
            "" if c.excluded else _percent(c.propensity),
            clean(note),
        )
    out().print(shown)
    if any(c.cost is None for c in decision.candidates):
        out().print("An unknown cost counts in the reward as the dearest known one of its tier.")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the same decision would have been had a dollar counted more, or less."""

    factor: float
    """What the weight of cost is multiplied by."""
    epsilon: tuple[float, float]
    best: str
    """The profile of the best reward."""
    chosen: str
    """The one that the same seed draws."""
    expected: float
    cost: float | None
    propensity: float
    """Its chance."""
    plan: bool


def _elsewhere(decision: Decision) -> list[Elsewhere]:
    from acr.orchestrator.policy import replayed

    found = []
    for factor in FACTORS:
        epsilon = (decision.epsilon[0], decision.epsilon[1] * factor)
        again = replayed(decision, epsilon)
        chosen = _candidate(again, again.chosen)
        found.append(
            Elsewhere(
                factor,
                epsilon,
                again.candidates[0].profile,
                again.chosen,
                chosen.expected,
                chosen.cost,
                chosen.propensity,
                chosen.plan,
            )
        )
    return found


def _print_elsewhere(decision: Decision) -> None:
    """Nothing for older decisions, which lack what it takes, and where one could only be chosen."""
    from acr.cli.console import clean, out, table
    from acr.cli.live import money

    if any(c.spread is None for c in decision.candidates):
        return
    if sum(not c.excluded for c in decision.candidates) < 2:
        return
    out().print("\nHad a dollar counted more or less, the same draw would have been")
    figures = ("expected", "cost", "chance")
    shown = table("cost counts", "best", "chosen", *figures, right=figures)
    for point in _elsewhere(decision):
        shown.add_row(
            f"{point.factor:g} times" if point.factor != 1 else "as it did",
            clean(point.best),
            clean(point.chosen),
            _percent(point.expected),
            money(point.cost, point.plan),
            _percent(point.propensity),
        )
    out().print(shown)


def _footer(decision: Decision) -> str:
    from acr.orchestrator.policy import replayed

    again = replayed(decision)
    same = "to the same choice"
    if again.chosen != decision.chosen:
        same = f"to {again.chosen}: it was altered"
    elif again != decision:
        same += ", but not to the same figures: it was altered, or made by another version"
    elif all(c.spread is not None for c in decision.candidates):
        same += ", bit for bit"
    state = f"memory {decision.snapshot} · seed {decision.seed}"
    return f"Decision {decision.id} · {state}, replays {same}"


def _candidate(decision: Decision, name: str) -> Candidate:
    return next(c for c in decision.candidates if c.profile == name)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else f"{100 * share:.1f} %"
