"""What a report says, as numbers: gathered from memory once, ready for charts, a page or JSON."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acr.memory import summary
from acr.memory.summary import Baseline, Filters, Leader, Row, Savings, Try
from acr.nouns import Outcome, Profile
from acr.orchestrator import drift
from acr.orchestrator.benchmark import spelling
from acr.report.charts import Bars, Frontier, Heat, Line, Lines
from acr.report.plots import Row as Point
from acr.report.plots import Words

if TYPE_CHECKING:
    from acr.memory.store import Memory

__all__ = [
    "Change",
    "Facts",
    "Run",
    "baselines",
    "courses",
    "dated",
    "frontier",
    "gather",
    "heat",
    "regret",
    "saved",
    "spend",
]

MODELS, KINDS = 60, 12
"""Most models and kinds of task that are shown, those with most verified attempts first."""
RUNS = 30
"""Latest runs that are shown."""
RECENT = 400
"""Latest outcomes that a change is looked for in, as for a decision."""
EARLIEST, DAY = 946_684_800.0, 86_400.0
"""2000-01-01: an attempt before it, or after tomorrow, was stored by a clock that was wrong."""
BASELINES = ("always-best", "always-most-expensive")
UNKNOWN = "model unknown"
COST_AND_RATE = Words("Mean cost of an attempt", "Win rate, %")


@dataclass(frozen=True, slots=True)
class Run:
    """One of the latest runs."""

    id: str
    started: float
    """Seconds since the epoch."""
    prompt: str
    dimension: str
    profiles: tuple[str, ...]
    """In the order of their tries."""
    model: str | None
    status: str
    """pass, fail or unverified: what counts in the end."""
    human: bool
    """Whether a person said so."""
    reason: str
    cost: float | None
    """USD of all tries and of judging them; None when unknown."""
    duration: float
    """Seconds of all tries."""


@dataclass(frozen=True, slots=True)
class Change:
    """A model that does better or worse than before."""

    model: str
    shift: float
    """Expected difference of score, -1..1."""
    n: int
    """Outcomes since."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A report."""

    made: float
    """Seconds since the epoch."""
    since: float | None
    total: Row
    models: tuple[Row, ...]
    """By verified attempts, most first; at most MODELS."""
    models_known: int
    matrix: Heat
    frontier: Frontier
    regret: Lines
    """Cumulative; see `regret`."""
    saved: Lines
    """Cumulative USD against each baseline; see `saved`."""
    savings: tuple[Savings, ...]
    spend: Bars
    leaders: tuple[Leader, ...]
    runs: tuple[Run, ...]
    """Newest first."""
    changes: tuple[Change, ...]
    odd_clock: int
    """Attempts that no chart over time shows, as their clock was wrong."""


def gather(
    memory: Memory,
    profiles: Iterable[Profile],
    *,
    now: float,
    since: float | None = None,
    cost_weight: float = -0.1,
) -> Facts:
    """All that a report says of the attempts since `since` (seconds since the epoch)."""
    tries = memory.tries(Filters(since=since))
    models = summary.rows(tries, "model")
    timed, against = dated(tries, now), baselines(tries)
    latest = memory.outcomes(limit=4 * RUNS)
    return Facts(
        made=now,
        since=since,
        total=summary.total(tries),
        models=tuple(models[:MODELS]),
        models_known=len(models),
        matrix=heat(tries),
        frontier=frontier(models[:MODELS]),
        regret=regret(timed, cost_weight),
        saved=courses(timed, against),
        savings=tuple(summary.savings(tries, one) for one in against),
        spend=spend(timed),
        leaders=summary.leaders(tries),
        runs=_latest([o for o in latest if since is None or o.attempt.started >= since]),
        changes=_changes(memory, profiles),
        odd_clock=len(tries) - len(timed),
    )


def dated(tries: Iterable[Try], now: float) -> list[Try]:
    """Those that a chart over time can show, by time."""
    known = [t for t in tries if t.started is not None and EARLIEST <= t.started <= now + DAY]
    return sorted(known, key=lambda t: t.started or 0.0)


def baselines(tries: Sequence[Try]) -> list[Baseline]:
    """What savings are measured against; two that turn out to be the same are one."""
    found = (summary.baseline(name, tries) for name in BASELINES)
    return list({one.label: one for one in found if one}.values())


def courses(timed: Sequence[Try], against: Iterable[Baseline]) -> Lines:
    """Savings over time, a line per baseline."""
    return Lines("USD saved", tuple(saved(timed, one) for one in against))


def heat(tries: Sequence[Try]) -> Heat:
    """Win rates of the MODELS models and KINDS kinds of task with most verified attempts."""
    rows = [row for row in summary.rows(tries, "model") if row.n][:MODELS]
    kinds = [row for row in summary.rows(tries, "dimension") if row.n][:KINDS]
    names = {row.key[0]: row.key[0] or UNKNOWN for row in rows}
    columns = sorted(row.key[0] for row in kinds)
    cells = {
        (names[row.key[0]], row.key[1]): (row.wins, row.n)
        for row in summary.rows(tries, "model-dimension")
        if row.n and row.key[0] in names and row.key[1] in columns
    }
    return Heat(tuple(names.values()), tuple(columns), cells)


