"""What the user sees of a run: one line before, the agent's progress, one block after."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from acr.cli.console import clean, err, out
from acr.nouns import Attempt, BudgetRole, Decision, Event, Outcome, Profile, Task, Verdict
from acr.settings import Settings

if TYPE_CHECKING:
    from rich.status import Status

    from acr.loop import Result

__all__ = ["BUDGET", "Live", "decision_line", "exit_code", "money", "verdict_lines"]

MARKS = {
    "pass": "[green]✓ pass[/]",
    "fail": "[red]✗ fail[/]",
    "unverified": "[yellow]? unverified[/]",
}
BUDGET: dict[BudgetRole, str] = {
    "decided": "the budget decided; acr why says what it took away",
    "exceeded": "beyond the budget, as the settings or you said",
}


class Live:
    """Observer of a run that writes to stderr; a context that owns the moving status line."""

    def __init__(
        self, config: Settings, *, quiet: bool, verbose: bool, interactive: bool = False
    ) -> None:
        """`interactive`: the agent has the terminal for itself while it is at work."""
        self._config, self._quiet, self._verbose = config, quiet, verbose
        self._interactive = interactive
        self._status: Status | None = None

    def __enter__(self) -> Live:
        if not self._quiet and err().is_terminal:
            self._status = err().status("reading the task")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stop_status()

    def decided(self, task: Task, decision: Decision, profile: Profile) -> None:
        """One line why, and how far the agent may go."""
        if self._interactive:
            self._stop_status()
        if self._quiet:
            return
        err().print(clean(decision_line(task, decision, profile)))
        err().print(f"[dim]{clean(self._terms(task, profile))}[/]")
        if decision.explored:
            err().print("[dim]an exploration: this profile has little evidence here[/]")
        if decision.budget:
            err().print(f"[dim]{clean(BUDGET[decision.budget])}[/]")
        self._show(f"{profile.agent} is at work")

    def event(self, event: Event) -> None:
        """A compact line per tool call, and what it used; everything under --verbose."""
        loud, told = event.kind in ("warning", "error"), event.kind in ("tool", "usage")
        if loud or (not self._quiet and (told or self._verbose)):
            dim = "dim" if told else ""
            style = {"warning": "yellow", "error": "red"}.get(event.kind, dim)
            text = clean(event.text if self._verbose else _one_line(event.text))
            err().print(f"  {text}", style=style, markup=True)

    def verifying(self, text: str) -> None:
        """What the verifier is doing."""
        if self._status:
            self._show(text)
        elif not self._quiet:
            err().print(f"  {clean(text)}", style="dim")

    def judged(self, outcome: Outcome) -> None:
        """The end of an attempt, in a line."""
        if self._quiet:
            return
        line = f"{MARKS[outcome.verdict.status]} {clean(outcome.verdict.reason)}"
        if outcome.attempt.error:
            line = f"[red]✗ {clean(outcome.attempt.error)}[/]\n{line}"
        err().print(line)

    def warned(self, text: str) -> None:
        """A warning."""
        err().print(f"[yellow]warning:[/] {clean(text)}")

    def confirm(self, text: str) -> bool:
        """Asks, on a terminal; nobody can be asked elsewhere."""
        if not (sys.stdin.isatty() and err().is_terminal):
            return False
        self._stop_status()
        return typer.confirm(f"{text}. Go on all the same?", err=True)

    def summary(self, result: Result) -> dict[str, Any]:
        """The run as one JSON object."""
        last = result.outcomes[-1]
        costs = [o.cost for o in result.outcomes]
        return {
            "run": result.task.id,
            "status": last.verdict.status,
            "score": last.verdict.score,
            "profile": last.attempt.profile,
            "model": last.attempt.model,
            "tries": len(result.outcomes),
            "cost_usd": None if None in costs else sum(c for c in costs if c is not None),
            "plan": any(o.attempt.plan for o in result.outcomes),
            "duration_s": round(sum(o.attempt.duration for o in result.outcomes), 3),
            "stopped": result.stopped,
            "task": {**_task(result.task)},
            "attempts": [
                {"decision": o.decision, "attempt": o.attempt, "verdict": o.verdict}
                for o in result.outcomes
            ],
        }

    def print_summary(self, result: Result) -> None:
        """One block after: verdict, tests, cost, time, what was learned."""
        self._stop_status()
        last = result.outcomes[-1]
        if last.attempt.message and not self._quiet:
            out().print(clean(last.attempt.message), style="dim")
        out().print(f"{MARKS[last.verdict.status]} {clean(last.verdict.reason)}")
        for line in _details(result):
            out().print(f"  {clean(line)}")

    def _terms(self, task: Task, profile: Profile) -> str:
        agents, verifier = self._config.agents, self._config.verifier
        may = {
            "ask": "asks before it acts",
            "edit": f"may change files in {task.root}",
            "full": "may do anything on this machine",
        }[agents.autonomy]
        sandbox = " · tests run WITHOUT a sandbox" if verifier.sandbox == "none" else ""
        ends = "until you close it" if self._interactive else f"stops after {agents.timeout:.0f} s"
        return f"{profile.agent} {may} · {ends}{sandbox}"

    def _show(self, text: str) -> None:
        if self._status:
            self._status.update(clean(text))

    def _stop_status(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


def decision_line(task: Task, decision: Decision, profile: Profile) -> str:
    """`bug_fixing · python · codex/gpt-6-sol · 71 % · ~$0.12 — 9 similar tasks, 7 wins`."""
    chosen = next(c for c in decision.candidates if c.profile == decision.chosen)
    expected = f"{chosen.expected:.0%}".replace("%", " %")
    cost = "cost unknown" if chosen.cost is None else f"~{money(chosen.cost, chosen.plan)}"
    parts = (task.dimension, task.language, f"{profile.agent}/{profile.model}", expected, cost)
    return " · ".join(p for p in parts if p) + (f" — {decision.reason}" if decision.reason else "")


def money(usd: float | None, plan: bool = False) -> str:
    """USD for people; unknown is said, not 0, and so is that a subscription pays (`plan`)."""
    mark = " plan" if plan else ""
    if usd is None:
        return f"unknown{mark}"
    return (f"${usd:.2f}" if usd >= 0.1 or usd == 0 else f"${usd:.4f}") + mark


def exit_code(result: Result) -> int:
    """0 pass or unverified, 4 verdict fail, 5 no agent could run (DESIGN: exit codes)."""
    if all(o.attempt.status in ("error", "denied") for o in result.outcomes):
        return 5
    return 4 if result.outcomes[-1].verdict.status == "fail" else 0


def _task(task: Task) -> dict[str, Any]:
    kept = ("dimension", "confidence", "language", "difficulty", "repository", "root")
    return {name: getattr(task, name) for name in kept}


def _details(result: Result) -> list[str]:
    last = result.outcomes[-1]
    lines = [*verdict_lines(last.verdict), _tries_line(result)]
    if result.stopped:
        lines.append(f"no further try: {result.stopped}")
    lines.append(f"run {result.task.id} — acr why · acr runs diff · acr good/bad")
    return [line for line in lines if line]


def verdict_lines(verdict: Verdict) -> list[str]:
    """What a verdict rests on: tests, sandbox, files that bear on it."""
    dirty = (s.detail for s in verdict.signals if s.name == "tampering" and s.score != 1)
    touched = next(dirty, "")
    lines = (_tests_line(verdict), _where_line(verdict), touched)
    return [line for line in lines if line]


def _tests_line(verdict: Verdict) -> str:
    tests, changed = verdict.tests, len(verdict.changed)
    files = f"{changed} file{'' if changed == 1 else 's'} changed"
    if tests is None:
        return files
    counts = (
        (len(tests.fixed), "fixed"),
        (len(tests.broken), "broken"),
        (len(tests.still_failing), "still failing"),
        (len(tests.new), "new"),
        (len(tests.missing), "missing"),
    )
    moved = [f"{n} {what}" for n, what in counts if n]
    return ", ".join([f"{tests.passed} tests pass", *moved, files])


def _where_line(verdict: Verdict) -> str:
    engine = verdict.sandbox.get("engine") if verdict.sandbox else None
    if engine == "none":
        return "tests ran WITHOUT a sandbox"
    return f"tests ran in {engine}" if engine else ""


def _tries_line(result: Result) -> str:
    shown = [_try(o.attempt) for o in result.outcomes]
    tries = "" if len(shown) == 1 else f"{len(shown)} tries: "
    return tries + " → ".join(shown)


def _try(attempt: Attempt) -> str:
    model = attempt.model or "model unknown"
    cost = "cost unknown" if attempt.cost is None else money(attempt.cost, attempt.plan)
    return f"{attempt.profile} ({model}) {cost}, {attempt.duration:.0f} s"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:99] + "…"
