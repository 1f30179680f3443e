"""The router over a conversation."""

from __future__ import annotations

import pytest

from acr.nouns import TIERS, Usage
from acr.settings import GatewaySettings
from acr.steps import make
from acr.steps.nouns import Dialect
from acr.steps.router import StepRouter
from tests.steps.requests import ALL, DIALECTS, Turn, request

LOOK = ("cat calc.py", "def add", False)
EDIT = ("sed -i s/-/+/ calc.py", "", False)
RED = ("pytest -q", "1 failed", True)
USED = Usage(input=500, cached_input=400, output=100, requests=1)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_plan_then_cheaper_then_dearer_after_failures(dialect: Dialect) -> None:
    router, tiers = StepRouter(), []
    turns: list[Turn] = [LOOK, LOOK, EDIT, RED, EDIT, RED]
    for n in range(len(turns) + 1):
        choice = router.route(request(dialect, turns[:n]))
        router.answered("s", choice, USED, 200)
        tiers.append(choice.tier)
    assert tiers[0] == "frontier"
    assert min(TIERS.index(t) for t in tiers if t) < TIERS.index("frontier")
    assert tiers[-1] == "frontier"


def test_titles_are_bookkeeping() -> None:
    choice = StepRouter().route(request("chat", tools=False))
    assert (choice.kind, choice.tier) == ("bookkeeping", "minimal")


def test_a_model_that_refuses_anothers_thinking_is_not_tried_again_in_this_turn() -> None:
    router = StepRouter()
    signed = request("messages", [LOOK, LOOK], signed=True)
    choice = router.route(signed)
    assert choice.tier not in (None, "frontier")
    router.answered("s", choice, None, 400)
    assert router.route(signed).tier is None
    assert router.route(request("messages", [LOOK], signed=True, after="next")).tier is not None


def test_answers_of_unknown_sessions_and_errors_change_nothing() -> None:
    router = StepRouter()
    choice = router.route(request("chat"))
    router.answered("other", choice, USED, 200)
    router.answered("s", choice, None, 0)
    assert router.route(request("chat", [LOOK])).tier in ALL


def test_sessions_do_not_mix() -> None:
    router = StepRouter()
    for name in ("a", "b"):
        choice = router.route(request("chat", session=name))
        assert (choice.tier, choice.kind) == ("frontier", "plan")


def test_a_sub_agent_has_no_first_plan() -> None:
    assert StepRouter().route(request("responses", subagent=True)).reason != "the first plan"


def test_the_settings_make_it() -> None:
    router = make(GatewaySettings(tiers={"max": "mid"}))
    assert router.route(request("messages")).tier == "mid"
