"""The README's pictures, of made-up outcomes: python -m tests.pictures."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from PIL import Image

from acr import settings
from acr.cli.main import run
from acr.loop import open_memory
from tests.browser import browser
from tests.filling import fill

FOLDER = Path(__file__).parent.parent / ".github"
NAMES = ("aster-large", "birch-pro", "cedar-coder", "aster-small", "dune-3", "elm-mini",
         "fjord-1", "birch-lite")  # fmt: skip
HEIGHT = 1560
"""Pixels of the report that the picture shows."""


def main() -> None:
    """Writes report.png and frontier.svg."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, browser() as looking:
        os.environ["ACR_HOME"] = home
        with open_memory(settings.load()) as memory:
            fill(memory, 1500, models=len(NAMES), names=NAMES, seed=4)
        assert run(["report"]) == 0
        seen = looking.show(Path(home) / "report.html")
        picture = Image.open(io.BytesIO(seen.png)).convert("RGB").crop((0, 0, seen.width, HEIGHT))
        picture.quantize(255, dither=Image.Dither.NONE).save(FOLDER / "report.png", optimize=True)
        chart = ["stats", "--plot", "--chart", "frontier", "--out", str(FOLDER / "frontier.svg")]
        assert run(chart) == 0


if __name__ == "__main__":
    main()
