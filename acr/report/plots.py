"""Plots of routers or models: cost against performance with its frontier, regret over tasks."""

from __future__ import annotations

import itertools
import logging
import math
import os
import re
import string
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from acr import settings
from acr.errors import AcrError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "FIX",
    "PANELS",
    "STREAM",
    "Panel",
    "Row",
    "Words",
    "drawing",
    "figure",
    "frontier",
    "needs_plotext",
    "save",
    "shown",
    "terminal",
    "write",
]

Panel = Literal["frontier", "regret"]
Style = Mapping[str, Any]
PANELS: tuple[Panel, ...] = ("frontier", "regret")
FORMATS = (".png", ".svg")
WIDTH, HEIGHT = 8.0, 4.6
"""Inches, of the figure and of a panel; 800 pixels wide at 100 per inch."""
POINTS = 200
"""Points of a curve that are drawn."""
DPI = 100
"""Pixels per inch that the names are placed at."""
GAP = 13.0
"""Pixels between names one above the other."""
NOTHING = "there is nothing to plot: no router has a score with a cost, or a regret"
FIX = "to add it run ./install.sh again"
FEW = 12
"""Rows that are all named where there is no legend."""
MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
PILED = re.compile(f"({MARK}{{2}}){MARK}+")
"""More marks on a letter than writing needs: they would cover the lines above and below."""
LETTERS = 24
"""Characters of a name that are shown."""
NAMED = ("oracle", "random", "dimension-best", "published-acrouter_repo")
"""Baselines that are named in the plot itself, in lower case."""
ORACLE = "oracle"
"""Knows the outcomes: it is shown, but is no part of the frontier."""
OWN_COLOUR, LINE_COLOUR, TEXT_COLOUR = "#D55E00", "#555555", "#222222"
FAINT_COLOUR, GRID_COLOUR = "#999999", "#E8E8E8"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#CC79A7", "#000000")
"""Okabe & Ito's palette, told apart with every kind of colour vision; no yellow on white."""
MARKERS = ("s", "^", "D", "v", "P", "X", "h")
"""As many as have no common divisor with the colours: 42 pairs."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the axes of a frontier are called."""

    cost: str
    score: str


STREAM = Words("Cost of the whole stream", "Mean score, %")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A router on a stream, or a model on tasks."""

    name: str
    avg_perf: float
    """Percent."""
    cost_usd: float | None
    """USD of the stream; None or NaN when unknown."""
    regret: Sequence[float] | NDArray[np.float64] = ()
    """Cumulative, after each task; empty when unknown."""
    interval: tuple[float, float] | None = None
    """Of avg_perf, percent."""


def frontier(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows that no other one beats in cost and score, cheapest first, the oracle left out."""
    open_ = [row for row in rows if _has_cost(row) and row.name.lower() != ORACLE]
    best: list[Row] = []
    for row in sorted(open_, key=lambda r: (r.cost_usd or 0.0, -r.avg_perf, r.name)):
        if not best or row.avg_perf > best[-1].avg_perf:
            best.append(row)
    return tuple(best)


def write(
    path: Path, rows: Sequence[Row], *, title: str = "", panels: Sequence[Panel] = PANELS
) -> None:
    """Draws `rows` into a PNG or SVG file, the same bytes for the same rows.

    acr's own rows (`acr`, `acr-…`) are joined and named, as are the frontier and the best known
    baselines; a legend names the others. A router is left out of a panel whose figures it lacks.
    Raises UsageError for other endings, AcrError when there is nothing to draw, matplotlib is
    missing or the file cannot be written.
    """
    save(path, lambda: figure(rows, panels, title=title))


