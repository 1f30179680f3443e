"""Plays routers over a split and adds up what they earned: one row of figures per router."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acr.bench.acr_router import AcrRouter
from acr.bench.baselines import baselines
from acr.bench.matrix import Matrix
from acr.bench.replay import Router, Verifier, reward, stream
from acr.errors import UsageError
from acr.settings import Muted, OrchestratorSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ACR", "WITHOUT", "Plan", "Row", "Setting", "available", "play"]

RESAMPLES = 1000
"""Bootstrap resamples of tasks behind an interval."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One of acr's own rows."""

    about: str
    epsilon_cost: float = -0.1
    mute: tuple[Muted, ...] = ()
    exploration: float = OrchestratorSettings().exploration


ACR: dict[str, Setting] = {
    "acr": Setting("acr as installed: reward = score - 0.1 x USD", -0.1),
    "acr-thrifty": Setting("acr with orchestrator.epsilon_cost = -4", -4.0),
    "acr-cheap": Setting("acr with orchestrator.epsilon_cost = -11", -11.0),
    "acr-cheapest": Setting("acr with orchestrator.epsilon_cost = -20", -20.0),
}
PARTS: tuple[Muted, ...] = ("prior", "ability", "own", "classifier", "neighbours", "changes")
WITHOUT: dict[str, Setting] = {
    f"without-{part}": Setting(f"acr with orchestrator.mute = {part}", mute=(part,))
    for part in PARTS
} | {"without-exploration": Setting("acr with orchestrator.exploration = 0", exploration=0.0)}
"""acr with one part taken out; a replay knows no repositories."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the routers are played."""

    split: str = "test"
    """val, test or ood."""
    calls: int = 1
    """Most calls a task."""
    wrong: float = 0.0
    """Chance that the verifier swaps pass and fail."""
    orders: int = 1
    """Orders of the stream, over which figures are averaged."""
    seed: int = 0
    overlap: bool = True
    """Whether tasks that share their item with a probing task are kept."""
    warm: bool = True
    """Whether routers are fitted on probing first; else tier and price of a model are known."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a router earned; sums over the tasks, means over the orders."""

    router: str
    avg_perf: float
    """Mean score, percent."""
    cum_regret: float | None
    """Sum of the best reward - the own; None where a cost is unknown."""
    cost_usd: float | None
    perf_per_usd: float | None
    """avg_perf / cost_usd."""
    calls_per_task: float
    share: Mapping[str, float]
    """Model -> its share of the calls, 0..1."""
    ci: Mapping[str, tuple[float, float] | None]
    """95 % bootstrap intervals over tasks of avg_perf and cum_regret."""
    sd: Mapping[str, float | None]
    """Standard deviation over the orders of avg_perf and cum_regret; None with one order."""
    curve: Floats
    """Cumulative regret along the stream, mean over the orders; empty where a cost is unknown."""


def available(matrix: Matrix) -> dict[str, str]:
    """Router -> what it is and where it comes from, in a line."""
    own = {name: f"{s.about} (this program)" for name, s in (ACR | WITHOUT).items()}
    return own | {name: f"{b.about} ({b.source})" for name, b in baselines(matrix).items()}


def play(
    matrix: Matrix,
    plan: Plan,
    wanted: Sequence[str] = (),
    progress: Callable[[str, int, int], None] = lambda name, done, all_: None,
) -> tuple[Matrix, list[Row]]:
    """The tasks that were played, and a row per router.

    `wanted` are names or shell patterns; none means all that the plan fits. `progress` gets the
    router's name, tasks done and tasks in all. Raises UsageError.
    """
    import numpy as np

    tasks = matrix.splits(plan.split)
    if not plan.overlap:
        tasks = tasks.rows(~tasks.overlap)
    if not len(tasks):
        raise UsageError(f"{matrix.name} has no tasks in the split {plan.split!r}")
    probing = matrix.splits("train") if plan.split == "val" else matrix.splits("train", "val")
    chosen = _chosen(tasks, plan, wanted, bool(len(probing)))
    orders = [
        np.random.default_rng([plan.seed, n]).permutation(len(tasks)) for n in range(plan.orders)
    ]
    rows = []
    for place, name in enumerate(chosen):
        done = place * len(tasks) * plan.orders

        def tick(name: str = name, start: int = done) -> None:
            nonlocal done
            done += 1
            if done % 16 == 0 or done - start == len(tasks):
                progress(name, done, len(chosen) * len(tasks) * plan.orders)

        rows.append(_row(name, tasks, probing if plan.warm else None, plan, orders, tick))
    return tasks, rows


