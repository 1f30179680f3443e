"""What acr why --steps and acr stats --by step show: single model calls and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from acr.nouns import Step, Task, to_json

if TYPE_CHECKING:
    from acr.memory.steps import StepSum

__all__ = ["as_json", "show", "show_sums", "sums_json"]

NONE = "no model call of it went through the gateway; acr --gateway routes each of them"


def as_json(task: Task, steps: Iterable[Step]) -> dict[str, Any]:
    """The steps of a run with stable keys."""
    return {"run": task.id, "steps": [_data(step) for step in steps]}


def show(task: Task, steps: Sequence[Step]) -> None:
    """Two lines for each step of a run, what and why, and what they add up to."""
    from acr.cli.console import clean, err, out
    from acr.cli.live import money

    if not steps:
        return err().print(clean(f"run {task.id}: {NONE}"))
    for number, step in enumerate(steps, 1):
        out().print(clean(f"{number:>3}  {_line(step)}"))
        out().print(clean(f"     {step.reason}"), style="dim")
    known = [step.cost for step in steps if step.cost is not None]
    missing = len(steps) - len(known)
    note = f", and {missing} of unknown cost" if missing else ""
    total = money(sum(known) if known else None)
    out().print(clean(f"{len(steps)} model calls of run {task.id}: {total}{note}"))
    return None


def _line(step: Step) -> str:
    """`edit · minimal · gpt-6-luna (for gpt-6-astra) · 15,200 tokens · $0.0016 · 3.1 s`."""
    from acr.cli import words
    from acr.cli.live import money

    tokens = f"{step.usage.total:,} tokens" if step.usage else "tokens unknown"
    cost = "cost unknown" if step.cost is None else money(step.cost)
    failed = "" if 200 <= step.status < 300 else f"status {step.status or 'none: it broke off'}"
    tier = step.tier or "tier unknown"
    parts = (step.kind, tier, _models(step), tokens, cost, words.span(step.seconds), failed)
    return " · ".join(part for part in parts if part)


def sums_json(sums: Iterable[StepSum]) -> list[dict[str, Any]]:
    """The sums with stable keys; unknown is null."""
    return [
        {
            "kind": each.kind or None,
            "tier": each.tier,
            "model": each.model,
            "steps": each.steps,
            "tokens": each.tokens,
            "cost_usd": each.cost if each.cost_n else None,
            "cost_known": each.cost_n,
            "mean_time_s": each.seconds / each.steps,
        }
        for each in sums
    ]


def show_sums(sums: Sequence[StepSum]) -> None:
    """A line for each kind of step, tier and model."""
    from acr.cli import words
    from acr.cli.console import clean, err, out, table
    from acr.cli.live import money

    if not sums:
        return err().print("no steps yet; acr --gateway routes each model call and counts it")
    figures = ("steps", "tokens", "cost", "time")
    shown = table("kind", "tier", "model", *figures, right=figures)
    for each in sums:
        least = "" if each.cost_n in (0, each.steps) else "≥ "
        shown.add_row(
            clean(each.kind or "-"),
            each.tier or "unknown",
            clean(each.model or "unknown"),
            str(each.steps),
            str(each.tokens),
            least + money(each.cost if each.cost_n else None),
            words.span(each.seconds / each.steps),
        )
    out().print(shown)
    out().print("cost: ≥ leaves out steps of unknown cost · time: mean", style="dim")
    return None


def _data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = to_json(step)
    tokens = step.usage.total if step.usage else None
    return {**data, "tokens": tokens, "cost_usd": data.pop("cost")}


def _models(step: Step) -> str:
    """Who answered; who was asked, where that is another."""
    answered = step.answered or "unknown"
    return answered if step.asked in ("", answered) else f"{answered} (for {step.asked})"