def save(path: Path, draw: Callable[[], Figure]) -> None:
    """Writes the figure that `draw` makes into a PNG or SVG file. Raises as `write` does."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: plots are PNG or SVG; name a file that ends in .png or .svg")
    made = BytesIO()
    kind = path.suffix.lower()[1:]
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with drawing():
        draw().savefig(made, format=kind, dpi=2 * DPI, metadata=metadata)
    try:
        path.write_bytes(made.getvalue())
    except OSError as e:
        raise AcrError(f"{path}: {e.strerror}; name a file that can be written") from None


def _fitting(panel: Panel, rows: Sequence[Row]) -> list[Row]:
    """The rows that a panel can show."""
    if panel == "frontier":
        return [row for row in rows if _has_cost(row)]
    return [row for row in rows if len(row.regret) and all(map(math.isfinite, row.regret))]


def _has_cost(row: Row) -> bool:
    return row.cost_usd is not None and math.isfinite(row.cost_usd) and math.isfinite(row.avg_perf)


def _is_own(row: Row) -> bool:
    return re.match(r"acr(?![A-Za-z_])", row.name) is not None


def _prominent(rows: Sequence[Row]) -> list[Row]:
    """Those that are named in the plot, the most important first."""
    best = frontier(rows)
    named = [row for row in rows if row.name.lower() in NAMED]
    return list(dict.fromkeys((*filter(_is_own, rows), *best, *named)))


def shown(name: str, most: int = LETTERS) -> str:
    """One printable line that fits; marks that are piled on a letter are taken off it."""
    text = "".join(c if c.isprintable() else "?" for c in name[: 20 * most])
    text = PILED.sub(r"\1", unicodedata.normalize("NFC", text))
    return text if len(text) <= most else text[: most - 1] + "…"


# ---- PNG and SVG


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib's own defaults with acr's on top, whatever the user's are; nothing is printed."""
    if "MPLCONFIGDIR" not in os.environ:
        os.environ["MPLCONFIGDIR"] = str(settings.folder("cache", "matplotlib"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from matplotlib import style
    except ImportError as e:
        raise AcrError(f"plots need matplotlib ({e}); {FIX}") from None
    own = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": LINE_COLOUR,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID_COLOUR,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "svg.hashsalt": "acr",
        "text.parse_math": False,
    }
    with warnings.catch_warnings(), style.context(["default", own]):
        warnings.simplefilter("ignore")  # a glyph that the font lacks is a box, not a message
        yield


def figure(
    rows: Sequence[Row],
    panels: Sequence[Panel] = PANELS,
    *,
    title: str = "",
    words: Words = STREAM,
    width: float = WIDTH,
    height: float = HEIGHT,
    legend: bool = True,
) -> Figure:
    """The panels below each other, each `width` x `height` inches; to be called in `drawing()`.

    Without `legend` what is not named in the plot is grey. All is laid out before names are
    placed, so that what they keep clear of does not move. Raises AcrError when nothing is drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fits = [(name, fitting) for name in panels if (fitting := _fitting(name, rows))]
    if not fits:
        raise AcrError(NOTHING)
    named = list(rows) if not legend and len(rows) <= FEW else _prominent(rows)
    styles = _styles(rows, rows if legend else named)
    drawn = {row for _, fitting in fits for row in fitting}
    rest = [row for row in rows if legend and row in drawn and row not in named]
    whole = len(fits) * height + 0.19 * math.ceil(len(rest) / 3) + 0.3
    made = Figure(figsize=(width, whole), dpi=DPI, layout="constrained")
    FigureCanvasAgg(made)
    places = [made.add_subplot(len(fits), 1, n + 1) for n in range(len(fits))]
    for axes, (panel, fitting) in zip(places, fits, strict=True):
        if panel == "frontier":
            _draw_frontier(axes, fitting, styles, words)
        else:
            _draw_regret(axes, fitting, styles)
    if title:
        places[0].set_title(shown(title, 90), loc="left", fontsize=11)
    if rest:
        made.legend(
            [_handle(styles[row]) for row in rest],
            [re.sub("^_", " _", shown(row.name)) for row in rest],  # else it would be left out
            loc="outside lower center",
            ncols=3,
            fontsize=8,
        )
    made.draw_without_rendering()
    made.set_layout_engine("none")
    for axes, (panel, fitting) in zip(places, fits, strict=True):
        open_ = [row for row in named if row in fitting]
        (_name_points if panel == "frontier" else _name_curves)(axes, open_, fitting)
    return made


def _styles(rows: Sequence[Row], told: Sequence[Row]) -> dict[Row, Style]:
    """Colour and marker of each row, the same in every panel; grey for those that no one names."""
    others = itertools.count()
    made: dict[Row, Style] = {}
    for row in rows:
        if row not in told:
            made[row] = {"color": FAINT_COLOUR, "marker": "o", "markeredgewidth": 0.0}
            continue
        n = -1 if _is_own(row) else next(others)
        made[row] = {
            "color": OWN_COLOUR if n < 0 else COLOURS[n % len(COLOURS)],
            "marker": "o" if n < 0 else MARKERS[n % len(MARKERS)],
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
        }
    return made


def _handle(style: Style) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linewidth=1.2, markersize=6, **style)


def _draw_frontier(axes: Any, rows: list[Row], styles: Mapping[Row, Style], words: Words) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    best, own = frontier(rows), sorted(filter(_is_own, rows), key=lambda r: r.cost_usd or 0.0)
    axes.plot(
        [r.cost_usd for r in best],
        [r.avg_perf for r in best],
        drawstyle="steps-post",
        color=LINE_COLOUR,
        linewidth=1,
        linestyle="--",
        zorder=1,
    )
    axes.plot(
        [r.cost_usd for r in own], [r.avg_perf for r in own], color=OWN_COLOUR, lw=1.6, zorder=2
    )
    for row in rows:
        if row.interval:
            ends = [row.cost_usd] * 2
            axes.plot(ends, row.interval, color=styles[row]["color"], lw=1, alpha=0.55)
        layer = 4 if _is_own(row) else 3
        axes.plot([row.cost_usd], [row.avg_perf], ls="", ms=7, zorder=layer, **styles[row])
    costs = [row.cost_usd or 0.0 for row in rows]
    log = min(costs) > 0 and max(costs) > 4 * min(costs)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda usd, _: f"${usd:g}"))
    axes.margins(0.08, 0.1)
    scale = "USD, logarithmic" if log else "USD"
    dashed = ". Dashed: the frontier, oracle left out" if words is STREAM else ""
    axes.set_xlabel(f"{words.cost}, {scale}{dashed}")
    axes.set_ylabel(words.score)


def _draw_regret(axes: Any, rows: list[Row], styles: Mapping[Row, Style]) -> None:
    longest = max(len(row.regret) for row in rows)
    for row in rows:
        at, values = _thinned(row.regret)
        thick = {"linewidth": 1.8, "zorder": 3} if _is_own(row) else {"linewidth": 1.0, "zorder": 2}
        axes.plot(at, values, markersize=5, markevery=[len(at) - 1], **thick, **styles[row])
    axes.set_xlim(0, longest * 1.32)
    axes.set_ylim(bottom=min(0.0, *(min(row.regret) for row in rows)))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= longest])
    axes.set_xlabel("Tasks")
    axes.set_ylabel("Cumulative regret")


def _thinned(regret: Sequence[float] | NDArray[np.float64]) -> tuple[list[int], list[float]]:
    """(tasks, regret) of at most POINTS points, the first and the last among them."""
    step = max(1, math.ceil(len(regret) / POINTS))
    at = [*range(0, len(regret) - 1, step), len(regret) - 1]
    return [n + 1 for n in at], [float(regret[n]) for n in at]


def _name_points(axes: Any, named: list[Row], rows: list[Row]) -> None:
    """Puts each name where it covers least: first near its point, else farther off with a line."""
    import numpy as np

    renderer = axes.figure.canvas.get_renderer()
    frame = axes.get_window_extent(renderer).extents
    at = {r: axes.transData.transform((r.cost_usd, r.avg_perf)) for r in rows}
    taken = [np.array([x - 5, y - 5, x + 5, y + 5]) for x, y in at.values()]
    lines = _along(axes)
    for row in named:
        text = axes.text(0, 0, shown(row.name), **_font(row))
        size = text.get_window_extent(renderer)
        text.remove()
        x, y = at[row]
        boxes = _places(size.width, size.height) + np.tile((x, y), 2)
        cost = _covered(boxes, np.array(taken)) + 0.3 * _covered(boxes, lines)
        cost += 50 * np.abs(
            np.clip(boxes, np.tile(frame[:2], 2), np.tile(frame[2:], 2)) - boxes
        ).sum(1)
        cost += 0.02 * np.arange(len(boxes))
        box = boxes[int(cost.argmin())]
        taken.append(box)
        _name(axes, row, box, (x, y), (row.cost_usd or 0.0, row.avg_perf))


def _places(width: float, height: float) -> NDArray[np.float64]:
    """Boxes (left, bottom, right, top; pixels) around the origin, the nearest first."""
    import numpy as np

    made = []
    for distance in (8, 14, 22, 32, 46, 62, 80):
        for turn in np.linspace(0, 2 * math.pi, 16, endpoint=False):
            x, y = distance * math.cos(turn), distance * math.sin(turn)
            left = x - width * (1 - math.cos(turn)) / 2
            bottom = y - height * (1 - math.sin(turn)) / 2
            made.append((left, bottom, left + width, bottom + height))
    return np.array(made)


def _covered(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area of each box that lies below `others`."""
    import numpy as np

    sides = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], others[None, :, :2]
    )
    area: NDArray[np.float64] = np.maximum(sides, 0).prod(2).sum(1)
    return area


