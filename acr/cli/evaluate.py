"""acr gateway evaluate: your own tasks with routed steps and without, side by side, under a cap."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acr import settings
from acr.cli.run import AsJson, Cwd, ProfileName, Yes, folder, known_dimension
from acr.errors import NothingAllowedError, UsageError
from acr.nouns import RoutedRun

if TYPE_CHECKING:
    from acr.settings import Settings

__all__ = ["evaluate", "limits_with", "read_tasks", "savings"]

ARMS = ("as-asked", "steps")
"""Routers of the two arms."""
MOST = 1000
"""Tasks of a file."""


@dataclass(frozen=True, slots=True)
class Job:
    """A line of the tasks' file."""

    prompt: str
    commit: str = "HEAD"
    dimension: str | None = None


@dataclass(slots=True)
class _Arm:
    """What became of one arm."""

    runs: list[RoutedRun] = field(default_factory=list)
    unverified: int = 0

    def told(self) -> dict[str, Any]:
        """With Wilson's interval; the mean cost is None unless every cost is known."""
        from acr.memory.statistics import wilson

        n, wins = len(self.runs), sum(run.passed for run in self.runs)
        costs = [run.cost for run in self.runs if run.cost is not None]
        return {
            "n": n,
            "passed": wins,
            "interval": wilson(wins, n),
            "unverified": self.unverified,
            "cost_usd": sum(costs) / n if n and len(costs) == n else None,
        }


