"""What attempts add up to for people: rows by any key, trends, leaders and signed savings.

Pure figures, without a table or a colour: `acr stats` and reports show the same ones.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from acr.memory.statistics import wilson

__all__ = [
    "BASELINES",
    "Baseline",
    "By",
    "Filters",
    "Leader",
    "Row",
    "Savings",
    "Sort",
    "Try",
    "baseline",
    "fisher",
    "leaders",
    "read",
    "rows",
    "savings",
    "total",
    "values",
]

By = Literal["model-dimension", "profile", "model", "agent", "dimension", "repo", "day"]
Sort = Literal["n", "name", "rate", "cost", "cost-per-win", "time", "tries", "last"]
BINS = 8
"""Spans of time in a trend."""
LEAST = 5
"""Verified attempts from which a model is compared with others."""
ALPHA = 0.05
Z = 1.96
MONTH = 30 * 86_400
"""Seconds."""
BASELINES = ("always-best", "always-most-expensive", "last-month")
"""Names of baselines; a profile's name is one too."""
RULE = (
    f"significant: Fisher's exact test, two-sided, against every other model with {LEAST} or more "
    f"verified attempts, p < {ALPHA:g} after Holm's correction for all pairs of the dimension; "
    "not corrected for which tasks each model was given"
)
METHOD = (
    "what each run would have cost at the baseline's mean by kind of request, minus what it did "
    "cost, all tries and judging included; 95 % interval by the delta method over runs"
)


class Try(NamedTuple):
    """One attempt in numbers; a tuple, as there are tens of thousands."""

    task: str
    profile: str
    agent: str
    model: str
    """Empty when unknown."""
    dimension: str
    repository: str
    language: str | None
    started: float | None
    """Seconds since the epoch."""
    duration: float | None
    """Seconds; 0 or None when unknown."""
    paid: float | None
    """USD of the attempt, its sub-agents and judging it; None when a part is unknown."""
    tokens: int
    status: str
    """pass, fail or unverified."""
    explored: int | None
    """1 when it was chosen to learn of it; None when that is not known."""
    plan: int
    """1 when a subscription pays for it: its cost is what the list price would be."""


FIELDS = ", ".join(name if name != "paid" else "cost + judging" for name in Try._fields)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which attempts count; None counts all."""

    since: float | None = None
    """Seconds since the epoch."""
    repository: str | None = None
    agent: str | None = None
    dimension: str | None = None
    language: str | None = None
    profile: str | None = None


def read(db: Any, filters: Filters) -> list[Try]:
    """The attempts that `filters` leave, pruned ones included, in the order they were stored."""
    given = {
        name: getattr(filters, name)
        for name in ("repository", "agent", "dimension", "language", "profile")
        if getattr(filters, name) is not None
    }
    where = [f"{name} = :{name}" for name in given]
    if filters.since is not None:
        where.append("started >= :since")
    sql = f"SELECT {FIELDS} FROM figures WHERE {' AND '.join([*where, 'true'])} ORDER BY seq"
    cursor = db.cursor()
    cursor.row_factory = None
    return list(map(Try._make, cursor.execute(sql, {**given, "since": filters.since})))


def values(db: Any, name: str) -> list[str]:
    """Every value of a column that can be filtered by, sorted."""
    found = db.execute(f"SELECT DISTINCT {name} FROM figures WHERE {name} IS NOT NULL")
    return sorted(str(row[0]) for row in found)


@dataclass(frozen=True, slots=True)
class Row:
    """What attempts that share a key add up to."""

    key: tuple[str, ...]
    attempts: int
    runs: int
    wins: int
    losses: int
    cost: float
    """USD of attempts and of judging them, where both are known."""
    cost_known: int
    """Attempts of which they are."""
    plan: int
    """Attempts that a subscription pays for."""
    tokens: int
    median_time: float | None
    """Seconds; None when no duration is known."""
    explored: int
    explored_known: int
    """Attempts of which it is known whether they were explorations."""
    last: float
    """Seconds since the epoch; 0 when unknown."""
    trend: tuple[float | None, ...]
    """Win rate in equal spans of time, the same for all rows; None without verified attempts."""

    @property
    def n(self) -> int:
        """Verified attempts: the n of the win rate."""
        return self.wins + self.losses

    @property
    def unverified(self) -> int:
        """Attempts that are neither win nor loss."""
        return self.attempts - self.n

    @property
    def rate(self) -> float | None:
        """Share of the verified attempts that won."""
        return self.wins / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the win rate."""
        return wilson(self.wins, self.n)

    @property
    def cost_per_win(self) -> float | None:
        """USD of all attempts, lost and unverified ones too, per win; None when not all known."""
        known = self.wins and self.cost_known == self.attempts
        return self.cost / self.wins if known else None

    @property
    def tries_per_win(self) -> float | None:
        """Attempts, lost and unverified ones too, per win; None without a win."""
        return self.attempts / self.wins if self.wins else None

    @property
    def exploration(self) -> float | None:
        """Share of the attempts that were explorations; None when it is known of none."""
        return self.explored / self.explored_known if self.explored_known else None


