"""Plots are readable, the same for the same rows, and safe whatever routers are called."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from acr.errors import AcrError, UsageError
from acr.report import plots
from acr.report.plots import PANELS, Row, frontier, terminal, write

TABLE = {
    "Oracle": (60.0, 5.6, 0), "Random": (39.1, 11.0, 612), "DimensionBest": (51.7, 13.1, 244),
    "ACRouter_repo": (50.1, 22.3, 290), "dimension_best": (49.9, 11.4, 297),
    "acr": (53.1, 13.0, 204), "acr-cheap": (51.2, 5.9, 252), "acr-quality": (53.4, 17.1, 201),
    "acr-free": (47.0, 2.1, 371), "cheapest": (33.0, 0.8, 790), "cheap": (36.4, 1.4, 690),
}  # fmt: skip
HOSTILE = "<b>&amp;\"'-->]]>$x_1$\\frac{1}{2}\x1b[31m\n日本"


def _rows(more: int = 22, tasks: int = 300) -> list[Row]:
    rows = [
        Row(name, score, cost, [regret * (n + 1) / tasks for n in range(tasks)])
        for name, (score, cost, regret) in TABLE.items()
    ]
    for n in range(more):
        curve = [(260 + 9 * n) * (t + 1) / tasks for t in range(tasks)]
        rows.append(Row(f"router {n}", 43 + n * 31 % 80 / 10, 5.5 + n * 17 % 90 / 9, curve))
    return rows


def _figure(rows: Sequence[Row]) -> Any:
    with plots.drawing():
        figure = plots.figure(rows, title="title")
        figure.draw_without_rendering()
    return figure


# ---- the frontier


def test_the_frontier_is_what_nothing_beats_and_no_oracle() -> None:
    names = [row.name for row in frontier(_rows(0))]
    assert names == ["cheapest", "cheap", "acr-free", "acr-cheap", "acr", "acr-quality"]


def test_the_frontier_leaves_out_ties_and_what_has_no_cost() -> None:
    rows = [Row("b", 50, 1.0), Row("a", 50, 1.0), Row("c", 50, 2.0), Row("d", 90, None),
            Row("e", 90, float("nan")), Row("f", float("nan"), 0.1)]  # fmt: skip
    assert [row.name for row in frontier(rows)] == ["a"]


@pytest.mark.parametrize(
    ("name", "own"),
    [("acr", True), ("acr-cheap", True), ("acr 3 calls", True), ("acr+", True),
     ("ACRouter_repo", False), ("acrouter", False), ("acr_router", False), ("my acr", False)],
)  # fmt: skip
def test_own_rows_are_known_by_their_name(name: str, own: bool) -> None:
    assert plots._is_own(Row(name, 1, 1)) is own


# ---- files


def test_a_png_is_twice_800_pixels_wide(tmp_path: Path) -> None:
    file = tmp_path / "plot.PNG"
    write(file, _rows(), title="All of them")
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(data[16:20]) == 1600


@pytest.mark.parametrize("name", ["plot.svg", "plot.png"])
def test_same_rows_same_bytes(tmp_path: Path, name: str) -> None:
    """In another process too, with other hashes and settings of the user's."""
    write(tmp_path / name, _rows(3))
    (tmp_path / "matplotlibrc").write_text("font.size: 30\naxes.facecolor: red\n")
    code = (
        "from pathlib import Path; from tests.report.test_plots import _rows; "
        f"from acr.report.plots import write; write(Path({str(tmp_path / 'again')!r} + "
        f"{Path(name).suffix!r}), _rows(3))"
    )
    others = {"PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **others}, check=True, capture_output=True
    )
    assert done.stderr == b""
    again = (tmp_path / "again").with_suffix(Path(name).suffix)
    assert (tmp_path / name).read_bytes() == again.read_bytes()


def test_an_svg_tells_no_date_and_is_well_formed_whatever_the_names(tmp_path: Path) -> None:
    file = tmp_path / "plot.svg"
    rows = [*_rows(2), Row(HOSTILE, 70, 3.0, [1.0, 2.0]), Row("_hidden" + HOSTILE, 1, 3.0)]
    write(file, rows, title=HOSTILE)
    text = file.read_text(encoding="utf-8")
    ET.fromstring(text)
    assert not re.search(r"<b>|\x1b|dc:date|20\d\d-\d\d", text)


