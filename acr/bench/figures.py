"""The figures that acr is held to: what must be, what is aimed at, what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from acr.bench.acr_router import AcrRouter
from acr.bench.matrix import Matrix, shipped
from acr.bench.replay import Played, Router, reward, stream
from acr.bench.suite import ACR, Plan, Row, play
from acr.settings import OrchestratorSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Cold", "Drift", "Figure", "cold", "dominated", "drift", "everything"]

WINDOW = 50
"""Tasks over which a regret rate is averaged."""
POOL = 4
"""Models of a cold user."""


ONE_CALL = (
    "acr*", "oracle", "random", "always-*", "dimension-best", "knn", "logreg", "mlp",
    "matrix-factorisation", "similarity-weighted", "linucb", "lints", "thompson", "published-*",
)  # fmt: skip
SEVERAL = ("acr*", "oracle", "cascade-*")
NOISE = 0.1
"""Share of wrong verdicts of the noisy verifier."""
OOD_ORDERS = 20

Table = tuple[Matrix, Plan, list[Row]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the summary."""

    name: str
    must: str
    aim: str
    found: str
    met: bool | None
    """None where the figure is only reported."""
    aim_met: bool | None


@dataclass(frozen=True, slots=True)
class Cold:
    """How long a user with models that nobody knows needs to be served well."""

    tasks: int | None
    """Tasks until the mean regret per task, over a window and the repetitions, is within 10 % of
    the fitted policy's; None when it never was."""
    fitted: float
    """Mean regret per task of the fitted policy."""
    last: float
    """Mean regret per task over the last window."""
    length: int
    repetitions: int


@dataclass(frozen=True, slots=True)
class Drift:
    """How long it takes to get over the best model becoming the worst."""

    tasks: int | None
    """Tasks from the swap until half of the regret rate that it cost is recovered."""
    before: float
    """Mean regret per task before the swap, against the best of the matrix as it is then."""
    lost: float
    """How much the rate rises when nothing is learned."""
    repetitions: int


def dominated(rows: Sequence[Row], published: str = "published-") -> dict[str, str | None]:
    """Published router -> a setting of acr's that is better and cheaper; None without one."""
    found: dict[str, str | None] = {}
    for row in rows:
        if row.router.startswith(published) and row.cost_usd is not None:
            found[row.router] = next(
                (
                    own.router
                    for own in rows
                    if own.router in ACR
                    and own.cost_usd is not None
                    and own.cost_usd < row.cost_usd
                    and own.avg_perf > row.avg_perf
                ),
                None,
            )
    return found


def cold(
    matrix: Matrix,
    repetitions: int = 12,
    length: int = 600,
    seed: int = 0,
) -> Cold:
    """Pools of four models, of which only tier and price are known, on streams of ID tasks."""
    import numpy as np

    probing, test = matrix.splits("train", "val"), matrix.splits("test")
    rates: list[Floats] = []
    fitted: list[Floats] = []
    for n in range(repetitions):
        rng = np.random.default_rng([seed, n, 4])
        pool = [matrix.models[i] for i in sorted(rng.permutation(len(matrix.models))[:POOL])]
        tasks = test.columns(pool).rows(rng.permutation(len(test))[:length])
        best = np.nanmax(reward(tasks.score, tasks.cost), axis=1)
        for learned in (False, True):
            router = _acr(tasks, seed + n, known=learned)
            if learned:
                router.fit(probing.columns(pool))
            regret = best - _earned(stream(tasks, router, seed=seed + n))
            (fitted if learned else rates).append(regret)
    goal = float(np.mean(fitted))
    smooth = _windows(np.mean(rates, axis=0))
    reached = np.flatnonzero(smooth <= 1.1 * goal)
    return Cold(
        int(reached[0]) + WINDOW if len(reached) else None,
        goal,
        float(smooth[-1]),
        length,
        repetitions,
    )