KEYS: dict[By, tuple[str, ...]] = {
    "model-dimension": ("model", "dimension"),
    "profile": ("profile",),
    "model": ("model",),
    "agent": ("agent",),
    "dimension": ("dimension",),
    "repo": ("repository",),
}
"""Fields of a try; days are made of `started`."""
LAST = math.inf
ORDERS: dict[Sort, Callable[[Row], Any]] = {
    "n": lambda r: (-r.n, -r.attempts),
    "name": lambda r: (),
    "rate": lambda r: (-r.rate if r.rate is not None else LAST, -r.n),
    "cost": lambda r: -r.cost if r.cost_known else LAST,
    "cost-per-win": lambda r: r.cost / r.wins if r.wins and r.cost_known else LAST,
    "time": lambda r: r.median_time if r.median_time is not None else LAST,
    "tries": lambda r: r.tries_per_win if r.tries_per_win is not None else LAST,
    "last": lambda r: -r.last,
}
"""Best, dearest or latest first; what is unknown comes last."""


def rows(tries: Sequence[Try], by: By, sort: Sort = "n") -> list[Row]:
    """One row per key. Days come in their order unless sorted otherwise."""
    groups: dict[Any, list[Try]] = defaultdict(list)
    key = _day if by == "day" else itemgetter(*map(Try._fields.index, KEYS[by]))
    for one in tries:
        groups[key(one)].append(one)
    span = _span(tries)
    made = [
        _row(name if isinstance(name, tuple) else (name,), group, span)
        for name, group in groups.items()
    ]
    order = ORDERS["name" if by == "day" and sort == "n" else sort]
    return sorted(made, key=lambda row: (order(row), row.key))


def total(tries: Sequence[Try]) -> Row:
    """All attempts in one row, with an empty key."""
    return _row((), tries, _span(tries))


def _day(one: Try) -> str:
    """The local date; empty when the clock was far off, or nobody knows."""
    try:
        return time.strftime("%Y-%m-%d", time.localtime(one.started)) if one.started else ""
    except (OverflowError, OSError, ValueError):
        return ""


def _span(tries: Iterable[Try]) -> tuple[float, float]:
    """From the first to the last moment at which an attempt started."""
    moments = [t.started for t in tries if t.started and math.isfinite(t.started)]
    return (min(moments), max(moments)) if moments else (0.0, 0.0)


def _row(key: tuple[str, ...], group: Sequence[Try], span: tuple[float, float]) -> Row:
    columns: Any = zip(*group, strict=True) if group else [()] * len(Try._fields)
    of = dict(zip(Try._fields, columns, strict=True))
    paid = [usd for usd in of["paid"] if usd is not None]
    times = [t for t in of["duration"] if t and 0 < t < math.inf]
    told = [one for one in of["explored"] if one is not None]
    return Row(
        key=key,
        attempts=len(group),
        runs=len(set(of["task"])),
        wins=of["status"].count("pass"),
        losses=of["status"].count("fail"),
        cost=math.fsum(paid),
        cost_known=len(paid),
        plan=sum(of["plan"]),
        tokens=sum(filter(None, of["tokens"])),
        median_time=statistics.median(times) if times else None,
        explored=sum(told),
        explored_known=len(told),
        last=max(filter(None, of["started"]), default=0.0),
        trend=_trend(of["started"], of["status"], span),
    )