def _along(axes: Any) -> NDArray[np.float64]:
    """Small boxes along the lines of the axes, in pixels."""
    import numpy as np

    boxes = [np.zeros((0, 4))]
    for line in axes.lines:
        path = line.get_transform().transform_path(line.get_path()).interpolated(12)
        if len(path.vertices) > 1:
            boxes.append(np.hstack([path.vertices - 2, path.vertices + 2]))
    return np.concatenate(boxes)


def _name_curves(axes: Any, named: list[Row], rows: list[Row]) -> None:
    """Puts each name behind the end of its curve, moved apart where they would touch."""
    import numpy as np

    longest = max(len(row.regret) for row in rows)
    ends = {r: axes.transData.transform((len(r.regret), r.regret[-1])) for r in named}
    left = axes.transData.transform((longest, 0))[0] + 9
    order = sorted(named, key=lambda row: (float(ends[row][1]), row.name))
    bottom = axes.get_window_extent().y0
    heights = _apart([float(ends[row][1]) - GAP / 2 for row in order], bottom)
    for row, low in zip(order, heights, strict=True):
        box = np.array([left, low, left, low + GAP])
        _name(axes, row, box, ends[row], (len(row.regret), float(row.regret[-1])))


def _apart(wanted: Sequence[float], least: float) -> list[float]:
    """Ascending positions, each GAP above the one before, as near to `wanted` as groups allow."""
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _start(groups[-2], least) + GAP * len(groups[-2]) > _start(
            groups[-1], least
        ):
            last = groups.pop()
            groups[-1] += last
    return [_start(group, least) + GAP * n for group in groups for n in range(len(group))]


