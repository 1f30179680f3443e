"""Charts of what memory holds: for a page, a PNG or SVG file and a terminal, each drawn once."""

from __future__ import annotations

import io
import itertools
import math
import re
import string
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acr.errors import AcrError
from acr.report import plots
from acr.report.plots import FAINT_COLOUR, GRID_COLOUR, LINE_COLOUR, TEXT_COLOUR, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["NARROW", "WIDE", "Bars", "Chart", "Frontier", "Heat", "Line", "Lines", "binned",
           "drawable", "svg",
           "terminal", "write"]  # fmt: skip

WIDE, NARROW = 8.6, 3.8
"""Inches of a chart on a page: as wide as the page, and half of that or a phone's."""
SIZE = 8
"""Points of a chart's letters."""
PIXELS = 1.6
"""Of the screen, at most, for a point of a chart."""
BLUE, ORANGE = "#0072B2", "#D55E00"
DARKEST = 0.62
"""Opacity of a heat map's cell that was always won: letters stay readable on it."""
FORMS = ((92, "day", "%Y-%m-%d"), (730, "week", "%G-W%V"), (math.inf, "month", "%Y-%m"))
"""Days up to which bars are this wide."""
DAY = 86_400
SHADES = ("#262626", "#12304a", "#0d3d63", "#0a4a7c", "#075796", "#0364af")
"""Of a heat map's cells in a terminal, from never to always won."""
THEME = {
    TEXT_COLOUR: "ink", LINE_COLOUR: "soft", FAINT_COLOUR: "faint", GRID_COLOUR: "rule",
    "#FFFFFF": "paper", "#000000": "ink", BLUE: "c0", ORANGE: "c1",
    **{colour: f"c{n + 2}" for n, colour in enumerate(plots.COLOURS[1:-1])},
}  # fmt: skip
"""Colours that a page replaces by its own of that name, light or dark."""
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, slots=True)
class Heat:
    """Win rates of models (rows) by kind of task (columns)."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], tuple[int, int]]
    """(row, column) -> (wins, n); absent where n is 0."""


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity over time."""

    name: str
    points: tuple[tuple[float, float], ...]
    """(seconds since the epoch, value), by time."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Quantities of one unit over time."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """USD by day."""

    label: str
    days: tuple[tuple[float, float], ...]
    """(a moment of the day, seconds since the epoch; USD), by time."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """Cost against win rate, a point per model with its interval."""

    words: plots.Words
    rows: tuple[plots.Row, ...]


Chart = Heat | Lines | Bars | Frontier


def write(path: Path, chart: Chart, title: str = "") -> None:
    """Draws a chart into a PNG or SVG file; raises as plots.write does."""
    plots.save(path, lambda: _figure(chart, plots.WIDTH, title))


def svg(chart: Chart, width: float, name: str, about: str) -> str:
    """The chart as an SVG element whose colours are those of the page around it.

    Its ids begin with `name`; `about` is what it is called to those who do not see it. Letters
    are text in the page's own type.
    """
    made = io.StringIO()
    with plots.drawing():
        from matplotlib import rc_context

        with rc_context({"svg.fonttype": "none", "font.size": SIZE}):
            _figure(chart, width, "").savefig(
                made, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
            )
    return _themed(made.getvalue(), name, about)


def _figure(chart: Chart, width: float, title: str) -> Figure:
    """Raises AcrError when there is nothing to draw."""
    if isinstance(chart, Frontier):
        return plots.figure(
            chart.rows, ["frontier"], title=title, words=chart.words, width=width, legend=False,
            height=min(plots.HEIGHT, 0.9 * width),
        )  # fmt: skip
    if not drawable(chart):
        raise AcrError(NOTHING)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = min(2.6, 0.62 * width)
    if isinstance(chart, Heat):
        width = min(width, 2.2 + 0.66 * len(chart.columns))
        height = 1.0 + 0.3 * len(chart.rows)
    made = Figure(figsize=(width, height), dpi=plots.DPI, layout="constrained")
    FigureCanvasAgg(made)
    axes = made.add_subplot()
    if title:
        made.suptitle(shown(title, 90), x=0.01, ha="left", fontsize=11)
    if isinstance(chart, Heat):
        _draw_heat(axes, chart, narrow=width < WIDE / 2)
    elif isinstance(chart, Lines):
        _draw_lines(axes, chart)
    else:
        _draw_bars(axes, chart)
    return made


NOTHING = "there is nothing to plot yet: no outcome that this chart could show"


def drawable(chart: Chart) -> bool:
    """Whether it shows anything."""
    if isinstance(chart, Heat):
        return bool(chart.cells)
    if isinstance(chart, Lines):
        return any(len(line.points) > 1 for line in chart.lines)
    return bool(chart.days if isinstance(chart, Bars) else chart.rows)


def _draw_heat(axes: Any, chart: Heat, *, narrow: bool) -> None:
    """Rate in percent, n below it; the more was won, the darker."""
    from matplotlib.patches import Rectangle

    middle = {"ha": "center", "va": "center", "color": TEXT_COLOUR}
    for y, row in enumerate(chart.rows):
        for x, column in enumerate(chart.columns):
            wins, n = chart.cells.get((row, column), (0, 0))
            if not n:
                axes.text(x, y, "·", **middle | {"color": LINE_COLOUR})
                continue
            alpha = 0.04 + (DARKEST - 0.04) * wins / n
            box = Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=BLUE, alpha=alpha, lw=0)
            axes.add_artist(box)
            axes.text(x, y - 0.16, f"{100 * wins / n:.0f}", **middle)
            axes.text(x, y + 0.25, _count(n), fontsize=SIZE - 2, **middle)
    for inside in (*axes.texts, *axes.patches):  # they take no room of their own; asking is slow
        inside.set_in_layout(False)
    axes.set_xlim(-0.5, len(chart.columns) - 0.5)
    axes.set_ylim(len(chart.rows) - 0.5, -0.5)
    turn = 60 if narrow or len(chart.columns) > 12 else 30
    names = [shown(name.replace("_", " "), 20) for name in chart.columns]
    axes.set_xticks(range(len(names)), names, rotation=turn, ha="left", rotation_mode="anchor")
    most = 14 if narrow else 30
    axes.set_yticks(range(len(chart.rows)), [shown(name, most) for name in chart.rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, colors=TEXT_COLOUR)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _count(n: int) -> str:
    """`812`, `2.1k`, `20k`: as short as a cell is narrow."""
    return str(n) if n < 1000 else f"{n / 1000:.1f}k" if n < 9950 else f"{n / 1000:.0f}k"


def _draw_lines(axes: Any, chart: Lines) -> None:
    drawn = [line for line in chart.lines if len(line.points) > 1]
    for line, colour in zip(drawn, (BLUE, ORANGE, *plots.COLOURS[1:-1]), strict=False):
        points = _thinned(line.points)
        when, values = [_local(at) for at, _ in points], [value for _, value in points]
        axes.plot(when, values, color=colour, lw=1.6, label=shown(line.name))
        axes.plot(when[-1:], values[-1:], color=colour, marker="o", ms=4)
    axes.axhline(0, color=LINE_COLOUR, lw=0.8)
    if len(drawn) > 1:
        axes.legend(loc="best", fontsize=SIZE)
    axes.set_ylabel(chart.label)
    _dates(axes)


def _draw_bars(axes: Any, chart: Bars) -> None:
    from matplotlib.ticker import FuncFormatter

    unit, sums = binned(chart.days)
    width = {"day": 1.0, "week": 7.0, "month": 28.0}[unit]
    axes.bar([at for at, _ in sums.values()], [usd for _, usd in sums.values()],
             width=timedelta(days=0.85 * width), color=BLUE, align="edge")  # fmt: skip
    axes.yaxis.set_major_formatter(FuncFormatter(lambda usd, _: f"${usd:g}"))
    axes.set_ylabel(f"{chart.label} a {unit}")
    axes.grid(visible=False, axis="x")
    if len(sums) == 1:
        ((at, _),) = sums.values()
        axes.set_xlim(at - timedelta(days=6 * width), at + timedelta(days=7 * width))
    _dates(axes)


def _dates(axes: Any) -> None:
    from matplotlib import dates

    locator = dates.AutoDateLocator(minticks=2, maxticks=6)  # type: ignore[no-untyped-call]  # matplotlib's
    axes.xaxis.set_major_locator(locator)
    named = dates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # as above
    axes.xaxis.set_major_formatter(named)
    axes.tick_params(colors=TEXT_COLOUR)


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at)  # an axis in the user's own time


def binned(days: Sequence[tuple[float, float]]) -> tuple[str, dict[str, tuple[datetime, float]]]:
    """(day, week or month; label -> (when it begins, USD)), as many as can be told apart."""
    span = (days[-1][0] - days[0][0]) / DAY if days else 0.0
    unit, form = next((unit, form) for most, unit, form in FORMS if span <= most)
    sums: dict[str, tuple[datetime, float]] = {}
    for at, usd in days:
        begins = _local(at).replace(hour=0, minute=0, second=0, microsecond=0)
        if unit == "week":
            begins -= timedelta(days=begins.weekday())
        elif unit == "month":
            begins = begins.replace(day=1)
        label = begins.strftime(form)
        sums[label] = (begins, sums.get(label, (begins, 0.0))[1] + usd)
    return unit, sums


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most plots.POINTS and the last."""
    step = max(1, math.ceil(len(points) / plots.POINTS))
    return points if step == 1 else [*points[:-1:step], points[-1]]