def _trend(
    started: Sequence[float | None], status: Sequence[str], span: tuple[float, float]
) -> tuple[float | None, ...]:
    start, width = span[0], (span[1] - span[0]) / BINS
    if not width:
        won, lost = status.count("pass"), status.count("fail")
        return (*[None] * (BINS - 1), won / (won + lost) if won + lost else None)
    counts = []
    for wanted in ("pass", "fail"):
        moments = [at for at, told in zip(started, status, strict=True) if told == wanted and at]
        bins = [int((at - start) / width) for at in moments if span[0] <= at < span[1]]
        counts.append(Counter(bins))
        counts[-1][BINS - 1] += moments.count(span[1])
    won_in, lost_in = counts
    both = [(won_in[bin_], lost_in[bin_]) for bin_ in range(BINS)]
    return tuple(won / (won + lost) if won + lost else None for won, lost in both)


@dataclass(frozen=True, slots=True)
class Leader:
    """The model that won most often in a dimension."""

    dimension: str
    model: str
    wins: int
    n: int
    compared: int
    """How many others had enough attempts to be compared with."""
    p: float | None
    """Largest corrected p-value against one of them; None when there was none."""

    @property
    def significant(self) -> bool:
        """Whether it leads by RULE."""
        return self.p is not None and self.p < ALPHA


def leaders(tries: Iterable[Try]) -> tuple[Leader, ...]:
    """For each dimension the model with the best win rate, and whether it leads by RULE."""
    cells: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for one in tries:
        if one.model and one.status != "unverified":
            cell = cells[one.dimension][one.model]
            cell[0] += one.status == "pass"
            cell[1] += 1
    found = []
    for dimension, models in sorted(cells.items()):
        enough = [(won / n, n, name, won) for name, (won, n) in models.items() if n >= LEAST]
        if enough:
            _, n, name, won = max(enough)
            others = [(w, k) for _, k, other, w in enough if other != name]
            found.append(Leader(dimension, name, won, n, len(others), _holm(won, n, others)))
    return tuple(found)


def _holm(won: int, n: int, others: Sequence[tuple[int, int]]) -> float | None:
    """Largest step-down corrected p-value (Holm 1979) of one against the others.

    Corrected for all pairs, as which one leads was not known before; at least as large as
    Holm's own, which would rank the p-values of the other pairs too.
    """
    pairs, most = (len(others) + 1) * len(others) // 2, 0.0
    for rank, p in enumerate(sorted(fisher(won, n, w, k) for w, k in others)):
        most = max(most, min(1.0, p * (pairs - rank)))
    return most if others else None


def fisher(won: int, n: int, other_won: int, other_n: int) -> float:
    """Two-sided p-value of Fisher's exact test that two rates are the same."""
    wins = won + other_won
    ratio = 1.0
    more, fewer = [1.0], []  # chances of other tables with these sums, in units of the seen one's
    for k in range(won, min(n, wins)):
        ratio *= (n - k) * (wins - k) / ((k + 1) * (other_n - wins + k + 1))
        more.append(ratio)
    ratio = 1.0
    for k in range(won, max(0, wins - other_n), -1):
        ratio *= k * (other_n - wins + k) / ((n - k + 1) * (wins - k + 1))
        fewer.append(ratio)
    all_ = more + fewer
    return min(1.0, sum(r for r in all_ if r <= 1 + 1e-7) / sum(all_))


Point = tuple[str, str, float]
"""(run, dimension, value)."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is compared with."""

    name: str
    """As it was asked for."""
    label: str
    """What it turned out to be, in words."""
    costs: tuple[Point, ...]
    """USD of each of its tries, or runs."""
    wins: tuple[Point, ...]
    """1 or 0 of each verified one."""


@dataclass(frozen=True, slots=True)
class Savings:
    """What was saved against a baseline; negative when more was spent."""

    baseline: str
    label: str
    saved: float | None
    """USD; None when nothing is comparable."""
    interval: tuple[float, float] | None
    runs: int
    """Runs of known cost that were compared."""
    left_out: int
    """Runs whose cost is unknown."""
    evidence: int
    """Tries, or runs, that the baseline's cost rests on."""
    wins: float | None
    """How many more verified runs were won than the baseline would have won."""
    wins_interval: tuple[float, float] | None
    verified: int
    method: str = METHOD


