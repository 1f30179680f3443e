"""acr stats --plot: the report's charts in the terminal, or as PNG or SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from acr.memory.summary import Try

if TYPE_CHECKING:
    from acr.report.charts import Chart

__all__ = ["ChartName", "draw"]

ChartName = Literal["matrix", "frontier", "savings", "regret", "spend"]
TITLES: dict[ChartName, str] = {
    "matrix": "Win rate in percent, n below",
    "frontier": "What a win rate costs",
    "savings": "Cumulative savings",
    "regret": "Cumulative regret",
    "spend": "Spend",
}
WIDEST = 120
"""Columns of a chart in a terminal."""


def draw(name: ChartName, tries: Sequence[Try], cost_weight: float, file: Path | None) -> None:
    """Draws one chart of `tries` on the terminal, or into a file that ends in .png or .svg.

    Raises AcrError when they give nothing to draw, UsageError for other files.
    """
    from acr.cli.console import out
    from acr.report import charts

    chart = _chart(name, tries, cost_weight)
    if file is not None:
        charts.write(file, chart, TITLES[name])
        return
    console = out()
    text = charts.terminal(chart, width=min(console.width, WIDEST), colour=console.is_terminal)
    if console.is_terminal:
        from rich.text import Text

        console.print(Text.from_ansi(text), no_wrap=True)
    else:
        console.print(text, markup=False)


def _chart(name: ChartName, tries: Sequence[Try], cost_weight: float) -> Chart:
    import time

    from acr.memory import summary
    from acr.report import facts

    if name == "matrix":
        return facts.heat(tries)
    if name == "frontier":
        return facts.frontier(summary.rows(tries, "model"))
    timed = facts.dated(tries, time.time())
    if name == "savings":
        return facts.courses(timed, facts.baselines(tries))
    return facts.regret(timed, cost_weight) if name == "regret" else facts.spend(timed)
