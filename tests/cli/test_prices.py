"""acr prices: the price used, and where it comes from."""

from __future__ import annotations

import json

import pytest

from acr.agents.profiles import save
from acr.cli.main import run
from acr.nouns import LongRates, Price, Profile


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(["prices", *args]) == 0
    return capsys.readouterr().out


def test_every_profile_is_listed_with_its_price_and_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(Profile("mine", "codex", "m", "mid", price=Price(1, 2), plan=True))
    rows = {line.split()[0]: line for line in said(capsys).splitlines() if len(line.split()) > 3}
    assert "override, plan" in rows["mine"]
    assert "genai-prices, long" in rows["codex-sol"]
    assert "4/0.2/5/20" in rows["claude-opus"]


def test_a_model_is_shown_with_all_its_rates(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "openai/gpt-5.5")
    for words in (
        "cached input       $0.5",
        "requests of more than 272,000 input tokens:",
        "from genai-prices 0.",
        "pip install --upgrade genai-prices",
    ):
        assert words in shown


def test_an_override_names_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    long = (LongRates(3, 4, above=1000),)
    path = save(Profile("mine", "codex", "m", "mid", price=Price(1, 2, reasoning=9, long=long)))
    shown = said(capsys, "mine")
    assert "reasoning          $9" in shown
    assert "requests of more than 1,000 input tokens:" in shown
    assert f"from the profile's own, {path}" in shown
    assert "pip" not in shown


def test_an_unknown_price_is_said_with_models_of_like_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = said(capsys, "claude-opus-55")
    assert "price unknown" in shown
    assert "claude-opus-5-5" in shown
    assert "$0" not in shown


def test_json_has_stable_keys_and_null_for_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(said(capsys, "no-such-model", "--json"))
    assert list(found) == ["profile", "model", "plan", "batch", "price", "source", "detail"]
    assert (found["price"], found["source"]) == (None, None)
