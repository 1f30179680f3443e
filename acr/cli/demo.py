"""acr demo: the loop on a small repository, with scripted agents and a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acr.nouns import Price, Profile
from acr.settings import PoolSettings, Settings

if TYPE_CHECKING:
    from acr.loop import Result

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

BROKEN = """def total(prices):
    result = 0
    for price in prices[1:]:
        result += price
    return result


def average(prices):
    return total(prices) / len(prices)
"""
WRONG = BROKEN.replace("prices[1:]", "prices[:-1]")
RIGHT = BROKEN.replace("prices[1:]", "prices")
TESTS = """import unittest

from basket import average, total


class Basket(unittest.TestCase):
    def test_total_counts_every_price(self):
        self.assertEqual(total([1, 2, 3]), 6)

    def test_total_of_nothing(self):
        self.assertEqual(total([]), 0)

    def test_average(self):
        self.assertEqual(average([2, 4]), 3)
"""
SCRIPT = {
    "models": {
        "scripted-small": {
            "steps": [{"write": "basket.py", "text": WRONG}],
            "usage": {"input": 1200, "output": 80, "requests": 2},
            "message": "I changed the slice.",
        },
        "scripted-large": {
            "steps": [{"write": "basket.py", "text": RIGHT}],
            "usage": {"input": 2400, "output": 160, "requests": 3},
            "message": "The loop skipped a price; it counts all of them now.",
        },
    }
}
PROFILES = (
    Profile("demo-small", "scripted", "scripted-small", "efficient", price=Price(0.2, 1.0)),
    Profile("demo-large", "scripted", "scripted-large", "frontier", price=Price(5.0, 25.0)),
)


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the repository and the home.")] = False,
) -> None:
    """Shows a task that fails, escalates, passes and is remembered. No model is called."""
    from acr.cli.console import clean, out

    out().print("[bold]acr demo[/]: two scripted agents, no model is called, nothing is kept")
    folder = Path(tempfile.mkdtemp(prefix="acr-demo-")).resolve()
    try:
        with _home(folder / "home"):
            _play(folder)
    finally:
        if keep:
            out().print(clean(f"kept: {folder}"))
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _play(folder: Path) -> None:
    from acr.agents.profiles import save
    from acr.cli.console import out
    from acr.cli.stats import stats
    from acr.cli.why import why

    repository = _repository(folder / "basket")
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT))
    for profile in PROFILES:
        save(replace(profile, args=("--script", str(script))))
    config = _config()
    _say('$ acr "fix the failing test"')
    first = _run("fix the failing test", repository, config)
    (repository / "basket.py").write_text(BROKEN)
    _say('$ acr "a test fails, please fix it"      # the same bug came back')
    second = _run("a test fails, please fix it", repository, config)
    _say(f"$ acr why {second.task.id}")
    why(second.task.id)
    _say("$ acr stats --by profile")
    stats(by="profile")
    ends = ", then ".join(_story(result) for result in (first, second))
    out().print(f"\nThe demo went: {ends}. No model was called. With your own agents: acr init")


def _run(prompt: str, repository: Path, config: Settings) -> Result:
    from acr import loop
    from acr.cli.live import Live

    live = Live(config, quiet=False, verbose=False)
    with live:
        result = loop.run(loop.Ask(prompt, repository, seed=1), config, live)
    live.print_summary(result)
    return result


def _story(result: Result) -> str:
    tries = [f"{o.attempt.profile} {o.verdict.status}" for o in result.outcomes]
    return " → ".join(tries)


def _repository(root: Path) -> Path:
    """A committed repository with a bug that a test shows."""
    root.mkdir()
    (root / "basket.py").write_text(BROKEN)
    (root / "test_basket.py").write_text(TESTS)
    who = ("-c", "user.name=acr demo", "-c", "user.email=demo@localhost")
    for args in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "A basket")):
        subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True)
    return root


def _config() -> Settings:
    """Settings of the demo: cheap first, and its own harmless tests run even without a sandbox."""
    from acr.cli.console import out
    from acr.errors import SandboxError
    from acr.verifier.sandbox import choose

    made = Settings()
    try:
        engine = choose(made.verifier).name
        out().print(f"tests run in {engine}")
    except SandboxError as e:
        out().print(f"{e}\nThe demo's own tests are harmless: they run without a sandbox.")
        made = replace(made, verifier=replace(made.verifier, sandbox="none"))
    cheap_first = replace(made.orchestrator, epsilon_cost=-0.2, exploration=0.0)
    return replace(made, pool=PoolSettings(profiles=("demo-*",)), orchestrator=cheap_first)


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """A home of the demo's own, and this Python first on PATH for the demo's tests."""
    before = {name: os.environ.get(name) for name in ("ACR_HOME", "PATH")}
    path = os.pathsep.join((os.path.dirname(sys.executable), before["PATH"] or os.defpath))
    os.environ.update(ACR_HOME=str(folder), PATH=path)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _say(line: str) -> None:
    from acr.cli.console import clean, out

    out().print(f"\n[bold]{clean(line)}[/]")