def _chosen(tasks: Matrix, plan: Plan, wanted: Sequence[str], fits: bool) -> list[str]:
    known = baselines(tasks)
    cold = not plan.warm or not fits
    fitting = [
        *ACR,
        *(
            name
            for name, b in known.items()
            if (b.cold or not cold) and (plan.calls > 1 or not b.cascade)
        ),
    ]
    if not wanted:
        return fitting
    fitting += WITHOUT
    found: list[str] = []
    for pattern in wanted:
        some = [n for n in (*ACR, *WITHOUT, *known) if fnmatch.fnmatchcase(n, pattern)]
        if not some:
            near = difflib.get_close_matches(pattern, [*ACR, *WITHOUT, *known], 1)
            hint = f"did you mean {near[0]}?" if near else "acr bench list names them"
            raise UsageError(f"no router called {pattern!r}; {hint}")
        unfit = [n for n in some if n not in fitting]
        if len(unfit) == len(some):
            why = "needs more than one call" if known[unfit[0]].cascade else "needs probing tasks"
            raise UsageError(f"{unfit[0]} {why}; see acr bench run --help")
        found += [n for n in some if n in fitting and n not in found]
    return found


def _router(name: str, tasks: Matrix, seed: int, warm: bool) -> Router:
    """A fresh router of this name."""
    if setting := (ACR | WITHOUT).get(name):
        settings = OrchestratorSettings(
            epsilon_cost=setting.epsilon_cost, exploration=setting.exploration, mute=setting.mute
        )
        return AcrRouter(name, tasks, settings, seed=seed, known=warm)
    return baselines(tasks)[name].make(tasks, seed)


def _row(
    name: str,
    tasks: Matrix,
    probing: Matrix | None,
    plan: Plan,
    orders: Sequence[NDArray[np.int64]],
    tick: Callable[[], None],
) -> Row:
    import numpy as np

    played = []
    for n, order in enumerate(orders):
        router = _router(name, tasks, plan.seed + n, probing is not None)
        if probing is not None:
            router.fit(probing)
        played.append(
            stream(
                tasks,
                router,
                calls=plan.calls,
                verifier=Verifier(plan.wrong),
                order=order,
                seed=plan.seed + n,
                progress=tick,
            )
        )
    best = np.nanmax(reward(tasks.score, tasks.cost), axis=1)
    score = np.array([p.score for p in played])
    cost = np.array([p.cost for p in played])
    regret = best - reward(score, cost)
    known = not np.isnan(regret).any()
    curve = np.mean([np.cumsum(r[o]) for r, o in zip(regret, orders, strict=True)], axis=0)
    used = np.sum([p.used.sum(0) for p in played], axis=0)
    whole = float(cost.sum(1).mean()) if known else None
    performance = 100 * float(score.mean())
    return Row(
        router=name,
        avg_perf=performance,
        cum_regret=float(regret.sum(1).mean()) if known else None,
        cost_usd=whole,
        perf_per_usd=performance / whole if whole else None,
        calls_per_task=float(np.mean([p.calls for p in played])),
        share=dict(zip(tasks.models, (used / used.sum()).tolist(), strict=True)),
        ci={
            "avg_perf": _interval(100 * score.mean(0), 1 / len(tasks), plan.seed),
            "cum_regret": _interval(regret.mean(0), 1.0, plan.seed) if known else None,
        },
        sd={
            "avg_perf": _sd(100 * score.mean(1)),
            "cum_regret": _sd(regret.sum(1)) if known else None,
        },
        curve=curve if known else np.zeros(0),
    )


def _interval(each: Floats, factor: float, seed: int) -> tuple[float, float] | None:
    """95 % percentile bootstrap of factor x the sum of `each`; None for a single task."""
    import numpy as np

    if len(each) < 2:
        return None
    rng = np.random.default_rng([seed, 95])
    sums = [each[rng.integers(0, len(each), len(each))].sum() for _ in range(RESAMPLES)]
    low, high = np.percentile(sums, [2.5, 97.5])
    return float(low * factor), float(high * factor)


def _sd(each: Any) -> float | None:
    return float(each.std(ddof=1)) if len(each) > 1 else None
