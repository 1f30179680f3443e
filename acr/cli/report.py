"""acr report: everything that was learned, as one HTML file."""

from __future__ import annotations

import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.errors import AcrError, UsageError

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

HEAD = 4096
"""Bytes of a file in which the mark of a report must stand."""


@app.command(epilog="Examples: acr report --open · acr report --since 30d --out team.html")
def report(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where to; - prints it. Default: "
            "report.html in acr's own folder, over the one before.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only attempts since 24h, 7d, 2w or a date 2026-01-31.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Also open it in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Writes win rates, costs, savings, regret and the latest runs into one HTML file.

    The file needs no network and runs no script; it holds the beginnings of your latest prompts.
    """
    from acr import loop
    from acr.agents.profiles import load_all
    from acr.cli import words
    from acr.cli.console import clean, emit_json
    from acr.cli.console import out as console
    from acr.report import facts, page

    config = settings.load()
    to_stdout = str(out) == "-"
    if to_stdout and (open_ or as_json):
        raise UsageError("--out - prints the page itself; leave out --open and --json")
    file = settings.folder() / "report.html" if out is None else out
    if not to_stdout:
        _refuse_foreign(file)
    start = words.since(since)
    weight = config.orchestrator.epsilon_cost
    with loop.open_memory(config) as memory:
        found = facts.gather(
            memory, load_all().values(), now=time.time(), since=start, cost_weight=weight
        )
    text = page.render(found, _words(), weight)
    if to_stdout:
        sys.stdout.write(text)
        return
    _write(file, text)
    if as_json:
        emit_json({"path": str(file.absolute()), "bytes": len(text.encode()), **_data(found)})
    else:
        runs = f"{found.total.runs} run{'' if found.total.runs == 1 else 's'}"
        console().print(clean(f"{file}: {runs}, {len(text.encode()) / 1000:.0f} kB"))
    if open_ and not webbrowser.open(file.absolute().as_uri()):
        raise AcrError(f"no browser could be started; open {file} yourself")


def _words() -> Any:
    from acr.cli import words
    from acr.cli.live import money

    return {
        "money": lambda usd: f"${usd:,.2f}" if usd and usd >= 1000 else money(usd),
        "span": words.span,
        "ago": words.ago,
        "rate": words.rate,
        "day": lambda at: time.strftime("%Y-%m-%d", time.localtime(at)),
        "moment": lambda at: time.strftime("%Y-%m-%d %H:%M", time.localtime(at)),
    }


def _refuse_foreign(file: Path) -> None:
    """A file that is no report of acr's is not written over."""
    from acr.report.page import MARK

    try:
        with open(file, "rb") as there:
            if MARK.encode() not in there.read(HEAD):
                raise UsageError(f"{file} is there already and no report of acr; choose a new name")
    except FileNotFoundError:
        return


def _write(file: Path, text: str) -> None:
    from acr.files import replace_file

    if not file.parent.is_dir():
        raise AcrError(f"{file.parent}: no such folder; make it, or name another file")
    replace_file(file, text)


def _data(found: Any) -> dict[str, Any]:
    """What the page shows, as JSON data with stable keys; unknown is null."""
    total = found.total
    return {
        "since": found.since,
        "attempts": total.attempts,
        "runs": total.runs,
        "wins": total.wins,
        "losses": total.losses,
        "unverified": total.unverified,
        "win_rate": total.rate,
        "interval": total.interval if total.n else None,
        "cost_usd": total.cost if total.cost_known else None,
        "cost_known": total.cost_known,
        "models": found.models_known,
        "savings": found.savings,
        "regret": found.regret.lines[0].points[-1][1] if found.regret.lines else None,
        "leaders": [
            {
                "dimension": one.dimension,
                "model": one.model,
                "wins": one.wins,
                "n": one.n,
                "p": one.p,
                "significant": one.significant,
            }
            for one in found.leaders
        ],
        "changes": found.changes,
        "odd_clock": found.odd_clock,
    }
