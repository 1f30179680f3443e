"""acr bench: replays routers on recorded outcomes; calls no model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from acr import settings
from acr.errors import UsageError

if TYPE_CHECKING:
    from acr.bench.figures import Figure
    from acr.bench.matrix import Matrix
    from acr.bench.offpolicy import Estimate, Policy
    from acr.bench.suite import Plan, Row
    from acr.context.embedding import Embedder
    from acr.report.plots import Panel

__all__ = ["app"]

SPLITS = {"id": "test", "ood": "ood", "val": "val"}
PATIENT = "The figures take some minutes; nothing is called and nothing leaves the machine."

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Replays routers on recorded outcomes: what each would have chosen, earned and paid.",
)

Results = Annotated[
    Path | None,
    typer.Option("--matrix", metavar="FILE", help="Your own results: CSV or JSON Lines with "
    "task_id, model, score or resolved, cost or tokens."),
]  # fmt: skip
TaskFile = Annotated[
    Path | None,
    typer.Option(
        "--tasks", metavar="FILE", help="JSON Lines with task_id and prompt, for --matrix."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The figures as JSON.")]


@app.command(epilog="Examples: acr bench run · acr bench run --split ood --calls 3 --json")
def run(
    *,
    split: Annotated[
        Literal["id", "ood", "val"] | None,
        typer.Option(help="id: the test tasks; ood: 176 agentic tasks, nothing known before."),
    ] = None,
    routers: Annotated[
        str, typer.Option(help="Names or patterns, comma-separated; see acr bench list.")
    ] = "",
    calls: Annotated[int | None, typer.Option(min=1, help="Most calls a task.")] = None,
    orders: Annotated[
        int | None, typer.Option(min=1, help="Orders of the stream; 20 for ood, else 1.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of orders, draws and resampling.")] = 0,
    subset: Annotated[
        Literal["no-overlap"] | None,
        typer.Option(help="no-overlap leaves out tasks whose item is among the probing tasks."),
    ] = None,
    noise: Annotated[
        float, typer.Option(min=0, max=0.5, help="Chance that the verifier is wrong.")
    ] = 0.0,
    warm: Annotated[
        bool, typer.Option("--warm", help="Fit on probing tasks before an ood stream, too.")
    ] = False,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Take out one part of acr at a time; val and id.")
    ] = False,
    matrix: Results = None,
    tasks: TaskFile = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the frontier: .png or .svg.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plays routers over a split and prints what each earned.

    Without options it plays everything that acr is held to, and says for each figure whether it
    is met.
    """
    from acr.bench.figures import OOD_ORDERS
    from acr.bench.suite import Plan, play
    from acr.cli.console import emit_json

    _one_thread()
    data = _matrix(matrix, tasks)
    names = [name.strip() for name in routers.split(",") if name.strip()]
    whole = not (split or names or calls or orders or subset or noise or warm or matrix)
    where = SPLITS[split or "id"]
    plan = Plan(
        split=where,
        calls=calls or 1,
        wrong=noise,
        orders=orders or (OOD_ORDERS if where == "ood" else 1),
        seed=seed,
        overlap=subset is None,
        warm=where != "ood" or warm,
    )
    if ablate:
        wanted = [where] if split else [s for s in ("val", "test") if s in data.split]
        _ablate(data, [replace(plan, split=s) for s in wanted], as_json)
        return
    if whole:
        _everything(plan, plot, as_json)
        return
    with _progress() as tick:
        played, rows = play(data, plan, names, tick)
    if plot:
        _draw(plot, rows)
    if as_json:
        emit_json(_as_json(played, plan, rows))
    else:
        _print(played, plan, rows)


@app.command(name="list")
def list_routers(*, as_json: AsJson = False) -> None:
    """Explains each router in a line, with its source."""
    from acr.bench.matrix import shipped
    from acr.bench.suite import available
    from acr.cli.console import clean, emit_json, out, table

    known = available(shipped().splits("test"))
    if as_json:
        emit_json(known)
        return
    shown = table("router", "what it is")
    for name, about in known.items():
        shown.add_row(clean(name), clean(about))
    out().print(shown)


@app.command()
def plot(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help=".png or .svg")] = None,
    *,
    kind: Annotated[
        Literal["frontier", "regret"], typer.Option(help="Cost against score, or regret over time.")
    ] = "frontier",
    split: Annotated[Literal["id", "ood", "val"], typer.Option(help="Which tasks.")] = "id",
    calls: Annotated[int, typer.Option(min=1, help="Most calls a task.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of orders and draws.")] = 0,
    routers: Annotated[str, typer.Option(help="Names or patterns, comma-separated.")] = "",
    matrix: Results = None,
    tasks: TaskFile = None,
) -> None:
    """Draws cost against score, or the regret over the stream; in the terminal without FILE."""
    from acr.bench.suite import Plan, play

    _one_thread()
    where = SPLITS[split]
    plan = Plan(split=where, calls=calls, seed=seed, warm=where != "ood")
    names = [name.strip() for name in routers.split(",") if name.strip()]
    with _progress() as tick:
        _, rows = play(_matrix(matrix, tasks), plan, names, tick)
    _draw(file, rows, kind)