def test_every_router_is_named_once_in_each_panel_or_in_the_legend() -> None:
    rows = [*_rows(), Row("_hidden", 45, 7.0, [3.0])]
    figure = _figure(rows)
    legend = {text.get_text().strip() for text in figure.legends[0].get_texts()}
    for axes in figure.axes:
        named = [text.get_text() for text in axes.texts]
        assert sorted([*named, *legend]) == sorted(row.name for row in rows)
    assert {"acr", "acr-free", "Oracle", "Random", "cheapest"}.isdisjoint(legend)


def test_names_do_not_touch_each_other_or_leave_the_figure() -> None:
    figure = _figure(_rows())
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        boxes = {t.get_text(): t.get_window_extent(renderer).extents for t in axes.texts}
        for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
            across = min(a[2], b[2]) - max(a[0], b[0])
            up = min(a[3], b[3]) - max(a[1], b[1])
            assert min(across, up) < 2, (one, other)
        for name, (left, bottom, right, top) in boxes.items():
            assert left >= 0 and bottom >= 0, name  # noqa: PT018
            assert right <= figure.bbox.width and top <= figure.bbox.height, name  # noqa: PT018


def test_other_colours_and_markers_are_never_paired_twice() -> None:
    rows = [Row(f"r{n}", 1, 1) for n in range(42)]
    styles = plots._styles(rows, rows)
    assert len({(s["color"], s["marker"]) for s in styles.values()}) == 42


@pytest.mark.parametrize(
    "rows",
    [
        [Row("only", 50, 1.0, [0.5])],
        [Row("acr", 50, 0.0, [0.0, 0.0]), Row("same", 50, 0.0, [0.0, 0.0])],
        [Row("free", 50, 0.0, [1, 2]), Row("dear", 50, 9e9, [-1, -2])],
        [Row("no regret", 50, 1e-9)],
        [Row("no cost", 50, None, range(5000))],
    ],
)
def test_odd_rows_are_drawn(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "plot.png", rows)
    assert terminal(rows)


def test_curves_of_any_length_stay_small(tmp_path: Path) -> None:
    write(tmp_path / "plot.svg", _rows(tasks=20_000))
    assert (tmp_path / "plot.svg").stat().st_size < 500_000


def test_one_panel_only(tmp_path: Path) -> None:
    for panel in PANELS:
        write(tmp_path / "plot.png", _rows(), panels=[panel])
    assert "regret" not in terminal(_rows(), panels=["frontier"])


# ---- what cannot be drawn


@pytest.mark.parametrize("name", ["plot", "plot.pdf", "plot.svg.txt"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"plots are PNG or SVG; name a file that ends in"):
        write(tmp_path / name, _rows())


@pytest.mark.parametrize("rows", [[], [Row("a", 1, None)], [Row("a", 1, None, [float("nan")])]])
def test_nothing_to_plot(tmp_path: Path, rows: list[Row]) -> None:
    with pytest.raises(AcrError, match="there is nothing to plot"):
        write(tmp_path / "plot.png", rows)
    with pytest.raises(AcrError, match="there is nothing to plot"):
        terminal(rows)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AcrError, match=r"none/plot.png: No such file or directory; name a file"):
        write(tmp_path / "none" / "plot.png", _rows(0))


def test_without_the_libraries_the_fix_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "plotext"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(AcrError, match=r"plots need matplotlib \(.*\); to add it run ./install.sh"):
        write(tmp_path / "plot.png", _rows(0))
    with pytest.raises(AcrError, match=r"need plotext \(.*\); to add it run ./install.sh again"):
        terminal(_rows(0))


def test_importing_plots_imports_no_library() -> None:
    code = (
        "import sys, acr.report.plots; print({'matplotlib', 'numpy', 'plotext'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# ---- terminal


def test_the_terminal_shows_letters_and_what_they_stand_for() -> None:
    text = terminal(_rows(), width=70, height=15)
    assert max(map(len, text.splitlines())) <= 70
    assert "\x1b" not in text
    assert "Mean score, % by cost of the whole stream, USD (logarithmic)" in text
    assert "Cumulative regret by tasks" in text
    plot, key = text.rsplit("\n\n", 1)
    letters = {name: letter for letter, name in re.findall(r"(\S) (\S.*?)(?:  +|$)", key, re.M)}
    assert set(letters) == {row.name for row in _rows()}
    assert letters["acr"] in plot
    assert text == terminal(_rows(), width=70, height=15)


def test_the_terminal_may_have_colours_and_names_stay_harmless() -> None:
    assert "\x1b[" in terminal(_rows(0), colour=True)
    text = terminal([Row("\x1b[31m" + "x" * 90, 5, 1.0, [1.0])])
    assert "\x1b" not in text
    assert "x" * 30 not in text


def test_more_routers_than_letters() -> None:
    assert "* router 79" in terminal(_rows(80))