def baseline(name: str, tries: Sequence[Try], before: Sequence[Try] = ()) -> Baseline | None:
    """The baseline called `name`: one of BASELINES, or a profile; None without attempts of it.

    `tries` are those that baselines of profiles are drawn from, `before` those of the month that
    came before what is compared.
    """
    if name == "last-month":
        runs = _runs(before)
        label = f"the month before ({len(runs)} runs)"
        return Baseline(name, label, *_points(runs)) if runs else None
    chosen = name
    if name == "always-best":
        chosen = _most(tries, lambda group: _least_rate(t.status for t in group))
    elif name == "always-most-expensive":
        chosen = _most(tries, lambda group: _mean(t.paid for t in group))
    own = [t for t in tries if t.profile == chosen] if chosen else []
    if not own:
        return None
    costs = tuple((t.task, t.dimension, t.paid) for t in own if t.paid is not None)
    told = [t for t in own if t.status != "unverified"]
    wins = tuple((t.task, t.dimension, float(t.status == "pass")) for t in told)
    return Baseline(name, f"always {chosen}, one try ({len(own)} attempts)", costs, wins)


def _most(tries: Iterable[Try], figure: Callable[[list[Try]], float | None]) -> str:
    """The profile with the largest known figure; empty when there is none."""
    groups: dict[str, list[Try]] = defaultdict(list)
    for one in tries:
        groups[one.profile].append(one)
    known = [(value, name) for name, g in groups.items() if (value := figure(g)) is not None]
    return max(known)[1] if known else ""


def _least_rate(status: Iterable[str]) -> float | None:
    """The lower end of the win rate's interval; None without verified attempts."""
    counts = Counter(status)
    n = counts["pass"] + counts["fail"]
    return wilson(counts["pass"], n)[0] if n else None


def _mean(costs: Iterable[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return statistics.fmean(known) if known else None


def savings(tries: Iterable[Try], against: Baseline) -> Savings:
    """What the runs of `tries` saved, in USD and in wins; see METHOD."""
    runs = _runs(tries)
    costs, wins = _points(runs)
    saved, interval = _difference(costs, against.costs)
    lost, lost_interval = _difference(wins, against.wins)
    return Savings(
        baseline=against.name,
        label=against.label,
        saved=saved,
        interval=interval,
        runs=len(costs),
        left_out=len(runs) - len(costs),
        evidence=len(against.costs),
        wins=None if lost is None else -lost,
        wins_interval=None if lost_interval is None else (-lost_interval[1], -lost_interval[0]),
        verified=len(wins),
    )


def _runs(tries: Iterable[Try]) -> dict[str, list[Try]]:
    runs: dict[str, list[Try]] = defaultdict(list)
    for one in tries:
        runs[one.task].append(one)
    return runs


def _points(runs: Mapping[str, Sequence[Try]]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """(USD of each run of known cost, 1 or 0 of each verified run)."""
    costs, wins = [], []
    for task, group in runs.items():
        dimension = group[0].dimension
        paid = [t.paid for t in group if t.paid is not None]
        if len(paid) == len(group):
            costs.append((task, dimension, sum(paid)))
        told = [t.status for t in group if t.status != "unverified"]
        if told:
            wins.append((task, dimension, float("pass" in told)))
    return tuple(costs), tuple(wins)


def _difference(
    actual: Sequence[Point], evidence: Sequence[Point]
) -> tuple[float | None, tuple[float, float] | None]:
    """Sum of (the evidence's mean in the run's dimension - value) over runs, and its interval.

    A dimension without evidence takes the mean of all. The variance is that of the sum of each
    run's influence, so that runs which are evidence too are not counted as independent.
    """
    if not actual or not evidence:
        return None, None
    cells: dict[str, list[float]] = defaultdict(list)
    for _, dimension, value in evidence:
        cells[dimension].append(value)
    everything = [value for _, _, value in evidence]
    mean = {dimension: statistics.fmean(found) for dimension, found in cells.items()}
    overall = statistics.fmean(everything)
    influence: dict[str, float] = defaultdict(float)
    asked: dict[str, int] = defaultdict(int)
    for task, dimension, value in actual:
        influence[task] += mean.get(dimension, overall) - value
        asked[dimension] += 1
    found = math.fsum(influence.values())
    elsewhere = sum(n for dimension, n in asked.items() if dimension not in cells)
    for task, dimension, value in evidence:
        share = asked[dimension] / len(cells[dimension])
        influence[task] += share * (value - mean[dimension])
        influence[task] += elsewhere / len(everything) * (value - overall)
    n = len(influence)
    if n < 2 or len(evidence) < 2:
        return found, None
    centre = math.fsum(influence.values()) / n
    squares = math.fsum((value - centre) ** 2 for value in influence.values())
    half = Z * math.sqrt(n / (n - 1) * squares)
    return found, (found - half, found + half)
