"""acr why replays stored decisions: a plain sentence first, then the grounds."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from acr import loop, settings
from acr.cli.main import run
from acr.errors import NothingAllowedError
from acr.nouns import (
    Attempt,
    Decision,
    Outcome,
    Price,
    Room,
    Task,
    Tried,
    Verdict,
    VerdictStatus,
    to_json,
)
from acr.orchestrator.policy import decide, replayed
from acr.settings import OrchestratorSettings, Settings
from tests.orchestrator.fakes import FakeMemory, Row, profile, task

PROFILES = (profile("opus", "claude-opus-4-6"), profile("cheap", "MiniMax-M2.7"), profile("new"))
PRICES = {"opus": Price(5, 25), "cheap": Price(1, 3)}
ASKED = replace(task(), id="abc123", embedding=(1.0, 0.0), embedder="e")
SIMILAR = [Row("opus", float(i > 2), task=f"old{i}", vector=(0.9, 0.1)) for i in range(9)]


def decision(exploration: float = 0.0, seed: int = 1, tried: tuple[str, ...] = ()) -> Decision:
    config = Settings(orchestrator=OrchestratorSettings(exploration=exploration))
    return decide(
        ASKED,
        PROFILES,
        FakeMemory(SIMILAR),
        config,
        prices=PRICES,
        rooms=[Room("budget.per_run", "run", 50.0, 0.0)],
        tried=[Tried(name, 0.0) for name in tried],
        seed=seed,
    )


def store(*made: Decision, status: VerdictStatus = "fail", about: Task = ASKED) -> None:
    with loop.open_memory(settings.load()) as memory:
        memory.add_task(about)
        for number, each in enumerate(made):
            attempt = Attempt(
                id=f"a{number}",
                task=about.id,
                decision=each.id,
                profile=each.chosen,
                agent="codex",
                model=None,
                status="done",
                started=about.created,
                duration=1.0,
                cost=0.25,
            )
            verdict = Verdict(status, 0.0, reason="2 tests still fail", strength=1.0)
            memory.add_outcome(Outcome(about, each, attempt, verdict))


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(["why", *args]) == 0
    return capsys.readouterr().out


def test_a_plain_sentence_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    store(decision())
    first, second = said(capsys).splitlines()[:2]
    assert first.startswith("opus (codex/claude-opus-4-6) was chosen for this bug_fixing task: ")
    assert first.endswith("; 9 similar tasks, 6 wins.")
    assert second == "It ended fail: 2 tests still fail; cost $0.25."


def test_every_part_of_the_decision_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    made = decision()
    store(made)
    shown = said(capsys, "abc")
    for words in (
        "budget: $50.00 left",
        "prior: CodeRouterBench",
        "9 similar tasks, the closest at 0.90",
        "a similar ask",
        "unknown",
        "Candidates (reward = 1 x expected -0.1 x USD)",
        f"Decision {made.id} · memory fake-9 · seed 1, replays to the same choice",
    ):
        assert words in shown


def test_an_exploration_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    made = next(d for s in range(99) if (d := decision(exploration=0.9, seed=s)).explored)
    store(made)
    assert "This was an exploration, with a chance of" in said(capsys)
    assert "opus looked best with" in said(capsys)


def test_an_escalation_is_shown_try_by_try(capsys: pytest.CaptureFixture[str]) -> None:
    store(decision(), decision(tried=("opus",)))
    shown = said(capsys, "abc123")
    assert shown.index("try 1 of 2") < shown.index("try 2 of 2")
    assert "after opus failed" in shown
    assert "already tried" in shown
    assert "models mostly fail at" in shown


def test_a_human_verdict_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    store(decision())
    assert run(["good", "abc123"]) == 0
    capsys.readouterr()
    assert "It ended pass (your verdict)" in said(capsys)


def test_json_replays_each_decision(capsys: pytest.CaptureFixture[str]) -> None:
    store(decision(), decision(tried=("opus",)))
    data = json.loads(said(capsys, "--json"))
    assert (data["task"]["id"], data["task"]["embedding"]) == ("abc123", None)
    assert [d["chosen"] for d in data["decisions"]] == [d["replayed"] for d in data["decisions"]]
    assert data["decisions"][0]["status"] == "fail"
    assert data["decisions"][1]["tried"] == ["opus"]


def anything(rng: random.Random) -> Decision:
    """A decision on a memory, a pool, prices, caps and failures that are drawn."""
    models = ("claude-opus-4-6", "MiniMax-M2.7", "gpt-5.5", "no-such-model")
    pool = tuple(profile(f"p{i}", rng.choice(models)) for i in range(rng.randint(1, 12)))
    names = [p.name for p in pool]
    rows = [
        Row(
            rng.choice(names),
            rng.random(),
            dimension=rng.choice(("bug_fixing", "algorithm")),
            task=f"old{rng.randrange(20)}",
            vector=(rng.random(), rng.random()),
            weight=rng.choice((0.0, 0.5, 1.0)),
            cost=rng.choice((None, rng.random())),
        )
        for _ in range(rng.randrange(60))
    ]
    tried = rng.sample(names, rng.randint(0, min(2, len(names) - 1)))
    return decide(
        replace(ASKED, id=f"t{rng.getrandbits(40):x}", confidence=rng.random()),
        pool,
        FakeMemory(rows),
        Settings(
            orchestrator=OrchestratorSettings(
                epsilon_score=rng.choice((1.0, 0.7)),
                epsilon_cost=-rng.random(),
                exploration=rng.choice((0.0, 0.35, 1.0)),
            )
        ),
        prices={n: Price(rng.random(), 5 * rng.random()) for n in names if rng.random() < 0.7},
        rooms=[Room("budget.per_day", "day", 90.0, rng.random())] * rng.randrange(2),
        tried=[Tried(name, rng.choice((None, 0.0, 0.3))) for name in tried],
        seed=rng.getrandbits(32),
    )


def test_a_hundred_stored_decisions_are_made_again_bit_for_bit() -> None:
    rng, stored = random.Random(7), 0
    with loop.open_memory(settings.load()) as memory:
        while stored < 100:
            try:
                made = anything(rng)
            except NothingAllowedError:  # no try was worth its cost
                continue
            memory.add_task(replace(ASKED, id=made.task))
            memory.add_decision(made)
            stored += 1
            read = memory.decision(made.id)
            assert read == made
            assert replayed(read) == made
            assert to_json(replayed(read)) == to_json(made)
            free = replayed(read, (read.epsilon[0], 0.0)).candidates[0]
            assert free.gain == max(c.gain or 0.0 for c in read.candidates if not c.excluded)


def test_what_other_prices_would_have_led_to_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    store(decision())
    shown = said(capsys)
    assert "Had a dollar counted more or less" in shown
    assert "replays to the same choice, bit for bit" in shown
    found = json.loads(said(capsys, "--json"))["decisions"][0]
    assert found["replays_exactly"] is True
    points = {p["factor"]: p["best"] for p in found["at_other_prices"]}
    assert (points[0.0], points[1.0], points[100.0]) == ("opus", "opus", "cheap")


def test_an_older_decision_is_drawn_again_only(capsys: pytest.CaptureFixture[str]) -> None:
    made = decision()
    older = tuple(replace(c, spread=None, gain=None, counted=None) for c in made.candidates)
    store(replace(made, candidates=older))
    shown = said(capsys)
    assert "replays to the same choice" in shown
    assert "bit for bit" not in shown
    assert "Had a dollar" not in shown


def test_figures_that_were_altered_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    made = decision()
    first, *rest = made.candidates
    store(replace(made, candidates=(replace(first, expected=0.99), *rest)))
    assert "not to the same figures" in said(capsys)


@pytest.mark.parametrize("prompt", ["\u05e9\u05dc\u05d5\u05dd \u202e fix", "x" * 1_000_000, ""])
def test_odd_prompts_of_similar_tasks_are_shown(
    prompt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = decision()
    near = replace(made.neighbours[0], prompt=prompt)
    store(replace(made, neighbours=(near,)))
    shown = said(capsys)
    assert "\u202e" not in shown
    assert len(shown) < 20_000


def test_a_decision_that_was_altered_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    store(replace(decision(), chosen="new"))
    assert "replays to opus: it was altered" in said(capsys)


def test_hostile_text_cannot_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    made = decision()
    evil = replace(made.neighbours[0], prompt="\x1b]0;evil\x07[bold]x")
    store(replace(made, neighbours=(evil,)))
    shown = said(capsys)
    assert "\x1b" not in shown
    assert "[bold]x" in shown


@pytest.mark.parametrize(
    ("stored", "args", "words"),
    [
        (False, (), "nothing has been run yet"),
        (True, ("zzz",), "no run 'zzz'"),
        (True, (), "has no stored decision"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], stored: bool, args: tuple[str, ...], words: str
) -> None:
    if stored:
        store()
    assert run(["why", *args]) == 1
    assert words in capsys.readouterr().err
