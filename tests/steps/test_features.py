"""What is read in a request's tail, in every dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.steps.features import features, first_prompt, kind_of, measure
from acr.steps.nouns import Dialect, StepRequest
from acr.steps.router import StepRouter
from tests.steps.requests import DIALECTS, request

LOOK = ("cat calc.py", "def add", False)
EDIT = ("sed -i s/-/+/ calc.py", "", False)
RED = ("pytest -q", "1 failed", True)
GREEN = ("pytest -q", "3 passed", False)
EACH = pytest.mark.parametrize("dialect", DIALECTS)


@EACH
def test_kinds_and_errors_are_the_same_in_every_dialect(dialect: Dialect) -> None:
    seen = features(request(dialect, [LOOK, EDIT, RED, EDIT, GREEN]))
    assert seen.kinds == ("search_read", "edit", "run_test", "repair", "run_test")
    assert [call.failed for call in seen.calls] == [False, False, True, False, False]
    assert seen.offers_tools
    assert not seen.after_human


@EACH
def test_failed_runs_count_until_one_goes_well(dialect: Dialect) -> None:
    assert features(request(dialect, [EDIT, RED])).failures == 1
    assert features(request(dialect, [EDIT, RED, EDIT, LOOK, RED])).failures == 2
    assert features(request(dialect, [EDIT, RED, EDIT, GREEN])).failures == 0
    assert features(request(dialect, [EDIT, RED], after="go on")).failures == 0
    assert features(request(dialect, [EDIT, RED])).failed
    assert not features(request(dialect, [EDIT, RED, LOOK])).failed


@EACH
def test_equal_calls_are_a_stall_unless_something_was_edited(dialect: Dialect) -> None:
    assert features(request(dialect, [LOOK, LOOK, LOOK])).stalls
    assert features(request(dialect, [EDIT, EDIT, EDIT])).stalls
    assert not features(request(dialect, [LOOK, EDIT, GREEN])).stalls
    assert not features(request(dialect, [RED, EDIT, RED, EDIT, RED])).stalls


@EACH
def test_a_request_to_sum_up_is_told_from_work(dialect: Dialect) -> None:
    ask = "Write a detailed summary of the conversation so far."
    assert features(request(dialect, [LOOK], after=ask)).compacts
    assert not features(request(dialect, [LOOK], after="now add a test")).compacts


@EACH
def test_the_first_prompt_comes_without_the_harness(dialect: Dialect) -> None:
    noisy = "<system-reminder>rules</system-reminder>fix it"
    assert first_prompt(request(dialect, prompt=noisy)) == "fix it"
    assert first_prompt(request(dialect, prompt="fix it")) == "fix it"


@pytest.mark.parametrize("dialect", ["responses", "messages"])
def test_signed_thinking_of_this_turn_is_seen(dialect: Dialect) -> None:
    assert features(request(dialect, [LOOK], signed=True)).signed
    assert not features(request(dialect, [LOOK], signed=True, after="next")).signed
    assert not features(request(dialect, [LOOK])).signed


@pytest.mark.parametrize(
    ("tool", "argument", "kind"),
    [
        ("Read", {"file_path": "a"}, "search_read"),
        ("Edit", {}, "edit"),
        ("apply_patch", "*** Begin Patch", "edit"),
        ("TodoWrite", {}, "bookkeeping"),
        ("functions.update_plan", {}, "bookkeeping"),
        ("Agent", {}, "plan"),
        ("mcp__files__read_file", {}, "search_read"),
        ("Bash", {"command": "grep -rn x . 2>/dev/null | head"}, "search_read"),
        ("Bash", {"command": "cat > a.py <<'EOF'\nx\nEOF"}, "edit"),
        ("Bash", {"command": "printf x >> a.txt"}, "edit"),
        ("Bash", {"command": "python -m pytest -q 2>&1 | tail -5"}, "run_test"),
        ("Bash", {"command": "git status"}, "bookkeeping"),
        ("Bash", {"command": "git diff HEAD"}, "bookkeeping"),
        ("shell", {"command": ["bash", "-lc", "cargo test"]}, "run_test"),
        ("exec_command", '{"cmd": "ls -la"}', "search_read"),
        ("exec", 'const r = await tools.exec_command({cmd: "pytest -q"}); text(r)', "run_test"),
        ("shell", "{broken", "search_read"),
    ],
)
def test_the_kind_of_a_call(tool: str, argument: object, kind: str) -> None:
    assert kind_of(tool, argument) == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "tool_calls",
                    "function",
                    "id",
                    "output",
                    "name",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.sampled_from(DIALECTS), JSON, JSON)
def test_no_body_makes_the_router_fail(dialect: Dialect, items: object, tools: object) -> None:
    body = {"input": items, "messages": items, "tools": tools}
    asked = StepRequest(dialect, "m", body, "s", 0, 0.0, "frontier", ("minimal", "frontier"))
    assert StepRouter().route(asked).kind


def test_only_the_tail_of_a_long_conversation_is_read() -> None:
    long = request("messages", [LOOK, EDIT, GREEN] * 400)
    assert 0 < len(features(long).calls) <= 64


@EACH
def test_a_conversation_that_grows_is_measured_by_its_new_part(dialect: Dialect) -> None:
    short, longer = request(dialect, [LOOK]), request(dialect, [LOOK, EDIT, RED])
    assert measure(longer, measure(short)) == measure(longer)
    assert measure(short, measure(longer)) == measure(short)
    assert measure(longer) > measure(short)
