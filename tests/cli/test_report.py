"""acr report: where it goes, what it never writes over, what it holds and keeps out."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from acr import settings
from acr.cli.main import run
from acr.loop import open_memory
from tests.cli.records import outcome, remember, task
from tests.filling import HOSTILE, fill

MOST = 3_000_000
"""Bytes of a report."""


class Elements(HTMLParser):
    """Every start tag with its attributes, and whether all that was opened was closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(*options: str) -> str:
    """The report as text."""
    assert run(["report", *options]) == 0
    return (settings.home() / "report.html").read_text(encoding="utf-8")


def test_it_lies_in_acr_s_own_folder_private_and_is_written_anew(home: Path) -> None:
    page()
    first = (home / "report.html").stat()
    assert first.st_mode & 0o077 == 0
    remember([outcome(task(), "pass")])
    assert "1 attempt" in page()


def test_a_file_that_is_no_report_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "index.html"
    mine.write_text("<html>mine</html>")
    assert run(["report", "--out", str(mine)]) == 2
    assert "is there already and no report of acr" in capsys.readouterr().err
    assert mine.read_text() == "<html>mine</html>"
    mine.unlink()
    assert run(["report", "--out", str(mine)]) == 0
    assert run(["report", "--out", str(mine)]) == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--out", "none/report.html"], 1, "none: no such folder"),
        (["--out", "."], 1, "Is a directory"),
        (["--since", "yesterday"], 2, "give a span such as 24h"),
        (["--out", "-", "--json"], 2, "leave out --open and --json"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", *options]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_json_says_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    remember([outcome(task(), "pass"), outcome(task("aaaa000002"), "fail", cost=None)])
    assert run(["report", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["path"]).stat().st_size == told["bytes"]
    assert (told["attempts"], told["wins"], told["losses"]) == (2, 1, 1)
    assert (told["cost_usd"], told["cost_known"], told["regret"]) == (0.25, 1, None)


def test_an_empty_memory_is_null_in_json_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["win_rate"] is told["cost_usd"] is told["interval"] is told["since"] is None


def test_out_dash_prints_the_page(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["report", "--out", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    assert not (home / "report.html").exists()


def test_open_starts_the_browser_on_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "browser"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(asked)!r}, 'w').write(sys.argv[1])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setattr("webbrowser._tryorder", None)
    assert run(["report", "--open"]) == 0
    assert asked.read_text() == (settings.home() / "report.html").as_uri()
    monkeypatch.setattr("webbrowser._tryorder", [])
    assert run(["report", "--open"]) == 1
    assert "open it yourself" in capsys.readouterr().err.replace(
        str(settings.home() / "report.html"), "it"
    )


def test_nothing_from_outside_is_markup_and_nothing_reaches_out() -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 120, models=len(HOSTILE) + 2, names=HOSTILE, prompts=HOSTILE)
    text = page()
    elements = Elements(text)
    assert elements.open == []
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "iframe", "object", "embed", "img", "form", "base", "audio"}
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        links = (attributes.get(name) or "#" for name in ("href", "src", "xlink:href"))
        assert all(link.startswith(("#", "data:,")) for link in links), tag
    assert "default-src 'none'" in text
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", text)
    assert "\x00" not in text
    assert "{{ 7*7 }}" in text
    assert len(text.encode()) < MOST


def test_twenty_thousand_runs_of_ten_thousand_models_stay_small() -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 20_000, models=10_000, names=tuple("n" * 300 + str(n) for n in range(9000)))
    text = page()
    assert len(text.encode()) < MOST
    assert re.search(r"Of [\d,]+ models, the 60 with most verified attempts are shown", text)


def test_ids_are_there_once_and_links_lead_somewhere() -> None:
    with open_memory(settings.load()) as memory:
        fill(memory, 300, models=6)
    elements = Elements(page()).found
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"] for tag, a in elements if tag in ("a", "use")}
    assert links <= {f"#{name}" for name in ids}


def test_without_jinja_the_fix_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert run(["report"]) == 1
    assert re.search(r"reports need jinja2 .*run ./install.sh again", capsys.readouterr().err)


def test_a_profile_file_that_is_broken_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "profiles").mkdir(parents=True)
    (home / "profiles" / "mine.toml").write_text("agent = ")
    assert run(["report"]) == 1
    assert "mine.toml" in capsys.readouterr().err