# ---- in a page


def _themed(text: str, name: str, about: str) -> str:
    """The SVG element without size, style sheet and metadata, with the page's colours."""
    ET.register_namespace("", SVG[1:-1])
    root = ET.fromstring(text)  # noqa: S314  # matplotlib has just written it
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{SVG}metadata", f"{SVG}style"):
                parent.remove(child)
    uses = {u for e in root.iter() for value in e.attrib.values() for u in _cited(value)}
    for element in root.iter():
        _retarget(element, uses, name)
    points = float(root.attrib["width"].removesuffix("pt"))
    root.set("style", f"max-width: {points * PIXELS:.0f}px")
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", about)
    return re.sub(r"\n\s*", "\n", ET.tostring(root, encoding="unicode"))


def _cited(value: str) -> list[str]:
    """The ids that an attribute refers to."""
    return [one or other for one, other in re.findall(r"^#(\S+)$|url\(#([^)]+)\)", value)]


def _retarget(element: ET.Element, uses: set[str], name: str) -> None:
    """Ids that are used get a prefix, others go; colours become the page's."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            if value in uses:
                element.set(key, f"{name}-{value}")
            else:
                del element.attrib[key]
        elif key == XLINK:
            element.set("href", f"#{name}-{value[1:]}")
            del element.attrib[key]
        elif key == "style":
            element.set(key, _restyled(value))
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
        elif key in ("d", "x", "y", "transform"):
            element.set(key, re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split())))


def _restyled(style: str) -> str:
    """A style with the page's colours and type."""
    themed = re.sub(r"#[0-9a-fA-F]{6}", _own_colour, style)
    return re.sub(r"font-family:[^;]*;? ?", "", themed)