@app.command(name="replay", epilog="Examples: acr bench replay · acr bench replay always:PROFILE")
def replay_log(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="[POLICY]",
            help="always:PROFILE, uniform, logged, or epsilon_cost=-1: acr with another weight.",
        ),
    ] = "epsilon_cost=-1",
    *,
    last: Annotated[
        int, typer.Option("--last", min=1, help="How many tasks, newest first.")
    ] = 1000,
    as_json: AsJson = False,
) -> None:
    """Estimates what another policy would have done on your own last tasks, from their log.

    Off-policy estimation with the stored propensities: inverse propensity scoring (IPS), the same
    self-normalised, and doubly robust. It says when the log cannot answer.
    """
    from acr import loop
    from acr.bench import offpolicy
    from acr.cli.console import clean, emit_json, out

    with loop.open_memory(settings.load()) as memory:
        log = offpolicy.logged(memory, last)
    found = offpolicy.estimate(log, _policy(policy))
    if as_json:
        emit_json(found)
        return
    out().print(clean(f"{found.policy}: {found.n} logged tasks, worth {found.ess:.0f} of its own"))
    if found.why_not:
        out().print(clean(found.why_not))
        return
    _print_estimate(found)


def _policy(text: str) -> Policy:
    from acr.bench import offpolicy

    kind, _, value = text.partition(":")
    if kind == "always" and value:
        return offpolicy.always(value)
    if text == "uniform":
        return offpolicy.uniform()
    if text == "logged":
        return offpolicy.as_logged()
    name, _, value = text.partition("=")
    with contextlib.suppress(ValueError):
        if name.strip() == "epsilon_cost" and -1e9 < (weight := float(value)) <= 0:
            return offpolicy.greedy(weight)
    raise UsageError(
        f"no policy {text!r}; use always:PROFILE, uniform, logged or epsilon_cost=NUMBER (<= 0)"
    )


def _print_estimate(found: Estimate) -> None:
    from acr.cli.console import clean, out, table

    kinds = ("dr", "snips", "ips")
    shown = table("per task", *kinds, right=kinds)
    for name, values in (
        ("score", found.score),
        ("cost, USD", found.cost),
        ("reward", found.reward),
    ):
        if values:
            cells = (
                f"{v.mean:.3f} [{v.low:.3f}-{v.high:.3f}]" for v in map(values.get, kinds) if v
            )
            shown.add_row(name, *cells)
    out().print(shown)
    for note in found.notes:
        out().print(clean(note))
    out().print("dr: doubly robust, the one to trust · [95 % interval]")


def _everything(plan: Plan, file: Path | None, as_json: bool) -> None:
    from acr.bench.figures import everything
    from acr.cli.console import emit_json, err, out

    if not as_json:
        err().print(PATIENT)
    with _progress() as tick:
        tables, figures = everything(plan.seed, tick)
    if file:
        _draw(file, tables[0][2])
    if as_json:
        first = _as_json(*tables[0])
        emit_json(first | {"figures": figures, "tables": [_as_json(*one) for one in tables[1:]]})
        return
    for played, its, rows in tables:
        _print(played, its, rows)
        out().print()
    _print_figures(figures)


def _ablate(data: Matrix, plans: Sequence[Plan], as_json: bool) -> None:
    """What acr loses without each of its parts."""
    from acr.bench.suite import WITHOUT, play
    from acr.cli.console import clean, emit_json, out, table

    played = []
    for plan in plans:
        with _progress() as tick:
            played.append((*play(data, plan, ["acr", *WITHOUT], tick), plan))
    if as_json:
        emit_json([_as_json(tasks, plan, rows) for tasks, rows, plan in played])
        return
    for tasks, (whole, *rows), plan in played:
        figures = ("AvgPerf", "loss", "CumReg", "more", "$")
        shown = table("router", *figures, right=figures)
        for row in (whole, *rows):
            known = row.cum_regret is not None and whole.cum_regret is not None
            more = (row.cum_regret or 0.0) - (whole.cum_regret or 0.0)
            shown.add_row(
                clean(row.router),
                f"{row.avg_perf:.2f}",
                f"{whole.avg_perf - row.avg_perf:+.2f}",
                _regret(row),
                f"{more:+.1f}" if known else "?",
                "?" if row.cost_usd is None else f"{row.cost_usd:.2f}",
            )
        out().print(clean(_title(tasks, plan)))
        out().print(shown)