def drift(
    matrix: Matrix,
    repetitions: int = 6,
    length: int = 900,
    seed: int = 0,
) -> Drift:
    """The scores of the best and the worst model are swapped in the middle of an ID stream."""
    import numpy as np

    probing, test = matrix.splits("train", "val"), matrix.splits("test")
    means = np.nanmean(probing.score, axis=0)
    best, worst = int(means.argmax()), int(means.argmin())
    learning: list[Floats] = []
    frozen: list[Floats] = []
    for n in range(repetitions):
        rng = np.random.default_rng([seed, n, 9])
        tasks = test.rows(rng.permutation(len(test))[:length])
        score = tasks.score.copy()
        half = length // 2
        score[half:, [best, worst]] = score[half:, [worst, best]]
        tasks = replace(tasks, score=score)
        reachable = np.nanmax(reward(tasks.score, tasks.cost), axis=1)
        for learns in (True, False):
            router: Router = _acr(tasks, seed + n, known=True)
            router.fit(probing)
            if not learns:
                router = _Frozen(router)
            regret = reachable - _earned(stream(tasks, router, seed=seed + n))
            (learning if learns else frozen).append(regret)
    half = length // 2
    before = float(np.mean([r[:half] for r in learning]))
    lost = float(np.mean([r[half:] for r in frozen])) - before
    after = np.mean(learning, axis=0)[half:]
    reached = np.flatnonzero(_windows(after) <= before + lost / 2)
    tasks_needed = int(reached[0]) + WINDOW // 2 if len(reached) else None
    return Drift(tasks_needed, before, lost, repetitions)


class _Frozen:
    """A router that learns nothing from the stream."""

    def __init__(self, router: Router) -> None:
        self.name, self.fit, self.choose = router.name, router.fit, router.choose

    def learn(self, question: object, made: object) -> None:
        """Forgets."""


def _acr(tasks: Matrix, seed: int, known: bool) -> AcrRouter:
    return AcrRouter("acr", tasks, OrchestratorSettings(), seed=seed, known=known)


def _earned(played: Played) -> Floats:
    earned: Floats = reward(played.score, played.cost)
    return earned


def _windows(each: Floats) -> Floats:
    """Means over WINDOW tasks, one per start."""
    import numpy as np

    return np.convolve(each, np.full(WINDOW, 1 / WINDOW), "valid")


def everything(
    seed: int = 0, progress: Callable[[str, int, int], None] = lambda name, done, all_: None
) -> tuple[list[Table], list[Figure]]:
    """All tables of the shipped matrix and the figures read off them; two processes at most."""
    plans = {
        "one call": (Plan(seed=seed), ONE_CALL),
        "no overlap": (Plan(seed=seed, overlap=False), ONE_CALL),
        "three calls": (Plan(seed=seed, calls=3), SEVERAL),
        "noisy verifier": (Plan(seed=seed, calls=3, wrong=NOISE), SEVERAL),
        "ood": (Plan("ood", seed=seed, orders=OOD_ORDERS, warm=False), ("*",)),
        "ood, three calls": (
            Plan("ood", calls=3, seed=seed, orders=OOD_ORDERS, warm=False), SEVERAL,
        ),
    }  # fmt: skip
    jobs: dict[str, Callable[[], Any]] = {
        "cold": partial(_cold, seed),
        "drift": partial(_drift, seed),
        **{name: partial(_table, plan, wanted) for name, (plan, wanted) in plans.items()},
    }
    found: dict[str, Any] = {}
    workers = max(1, min(2, os.cpu_count() or 1))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running = {pool.submit(job): name for name, job in jobs.items()}
        progress("all figures", 0, len(jobs))
        for done, future in enumerate(as_completed(running), 1):
            found[running[future]] = future.result()
            progress("all figures", done, len(jobs))
    tables = {name: (_tasks(plan), plan, found[name]) for name, (plan, _) in plans.items()}
    return list(tables.values()), list(_figures(found))


def _table(plan: Plan, wanted: Sequence[str]) -> list[Row]:
    return play(shipped(), plan, wanted)[1]


def _cold(seed: int) -> Cold:
    return cold(shipped(), seed=seed)


def _drift(seed: int) -> Drift:
    return drift(shipped(), seed=seed)


def _tasks(plan: Plan) -> Matrix:
    tasks = shipped().splits(plan.split)
    return tasks if plan.overlap else tasks.rows(~tasks.overlap)


