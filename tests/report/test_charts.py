"""Charts: the same for a page, a file and a terminal; a page's take its colours and escape."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.errors import AcrError, UsageError
from acr.report import charts
from acr.report.charts import Bars, Chart, Frontier, Heat, Line, Lines, binned
from acr.report.facts import COST_AND_RATE
from acr.report.plots import Row, shown
from tests.filling import HOSTILE

NOW, DAY = 1_790_000_000.0, 86_400.0
COURSE = tuple((NOW + n * DAY, n - 3.0) for n in range(30))


def everything(names: tuple[str, ...] = ("a", "b", "c")) -> dict[str, Chart]:
    """One chart of each kind, whose things are called `names`."""
    return {
        "heat": Heat(names, names, {(a, b): (1, 2) for a in names for b in names}),
        "lines": Lines("USD", tuple(Line(name, COURSE) for name in names)),
        "bars": Bars("Spend", COURSE),
        "frontier": Frontier(COST_AND_RATE, tuple(
            Row(name, 50.0 + n, 0.1 * (n + 1), (), (40.0, 60.0)) for n, name in enumerate(names)
        )),
    }  # fmt: skip


EMPTY: dict[str, Chart] = {
    "heat": Heat((), (), {}),
    "lines": Lines("USD", (Line("one point", COURSE[:1]),)),
    "bars": Bars("Spend", ()),
    "frontier": Frontier(COST_AND_RATE, ()),
}


@pytest.mark.parametrize("kind", everything())
def test_hostile_names_stay_text(kind: str, tmp_path: Path) -> None:
    chart = everything(HOSTILE)[kind]
    drawn = charts.svg(chart, charts.NARROW, "c", HOSTILE[1])
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(drawn).iter()}
    assert tags <= {"svg", "defs", "g", "path", "use", "text", "clipPath", "rect"}
    assert "<script" not in drawn
    charts.write(tmp_path / "chart.svg", chart, HOSTILE[0])
    ET.parse(tmp_path / "chart.svg")
    text = charts.terminal(chart, width=80)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


@given(st.text(), st.integers(1, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_shown_names_are_one_printable_line_that_fits(name: str, most: int) -> None:
    text = shown(name, most)
    assert len(text) <= most
    assert text.isprintable()
    assert shown(text, most) == text


def test_ids_in_one_page_never_meet() -> None:
    drawn = [charts.svg(c, charts.NARROW, k, k) for k, c in everything().items()]
    ids = [found for text in drawn for found in re.findall(r'\bid="([^"]+)"', text)]
    assert ids
    assert len(ids) == len(set(ids))
    used = {a or b for text in drawn for a, b in re.findall(r'href="#([^"]+)|url\(#([^)]+)', text)}
    assert used == set(ids)


def test_colours_and_type_are_the_page_s() -> None:
    for kind, chart in everything().items():
        drawn = charts.svg(chart, charts.WIDE, kind, kind)
        assert not re.search(r"#[0-9a-fA-F]{6}\b", drawn), kind
        assert "DejaVu" not in drawn
        assert re.search(r"<text", drawn)
        assert f'aria-label="{kind}"' in drawn


@pytest.mark.parametrize("kind", EMPTY)
def test_nothing_to_draw_is_said(kind: str, tmp_path: Path) -> None:
    assert not charts.drawable(EMPTY[kind])
    with pytest.raises(AcrError, match="there is nothing to plot"):
        charts.write(tmp_path / "chart.png", EMPTY[kind])
    with pytest.raises(AcrError, match="there is nothing to plot"):
        charts.terminal(EMPTY[kind])
    with pytest.raises(UsageError, match="plots are PNG or SVG"):
        charts.write(tmp_path / "chart.gif", EMPTY[kind])


@pytest.mark.parametrize(("days", "unit"), [(1, "day"), (90, "day"), (300, "week"), (900, "month")])
def test_bars_are_as_wide_as_can_be_told_apart_and_keep_the_sum(days: int, unit: str) -> None:
    spent = tuple((NOW + n * DAY, 1.0) for n in range(days))
    found, sums = binned(spent)
    assert found == unit
    assert sum(usd for _, usd in sums.values()) == days
    assert len(sums) <= 110


def test_a_terminal_s_charts_have_colour_only_when_asked() -> None:
    for kind, chart in everything().items():
        assert "\x1b[" not in charts.terminal(chart), kind
        assert "\x1b[" in charts.terminal(chart, colour=True), kind


def test_long_courses_stay_small() -> None:
    long = Lines("USD", (Line("x", tuple((NOW + n, float(n % 7)) for n in range(50_000))),))
    assert len(charts.svg(long, charts.WIDE, "c", "c")) < 40_000


def test_importing_the_report_imports_no_library() -> None:
    code = (
        "import sys, acr.report.page, acr.report.facts;"
        " print({'matplotlib', 'numpy', 'plotext', 'jinja2', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