def _own_colour(found: re.Match[str]) -> str:
    name = THEME.get(found[0].upper())
    return f"var(--{name})" if name else found[0]


# ---- in a terminal


def terminal(chart: Chart, *, width: int = 80, height: int = 18, colour: bool = False) -> str:
    """The same for a terminal. Raises AcrError when there is nothing to draw."""
    if isinstance(chart, Frontier):
        return plots.terminal(
            chart.rows, width=width, height=height, panels=["frontier"], colour=colour,
            words=chart.words,
        )  # fmt: skip
    if not drawable(chart):
        raise AcrError(NOTHING)
    if isinstance(chart, Heat):
        return _heat_table(chart, width, colour=colour)
    plt = plots.needs_plotext()
    plt.clear_figure()
    plt.theme("clear")
    plt.plot_size(width, height)
    if isinstance(chart, Lines):
        _trace(plt, chart)
    else:
        unit, sums = binned(chart.days)
        labels = [label[5:] if unit == "day" else label for label in sums]
        plt.bar(labels, [usd for _, usd in sums.values()], color="blue+", width=0.8)
        plt.title(f"{chart.label} a {unit}, USD")
    text = plt.build().rstrip()
    plt.clear_figure()
    return text if colour else str(plt.uncolorize(text))


def _heat_table(chart: Heat, width: int, *, colour: bool) -> str:
    """Letters head the columns, and a list below explains them."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    letters = string.ascii_letters[: len(chart.columns)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), title_justify="left")
    table.add_column("win rate, % (n)", no_wrap=True, max_width=26)
    for letter in letters:
        table.add_column(letter, justify="center", no_wrap=True)
    for row in chart.rows:
        cells = [chart.cells.get((row, column)) for column in chart.columns[: len(letters)]]
        table.add_row(Text(shown(row, 26)), *(Text(*_cell(cell)) for cell in cells))
    room = max(width, 30 + 10 * len(letters))
    console = Console(file=io.StringIO(), width=room, force_terminal=colour, no_color=not colour,
                      color_system="256" if colour else None, highlight=False)  # fmt: skip
    console.print(table)
    key = "  ".join(f"{a} {shown(b, 30)}" for a, b in zip(letters, chart.columns, strict=False))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    lines = textwrap.wrap(key, width, break_long_words=False)
    return "\n".join([line.rstrip() for line in text.splitlines()] + lines).strip("\n")


def _cell(cell: tuple[int, int] | None) -> tuple[str, str]:
    """(words, style): the more was won, the bluer."""
    if cell is None or not cell[1]:
        return " · ", "dim"
    wins, n = cell
    blue = SHADES[min(len(SHADES) - 1, len(SHADES) * wins // n)]
    return f" {100 * wins / n:.0f} ({_count(n)}) ", f"white on {blue}"


def _trace(plt: Any, chart: Lines) -> None:
    drawn = [line for line in chart.lines if len(line.points) > 1]
    points = [at for line in drawn for at, _ in line.points]
    first, last = min(points), max(points)
    for line, ink in zip(drawn, itertools.cycle(("blue+", "orange+", "green+"))):
        thin = _thinned(line.points)
        label = shown(line.name) if len(drawn) > 1 else None
        plt.plot([at for at, _ in thin], [value for _, value in thin], color=ink, label=label)
    ticks = [first, (first + last) / 2, last] if last > first else [first]
    plt.xticks(ticks, [_local(at).strftime("%Y-%m-%d") for at in ticks])
    plt.title(chart.label)