def _figures(found: dict[str, Any]) -> Sequence[Figure]:
    one, none = _named(found["one call"]), found["no overlap"]
    three, noisy = _named(found["three calls"]), _named(found["noisy verifier"])
    ood, ood3 = _named(found["ood"]), _named(found["ood, three calls"])
    cold_, drift_ = found["cold"], found["drift"]
    beaten = dominated(found["one call"])
    acr = one["acr"]
    return (
        _bounded("ID, one call", acr, (52.3, 226.0, 14.0), (53.0, 205.0, 14.0)),
        _reported("ID, the same without overlap", _worded(_named(none)["acr"]), _rank(none) == 1),
        _cheap([row for name, row in one.items() if name in ACR]),
        _counted("Pareto: published routers beaten at less cost", beaten),
        _best("ID, 3 calls, ideal verifier", three, (57.1, 87.0, 24.0), (57.5, 80.0, 20.0)),
        _reported(
            "ID, 3 calls, noisy verifier",
            _worded(noisy["acr"]),
            (noisy["acr"].cum_regret or 0) < (acr.cum_regret or 0),
        ),
        _regret("OOD176, one call, 20 orders", ood["acr"], 42.0, 30.0),
        _bounded("OOD176, 3 calls, 20 orders", ood3["acr"], (74.0, 15.5, None), (77.0, 12.0, None)),
        Figure(
            "cold user: tasks to 110 % of the fitted regret", "reported", "<= 150",
            f"{_tasks_worded(cold_.tasks, cold_.length)} (per task: {cold_.last:.3f} at the end, "
            f"{cold_.fitted:.3f} fitted; {cold_.repetitions} pools)",
            None, cold_.tasks is not None and cold_.tasks <= 150,
        ),
        Figure(
            "drift: tasks to half of what was lost", "<= 100", "<= 50",
            f"{_tasks_worded(drift_.tasks, 0)} ({drift_.lost:.3f} per task lost; "
            f"{drift_.repetitions} streams)",
            drift_.tasks is not None and drift_.tasks <= 100,
            drift_.tasks is not None and drift_.tasks <= 50,
        ),
    )  # fmt: skip


Bounds = tuple[float, float, float | None]
"""Least AvgPerf, most CumReg, most USD."""


def _named(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.router: row for row in rows}


def _bounded(name: str, row: Row, must: Bounds, aim: Bounds) -> Figure:
    return Figure(
        name, _bound(must), _bound(aim), _worded(row), _within(row, must), _within(row, aim)
    )


def _best(name: str, rows: dict[str, Row], must: Bounds, aim: Bounds) -> Figure:
    """The setting of acr's with the least regret among those within the price of `must`."""
    fit = [r for n, r in rows.items() if n in ACR and _within(r, (0.0, 1e9, must[2]))]
    row = min(fit or [rows["acr"]], key=lambda r: r.cum_regret or 0.0)
    return _bounded(f"{name} ({row.router})", row, must, aim)


def _cheap(rows: Sequence[Row]) -> Figure:
    must, aim = (50.2, 1e9, 6.5), (51.0, 1e9, 6.0)
    fit = [r for r in rows if r.cost_usd is not None and r.cost_usd <= 6.5] or list(rows)
    row = max(fit, key=lambda r: r.avg_perf)
    return Figure(
        f"ID, cheap setting ({row.router})", ">= 50.2 at <= $6.5", ">= 51 at <= $6",
        _worded(row), _within(row, must), _within(row, aim),
    )  # fmt: skip


def _counted(name: str, beaten: dict[str, str | None]) -> Figure:
    n = sum(own is not None for own in beaten.values())
    return Figure(
        name, f"all {len(beaten)}", f"all {len(beaten)}", str(n), n == len(beaten), n == len(beaten)
    )


def _reported(name: str, found: str, aim_met: bool) -> Figure:
    aim = "least regret of all but the oracle" if "overlap" in name else "better than one call"
    return Figure(name, "reported", aim, found, None, aim_met)


def _regret(name: str, row: Row, must: float, aim: float) -> Figure:
    regret = row.cum_regret or 0.0
    return Figure(name, f"<= {must:g}", f"<= {aim:g}", _worded(row), regret <= must, regret <= aim)


def _rank(rows: Sequence[Row]) -> int:
    """The place of acr by regret; the oracle does not count."""
    order = sorted((r for r in rows if r.router != "oracle"), key=lambda r: r.cum_regret or 0.0)
    return next(place for place, row in enumerate(order, 1) if row.router in ACR)


def _bound(bounds: Bounds) -> str:
    price = f" at <= ${bounds[2]:g}" if bounds[2] is not None else ""
    return f">= {bounds[0]:g} / <= {bounds[1]:g}{price}"


def _within(row: Row, bounds: Bounds) -> bool:
    return (
        row.avg_perf >= bounds[0]
        and row.cum_regret is not None
        and row.cum_regret <= bounds[1]
        and (bounds[2] is None or (row.cost_usd is not None and row.cost_usd <= bounds[2]))
    )


def _worded(row: Row) -> str:
    spread = row.sd["cum_regret"]
    regret = f"{row.cum_regret:.1f}" + (f" ± {spread:.1f}" if spread is not None else "")
    return f"{row.avg_perf:.2f} / {regret} at ${row.cost_usd:.2f}"


def _tasks_worded(tasks: int | None, length: int) -> str:
    return str(tasks) if tasks is not None else f"more than {length}" if length else "not recovered"