def frontier(models: Iterable[Row]) -> Frontier:
    """Mean cost of an attempt, where it is known, against the win rate with its interval.

    Of models with summary.LEAST verified attempts: a lucky one would be all of the frontier.
    """
    points = []
    for row in models:
        if row.n >= summary.LEAST and row.cost_known:
            low, high = row.interval
            rate, cost = 100 * row.wins / row.n, row.cost / row.cost_known
            points.append(Point(row.key[0] or UNKNOWN, rate, cost, (), (100 * low, 100 * high)))
    return Frontier(COST_AND_RATE, tuple(points))


def regret(timed: Sequence[Try], cost_weight: float = -0.1) -> Lines:
    """Cumulative: reward of the profile that did best in the dimension - reward of the attempt.

    A reward is 1 for a win, 0 for a loss, + `cost_weight` x USD. Which profile is best is known
    in hindsight only: of those with summary.LEAST verified attempts of known cost there, the one
    with the highest mean. Attempts in dimensions without one are left out, as are unverified
    ones and those of unknown cost.
    """
    earned = [
        (t, (t.status == "pass") + cost_weight * usd)
        for t in timed
        if t.status != "unverified" and (usd := t.paid) is not None
    ]
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one, reward in earned:
        cells[one.dimension, one.profile].append(reward)
    best: dict[str, float] = {}
    for (dimension, _), rewards in cells.items():
        if len(rewards) >= summary.LEAST:
            mean = statistics.fmean(rewards)
            best[dimension] = max(mean, best.get(dimension, -math.inf))
    steps = [
        (one.started or 0.0, best[one.dimension] - reward)
        for one, reward in earned
        if one.dimension in best
    ]
    return Lines("Cumulative regret", (_summed("regret", steps),) if steps else ())


def saved(timed: Sequence[Try], against: Baseline) -> Line:
    """Cumulative USD of each run at the baseline's mean in its dimension - what it did cost.

    Runs of unknown cost are left out. It ends at `summary.savings` of the same attempts.
    """
    cells: dict[str, list[float]] = defaultdict(list)
    for _, dimension, usd in against.costs:
        cells[dimension].append(usd)
    mean = {dimension: statistics.fmean(costs) for dimension, costs in cells.items()}
    overall = statistics.fmean(usd for _, _, usd in against.costs) if mean else 0.0
    runs: dict[str, list[Try]] = defaultdict(list)
    for one in timed:
        runs[one.task].append(one)
    steps = []
    for group in runs.values() if mean else ():
        paid = [p for t in group if (p := t.paid) is not None]
        if len(paid) == len(group):
            usual = mean.get(group[0].dimension, overall)
            steps.append((group[0].started or 0.0, usual - math.fsum(paid)))
    return _summed(against.name.replace("-", " "), steps)


def _summed(name: str, steps: Sequence[tuple[float, float]]) -> Line:
    whole, points = 0.0, []
    for at, step in steps:
        whole += step
        points.append((at, whole))
    return Line(name, tuple(points))


def spend(timed: Iterable[Try]) -> Bars:
    """USD of attempts and of judging them, as far as it is known."""
    paid = [(t.started or 0.0, usd) for t in timed if (usd := t.paid) is not None]
    return Bars("Spend", tuple(paid))


def _latest(outcomes: Sequence[Outcome]) -> tuple[Run, ...]:
    """`outcomes` are newest first."""
    tries: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        tries.setdefault(outcome.task.id, []).insert(0, outcome)
    return tuple(_run(group) for group in list(tries.values())[:RUNS])


def _run(group: Sequence[Outcome]) -> Run:
    task, last = group[0].task, group[-1]
    costs = [o.cost for o in group]
    return Run(
        id=task.id,
        started=group[0].attempt.started,
        prompt=task.prompt,
        dimension=task.dimension,
        profiles=tuple(o.attempt.profile for o in group),
        model=last.attempt.model,
        status=last.status,
        human=last.human is not None,
        reason=last.verdict.reason,
        cost=None if None in costs else math.fsum(c for c in costs if c is not None),
        duration=math.fsum(max(0.0, o.attempt.duration) for o in group),
    )


def _changes(memory: Memory, profiles: Iterable[Profile]) -> tuple[Change, ...]:
    models: Mapping[str, str] = {p.name: spelling(p.model) for p in profiles}
    found = drift.changes(memory.totals(), memory.recent(RECENT), models)
    made = [Change(model, change.shift, change.n) for model, change in found.items()]
    return tuple(sorted(made, key=lambda c: (-abs(c.shift), c.model)))