def _as_json(played: Matrix, plan: Plan, rows: Sequence[Row]) -> dict[str, Any]:
    names = {its: name for name, its in SPLITS.items()}
    return {
        "split": names[plan.split],
        "calls": plan.calls,
        "n": len(played),
        "matrix_sha256": played.sha256,
        "verifier": _verifier(plan),
        "orders": plan.orders,
        "seed": plan.seed,
        "subset": None if plan.overlap else "no-overlap",
        "warm": plan.warm,
        "routers": [_row_json(row) for row in rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {f.name: getattr(row, f.name) for f in fields(row) if f.name != "curve"}


def _verifier(plan: Plan) -> str:
    from acr.bench.replay import Verifier

    return Verifier(plan.wrong).name


def _print(played: Matrix, plan: Plan, rows: Sequence[Row]) -> None:
    from acr.cli.console import clean, out, table

    figures = ("AvgPerf", "CumReg", "$", "Perf/$", "calls")
    shown = table("router", *figures, "mostly", right=figures)
    for row in sorted(rows, key=lambda r: (r.cum_regret is None, r.cum_regret or -r.avg_perf)):
        most = max(row.share, key=lambda model: row.share[model])
        shown.add_row(
            clean(row.router),
            f"{row.avg_perf:.2f}{_range(row.ci['avg_perf'])}",
            _regret(row),
            "?" if row.cost_usd is None else f"{row.cost_usd:.2f}",
            "?" if row.perf_per_usd is None else f"{row.perf_per_usd:.2f}",
            f"{row.calls_per_task:.2f}",
            clean(f"{most} {row.share[most]:.0%}"),
            style="bold" if row.router.startswith("acr") else "",
        )
    out().print(clean(_title(played, plan)))
    out().print(shown)
    out().print(
        "AvgPerf: mean score, % [95 % bootstrap] · CumReg: sum of best reward - own, reward = score"
        " - 0.1 x USD" + (" ± sd over orders" if plan.orders > 1 else "")
    )


def _title(played: Matrix, plan: Plan) -> str:
    parts = [
        f"{played.name}: {len(played)} tasks ({ {s: n for n, s in SPLITS.items()}[plan.split] })",
        "one call" if plan.calls == 1 else f"at most {plan.calls} calls, {_verifier(plan)}",
    ]
    parts += [f"{plan.orders} orders"] * (plan.orders > 1)
    parts += ["items of probing tasks left out"] * (not plan.overlap)
    parts += ["nothing known before but tier and price"] * (not plan.warm)
    return " · ".join(parts)


def _regret(row: Row) -> str:
    if row.cum_regret is None:
        return "?"
    sd = row.sd["cum_regret"]
    return f"{row.cum_regret:.1f}" + (f" ± {sd:.1f}" if sd is not None else "")


def _range(interval: tuple[float, float] | None) -> str:
    return f" [{interval[0]:.1f}-{interval[1]:.1f}]" if interval else ""


def _print_figures(figures: Sequence[Figure]) -> None:
    from acr.cli.console import clean, out, table

    shown = table("figure", "must", "aim", "found", "")
    for one in figures:
        verdict = {None: "reported", True: "met", False: "missed"}[one.met]
        aimed = ", aim too" if one.aim_met else ""
        shown.add_row(*map(clean, (one.name, one.must, one.aim, one.found, verdict + aimed)))
    out().print(shown)


def _draw(file: Path | None, rows: Sequence[Row], kind: Panel = "frontier") -> None:
    from acr.cli.console import out
    from acr.report import plots

    points = [plots.Row(r.router, r.avg_perf, r.cost_usd, r.curve.tolist()) for r in rows]
    if file is not None:
        plots.write(file, points, panels=(kind,))
        return
    console = out()
    drawn = plots.terminal(
        points, width=min(console.width, 120), panels=(kind,), colour=console.is_terminal
    )
    console.print(drawn, markup=False)


def _matrix(results: Path | None, tasks: Path | None) -> Matrix:
    from acr.bench.matrix import shipped

    if results is None:
        if tasks is not None:
            raise UsageError("--tasks belongs to --matrix; name your results with it")
        return shipped()
    from acr import loop
    from acr.bench import own
    from acr.context.dimension import classify_many
    from acr.context.embedding import load

    def embedder() -> Embedder:
        return load(settings.load().embedding)

    return own.load(
        results,
        tasks,
        embedder,
        lambda ps: [c.dimension for c in classify_many(ps, loop.reader(settings.load()))],
    )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from acr.cli.console import err

    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        shown = bar.add_task("", total=None)

        def tick(name: str, done: int, whole: int) -> None:
            bar.update(shown, description=name, completed=done, total=whole)

        yield tick


def _one_thread() -> None:
    """Before numpy is imported: its matrices are small, and threads that wait cost more."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