def evaluate(
    tasks: Annotated[Path, typer.Argument(help='JSON lines: {"prompt": …, "commit": …}.')],
    *,
    profile: ProfileName = None,
    budget: Annotated[float, typer.Option(help="USD for all runs together.", min=0)],
    rounds: Annotated[int, typer.Option(help="Runs of each task in each arm.", min=1)] = 3,
    tiers: Annotated[
        list[str] | None, typer.Option(help="As in max=mid or edit=frontier; see gateway.tiers.")
    ] = None,
    cwd: Cwd = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Runs your own tasks twice, with routed steps and with the model as asked, each in a fresh
    clone of the repository, judged by its tests, and compares. This calls models and costs money:
    nothing starts once the budget is spent, or when a cost is unknown."""
    from acr.cli.console import clean, emit_json, err, out

    if profile is None:
        raise UsageError("acr gateway evaluate: name the --profile whose steps are to be routed")
    config = settings.load()
    config = replace(config, gateway=limits_with(config.gateway, tiers or ()))
    jobs, root = read_tasks(tasks), folder(cwd)
    calls = len(jobs) * rounds * len(ARMS)
    if not yes:
        typer.confirm(f"{calls} runs of {profile}, at most ${budget:g}. Go on?", abort=True)
    arms, spent, stopped = {arm: _Arm() for arm in ARMS}, 0.0, ""
    for job, arm in _order(jobs, rounds):
        if spent >= budget:
            stopped = f"the budget of ${budget:g} is spent"
            break
        try:
            run, cost = _run(job, arm, profile, config, root, budget - spent)
        except NothingAllowedError as e:
            if not spent:
                raise
            stopped = str(e)
            break
        if run is None:
            arms[arm].unverified += 1
        else:
            arms[arm].runs.append(run)
        if cost is None:
            stopped = "what a run cost is not known, so the budget cannot be kept"
            break
        spent += cost
        err().print(clean(f"{arm}: {job.prompt[:60]} · ${cost:.4f}, ${spent:.2f} so far"))
    told = _told(arms, spent, stopped)
    if as_json:
        return emit_json(told)
    for line in _lines(told):
        out().print(clean(line))
    return None


def savings(*, as_json: AsJson = False) -> None:
    """Compares runs whose steps were routed with plain ones of the same profiles, by kind of task;
    says nothing of savings where one of the two is missing."""
    from acr import loop
    from acr.cli.console import clean, emit_json, err, out
    from acr.steps.learning import compare

    with loop.open_memory(settings.load()) as memory:
        found = compare(memory.routed_runs())
    told = {
        arms.dimension: _told(
            {"as-asked": _Arm(list(arms.plain)), "steps": _Arm(list(arms.routed))}
        )
        for arms in found
    }
    if as_json:
        return emit_json({"dimensions": told})
    if not told:
        err().print('no verdicts of routed runs yet; acr --gateway "…" makes some')
    for name, one in told.items():
        out().print(clean(name))
        for line in _lines(one):
            out().print(clean(f"  {line}"))
    return None


def limits_with(limits: settings.GatewaySettings, given: Sequence[str]) -> settings.GatewaySettings:
    """The settings with `max=mid` and the like. Raises UsageError, SettingsError."""
    from acr.steps.policy import rules_of

    pairs = [text.partition("=") for text in given]
    for name, equals, tier in pairs:
        if not (name and equals and tier):
            raise UsageError(f"--tiers {name}{equals}{tier}: give NAME=TIER, as in max=mid")
    found = replace(limits, tiers={**limits.tiers, **{name: tier for name, _, tier in pairs}})
    rules_of(found)
    return found


def read_tasks(path: Path) -> list[Job]:
    """The tasks of a file. Raises UsageError with the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: cannot be read: {getattr(e, 'strerror', None) or e}") from None
    found = []
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            job = Job(**data)
        except (ValueError, TypeError):
            data, job = None, Job("")
        texts = (job.prompt, job.commit, job.dimension or "x")
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise UsageError(
                f'{path}:{n}: give {{"prompt": "…"}}, with commit and dimension or not'
            )
        if job.commit.startswith("-"):
            raise UsageError(f"{path}:{n}: {job.commit!r} is no commit")
        known_dimension(job.dimension)
        found.append(job)
    if not 0 < len(found) <= MOST:
        raise UsageError(f"{path}: {len(found)} tasks; give 1 to {MOST}, one a line")
    return found


def _order(jobs: Sequence[Job], rounds: int) -> Iterator[tuple[Job, str]]:
    """Every task in both arms before the next; who goes first takes turns."""
    for turn in range(rounds):
        for n, job in enumerate(jobs):
            for arm in ARMS if (turn + n) % 2 else ARMS[::-1]:
                yield job, arm


def _run(
    job: Job, arm: str, profile: str, config: Settings, root: Path, left: float
) -> tuple[RoutedRun | None, float | None]:
    """(the run, None without a verdict; USD, None when unknown)."""
    from acr import loop
    from acr.cli.live import Live
    from acr.orchestrator.rules import Pins

    config = replace(
        config,
        gateway=replace(config.gateway, router=arm),
        agents=replace(config.agents, max_tries=1),
        budget=replace(config.budget, per_run=left),
    )
    with tempfile.TemporaryDirectory(prefix="acr-evaluate-") as clone:
        _clone(root, job.commit, clone)
        asked = loop.Ask(
            prompt=job.prompt,
            cwd=Path(clone),
            pins=Pins(profile=profile),
            dimension=job.dimension,
            gateway=True,
        )
        with Live(config, quiet=True, verbose=False, interactive=False) as live:
            result = loop.run(asked, config, live)
    if not result.outcomes:
        return None, 0.0
    last = result.outcomes[-1]
    status = last.verdict.status
    run = RoutedRun(
        result.task.dimension, profile, arm == "steps", status == "pass", last.attempt.cost
    )
    return (None if status == "unverified" else run), last.attempt.cost


def _clone(root: Path, commit: str, target: str) -> None:
    for args in (
        ["clone", "--quiet", "--no-checkout", str(root), target],
        ["-C", target, "checkout", "--quiet", "--detach", commit],
    ):
        done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UsageError(f"{root}: cannot be cloned at {commit}: {done.stderr.strip()}")


def _told(arms: dict[str, _Arm], spent: float | None = None, stopped: str = "") -> dict[str, Any]:
    from acr.steps.learning import Arms

    pair = Arms("", tuple(arms["steps"].runs), tuple(arms["as-asked"].runs))
    return {
        "arms": {name: arm.told() for name, arm in arms.items()},
        "saving": pair.saving,
        "spent_usd": spent,
        "stopped": stopped or None,
    }


def _lines(told: dict[str, Any]) -> Iterator[str]:
    from acr.cli.live import money
    from acr.steps.learning import ENOUGH

    for name, arm in told["arms"].items():
        low, high = arm["interval"]
        rate = f"{arm['passed']}/{arm['n']} passed [{low:.0%}, {high:.0%}]"
        yield f"{name:<9} {rate}, {money(arm['cost_usd'])} a run, {arm['unverified']} unverified"
    if told["saving"]:
        saved, low, high = told["saving"]
        yield f"routing saves {saved:.0%} [{low:.0%}, {high:.0%}] of a run's cost"
    else:
        yield f"too few runs to speak of savings: {ENOUGH} with a verdict and a cost in both arms"
    if told["stopped"]:
        yield f"stopped early: {told['stopped']}"
