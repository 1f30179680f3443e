"""acr stats --plot: the report's charts in the terminal and as files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import get_args

import pytest

from acr import settings
from acr.cli.main import run
from acr.cli.plot import ChartName
from acr.loop import open_memory
from tests.cli.records import outcome, remember, task
from tests.filling import fill

Capture = pytest.CaptureFixture[str]
CHARTS = get_args(ChartName)


@pytest.fixture
def filled() -> None:
    """200 outcomes of five models."""
    with open_memory(settings.load()) as memory:
        fill(memory, 200, models=5)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("chart", CHARTS)
def test_each_chart_is_drawn_in_the_terminal_and_as_a_file(
    chart: str, tmp_path: Path, capsys: Capture
) -> None:
    assert run(["stats", "--plot", "--chart", chart]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) > 5
    assert "\x1b" not in text
    for kind in ("svg", "png"):
        assert run(["stats", "--plot", "--chart", chart, "--out", f"{tmp_path}/x.{kind}"]) == 0
    ET.parse(tmp_path / "x.svg")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("filled")
def test_filters_narrow_the_chart(capsys: Capture) -> None:
    assert run(["stats", "--plot", "--dimension", "algorithm"]) == 0
    key = capsys.readouterr().out.splitlines()[-1]
    assert key == "a algorithm"


def test_nothing_to_draw_is_said_in_a_line(capsys: Capture) -> None:
    remember([outcome(task(), "unverified", cost=None)])
    for chart in CHARTS:
        assert run(["stats", "--plot", "--chart", chart]) == 1
        assert "there is nothing to plot" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "x.svg"], "--out belongs to --plot"),
        (["--plot", "--json"], "leave out --json"),
        (["--plot", "--chart", "pie"], "pie"),
        (["--plot", "--out", "x.pdf"], "PNG or SVG"),
    ],
)
@pytest.mark.usefixtures("filled")
def test_wrong_options_are_refused(options: list[str], said: str, capsys: Capture) -> None:
    assert run(["stats", *options]) == 2
    assert said in capsys.readouterr().err