def _start(group: Sequence[float], least: float) -> float:
    """Where the lowest of a group stands that is centred on what its members want."""
    middle = math.fsum(group) / len(group) - GAP * (len(group) - 1) / 2
    return max(least, middle)


def _name(
    axes: Any,
    row: Row,
    box: NDArray[np.float64],
    pixel: Sequence[float],
    point: tuple[float, float],
) -> None:
    """Writes a name into its box (pixels) and joins it to its point when that is far."""
    near = min(max(pixel[0], box[0]), box[2]), min(max(pixel[1], box[1]), box[3])
    width, height = max(1.0, box[2] - box[0]), max(1.0, box[3] - box[1])
    line = {"arrowstyle": "-", "color": FAINT_COLOUR, "linewidth": 0.6, "shrinkA": 1,
            "relpos": ((near[0] - box[0]) / width, (near[1] - box[1]) / height)}  # fmt: skip
    axes.annotate(
        shown(row.name),
        point,
        xytext=((box[0] - pixel[0]) * 72 / DPI, (box[1] - pixel[1]) * 72 / DPI),
        textcoords="offset points",
        arrowprops=line if math.dist(near, pixel) > 12 else None,
        **_font(row),
    )


def _font(row: Row) -> dict[str, Any]:
    own = _is_own(row)
    return {"fontsize": 8, "color": OWN_COLOUR if own else TEXT_COLOUR,
            "fontweight": "bold" if own else "normal"}  # fmt: skip


