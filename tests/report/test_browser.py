"""The report in a real Chromium: nothing overflows, complains or asks the network, at any size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from acr import settings
from acr.cli.main import run
from acr.loop import open_memory
from tests.browser import SCHEMES, SIZES, Browser, browser
from tests.filling import HOSTILE, PROMPTS, fill

pytestmark = pytest.mark.xdist_group("browser")

STATES = {
    "nothing": (0, 1, (), PROMPTS),
    "one run": (1, 1, (), PROMPTS),
    "hostile": (120, 8, HOSTILE, HOSTILE),
    "20,000 runs of 60 models": (20_000, 60, (), PROMPTS),
}
"""Name -> (outcomes, models, names of the first models, prompts)."""
TEXT = """[...document.querySelectorAll('p, td, th, dt, dd, figcaption, summary, a, svg text')]
  .filter(e => e.checkVisibility() && e.textContent.trim())
  .map(e => getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'])"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all pages."""
    with browser() as made:
        yield made


def _page(n: int, models: int, names: tuple[str, ...], prompts: tuple[str, ...]) -> Path:
    with open_memory(settings.load()) as memory:
        fill(memory, n, models=models, names=names, prompts=prompts)
    assert run(["report"]) == 0
    return settings.home() / "report.html"


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of some months with eight models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACR_HOME", str(tmp_path_factory.mktemp("usual") / "home"))
        return _page(300, 8, (), PROMPTS)


def _paper(png: bytes) -> int:
    """0..255: how bright the corner of a screenshot is."""
    pixel = Image.open(io.BytesIO(png)).convert("L").getpixel((2, 2))
    assert isinstance(pixel, int)
    return pixel


@pytest.mark.parametrize("state", STATES)
def test_it_fits_is_silent_and_follows_the_scheme(
    chromium: Browser, state: str, tmp_path: Path
) -> None:
    page = _page(*STATES[state])
    chromium.complaints.clear()
    for size, (width, _) in SIZES.items():
        for scheme in SCHEMES:
            seen = chromium.show(page, size, scheme)
            (tmp_path / f"{size}-{scheme}.png").write_bytes(seen.png)
            assert (seen.overflow, seen.wider) == (0, []), (size, scheme)
            assert Image.open(io.BytesIO(seen.png)).width == width
            assert (_paper(seen.png) > 128) == (scheme == "light")
    assert chromium.complaints == []


def test_text_stands_out_from_the_paper_in_both_schemes(chromium: Browser, usual: Path) -> None:
    """WCAG's contrast of 4.5 for all text, in charts too."""
    for scheme in SCHEMES:
        chromium.show(usual, "desktop", scheme)
        paper = _rgb(chromium.value("getComputedStyle(document.body).backgroundColor"))
        colours = {c for c in chromium.value(TEXT) if c.startswith("rgb(")}
        assert colours
        assert not {c for c in colours if _contrast(_rgb(c), paper) < 4.5}, scheme


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(float(c) / 255 for c in colour[4:-1].split(","))


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """By WCAG 2.2's definition."""

    def light(rgb: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_screen_reader_finds_its_way(chromium: Browser, usual: Path) -> None:
    chromium.show(usual)
    told = chromium.names()
    roles = [role for role, _ in told]
    assert {"banner", "main", "contentinfo", "navigation"} <= set(roles)
    headings = [name for role, name in told if role == "heading"]
    assert headings[:3] == ["acr report", "Overview", "Who wins at what"]
    charts = [name for role, name in told if role in ("image", "img")]
    assert len(charts) == 5
    assert all(charts)
    assert all(name for role, name in told if role in ("region", "table", "link"))


def test_the_keyboard_reaches_links_tables_and_details_in_order(
    chromium: Browser, usual: Path
) -> None:
    chromium.show(usual)
    reached = []
    for _ in range(14):
        for kind in ("rawKeyDown", "keyUp"):
            chromium.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                         windowsVirtualKeyCode=9)  # fmt: skip
        reached.append(
            chromium.value("[document.activeElement.tagName, document.activeElement.className]")
        )
    details, table, link = ["SUMMARY", ""], ["DIV", "scroll"], ["A", ""]
    charts = [details, details, table, details, table]
    assert reached == [["A", "skip"], *[link] * 8, *charts]


def test_it_prints_on_white_without_what_only_a_screen_needs(
    chromium: Browser, usual: Path
) -> None:
    chromium.show(usual, "desktop", "dark")
    chromium.ask("Emulation.setEmulatedMedia", media="print",
                 features=[{"name": "prefers-color-scheme", "value": "dark"}])  # fmt: skip
    try:
        style = "getComputedStyle(document.body).backgroundColor"
        assert chromium.value(style) == "rgb(253, 253, 252)"
        assert not chromium.value("document.querySelector('nav').checkVisibility()")
        assert chromium.value("document.querySelector('.wide svg').checkVisibility()")
        pdf = chromium.ask("Page.printToPDF", printBackground=True)["data"]
        assert pdf.startswith("JVBERi0")
    finally:
        chromium.ask("Emulation.setEmulatedMedia", media="")


def test_the_page_itself_forbids_scripts_and_the_network(chromium: Browser, tmp_path: Path) -> None:
    text = _page(1, 1, (), PROMPTS).read_text(encoding="utf-8")
    evil = "<script>document.title = 'run'</script><img src='https://127.0.0.1:9/x.png'>"
    page = tmp_path / "evil.html"
    page.write_text(text.replace("</main>", f"{evil}</main>"), encoding="utf-8")
    chromium.complaints.clear()
    chromium.show(page)
    assert chromium.value("document.title") != "run"
    assert sum("Content Security Policy" in c for c in chromium.complaints) >= 2
    assert "failed: csp" in chromium.complaints
