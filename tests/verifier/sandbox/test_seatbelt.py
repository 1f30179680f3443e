"""macOS's sandbox-exec is experimental: only on request, and its profile quotes what it names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from acr.errors import SandboxError
from acr.settings import VerifierSettings
from acr.verifier.sandbox import candidates, choose, engines
from acr.verifier.sandbox.seatbelt import Seatbelt, profile


def test_it_is_taken_only_when_the_settings_name_it() -> None:
    assert "seatbelt" not in candidates(VerifierSettings())
    named = VerifierSettings(sandbox="seatbelt")
    assert candidates(named) == ("seatbelt",)
    assert "seatbelt" in {engine.name for engine in engines(named)}
    assert Seatbelt().grade == "experimental"


@pytest.mark.skipif(sys.platform == "darwin", reason="it works there")
def test_elsewhere_it_refuses_and_nothing_else_takes_its_place() -> None:
    with pytest.raises(SandboxError, match="seatbelt: sandbox-exec is for macOS"):
        choose(VerifierSettings(sandbox="seatbelt"))


def test_a_path_cannot_end_its_own_quotes(tmp_path: Path) -> None:
    hostile = tmp_path / 'x") (allow network*) ("\\'
    rules = profile([hostile], [])
    assert 'x\\") (allow network*) (\\"\\\\")' in rules
    assert rules.count("(allow file-write*") == 2


def test_the_home_is_hidden_before_toolchains_in_it_are_shown(home: Path) -> None:
    rules = profile([home / "copy"], [home / "tools"]).splitlines()
    hidden = next(i for i, rule in enumerate(rules) if rule.startswith("(deny file-read-data"))
    shown = next(i for i, rule in enumerate(rules) if "tools" in rule)
    assert hidden < shown
    assert "(deny network*)" in rules


@pytest.mark.skipif(sys.platform != "darwin", reason="needs macOS")
def test_it_holds_on_macos() -> None:
    assert Seatbelt().probe().ok