# ---- terminal


def terminal(
    rows: Sequence[Row],
    *,
    width: int = 80,
    height: int = 20,
    panels: Sequence[Panel] = PANELS,
    colour: bool = False,
    words: Words = STREAM,
) -> str:
    """The same for a terminal: each router is a letter that a list below the plots explains.

    `width` and `height` are those of one panel, in characters. Regret is drawn for the prominent
    routers only. Raises AcrError when there is nothing to draw or plotext is missing.
    """
    fits = [(name, fitting) for name in panels if (fitting := _fitting(name, rows))]
    if not fits:
        raise AcrError(NOTHING)
    plotext = needs_plotext()
    named = _prominent(rows)
    drawn = {row for _, fitting in fits for row in fitting}
    order = [*named, *(row for row in rows if row not in named)]
    letters = dict(zip((r for r in order if r in drawn), _letters(), strict=False))
    blocks = []
    for panel, fitting in fits:
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(width, height)
        inner = [row for row in reversed(order) if row in fitting]
        if panel == "frontier":
            _dot_frontier(plotext, inner, named, letters, words)
        else:
            _trace_regret(plotext, inner, named, letters)
        blocks.append(plotext.build().rstrip())
    plotext.clear_figure()
    text = "\n\n".join([*blocks, _key(order, letters, width)])
    return text if colour else plotext.uncolorize(text)


def needs_plotext() -> Any:
    """The library that draws in terminals. Raises AcrError when it is missing."""
    try:
        import plotext
    except ImportError as e:
        raise AcrError(f"plots in a terminal need plotext ({e}); {FIX}") from None
    return plotext


def _letters() -> Iterator[str]:
    yield from string.ascii_letters + string.digits
    yield from itertools.repeat("*")


def _dot_frontier(
    plt: Any, rows: list[Row], named: list[Row], letters: Mapping[Row, str], words: Words
) -> None:
    costs = [row.cost_usd or 0.0 for row in rows]
    log = min(costs) > 0 and max(costs) > 4 * min(costs)
    if log:
        plt.xscale("log")
    for row in rows:
        plt.scatter([row.cost_usd], [row.avg_perf], marker=letters[row], color=_ink(row, named))
    cost = words.cost[0].lower() + words.cost[1:]
    plt.title(f"{words.score} by {cost}, USD" + (" (logarithmic)" if log else ""))


def _trace_regret(plt: Any, rows: list[Row], named: list[Row], letters: Mapping[Row, str]) -> None:
    for row in rows:
        if row in named:
            at, values = _thinned(row.regret)
            plt.plot(at, values, marker=letters[row], color=_ink(row, named))
    plt.title("Cumulative regret by tasks")


def _ink(row: Row, named: Sequence[Row]) -> str:
    if _is_own(row):
        return "orange+"
    return "blue+" if row in named else "gray"


def _key(rows: Sequence[Row], letters: Mapping[Row, str], width: int) -> str:
    """What the letters stand for, in columns."""
    words = [f"{letters[row]} {shown(row.name)}" for row in rows if row in letters]
    column = max(map(len, words)) + 2
    across = max(1, width // column)
    lines = [words[n : n + across] for n in range(0, len(words), across)]
    return "\n".join("".join(word.ljust(column) for word in line).rstrip() for line in lines)
