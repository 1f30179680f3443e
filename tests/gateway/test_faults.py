"""Whatever is wrong with the router or the clock, the agent gets its answer."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import pytest

from acr.gateway import tiers
from acr.gateway.config import Config
from acr.gateway.ledger import MOST, Ledger
from acr.gateway.proxy import SESSIONS, Gateway
from acr.nouns import Step, Usage
from acr.steps.fixed import AsAsked
from acr.steps.nouns import Router, StepChoice, StepRequest

WHOLE = {"model": "gpt-6-luna", "usage": {"prompt_tokens": 10, "completion_tokens": 2}}


def gateway(router: Router, seen: list[str] | None = None) -> Gateway:
    """A gateway in this process; its provider always gives the same answer, and notes models."""

    async def body() -> AsyncIterator[bytes]:
        yield json.dumps(WHOLE).encode()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(json.loads(request.content)["model"])
        return httpx2.Response(200, content=body(), headers={"content-type": "application/json"})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    config = Config("id", "token", {"mock": "http://provider/v1"})
    return Gateway(config, router, tiers.load_all().values(), client, Ledger(io.StringIO()))


def steps(
    of: Gateway, bodies: Iterable[dict[str, Any]], path: str = "chat/completions"
) -> list[Step]:
    """The steps of these calls, one after the other."""

    async def call() -> None:
        transport = httpx2.ASGITransport(app=of)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            for body in bodies:
                answer = await client.post(f"/token/mock/{path}", json=body)
                assert answer.json() == WHOLE

    made: list[Step] = []
    add = of.ledger.add
    of.ledger.add = lambda step: (made.append(step), add(step))  # type: ignore[method-assign, assignment, func-returns-value]
    asyncio.run(call())
    return made


def asked(model: str = "gpt-6-astra", said: str = "hi") -> dict[str, Any]:
    """A request."""
    return {"model": model, "messages": [{"role": "user", "content": said}]}


class Broken:
    """A router with a bug in every method."""

    def route(self, request: StepRequest) -> StepChoice:
        """Fails."""
        raise KeyError("oops")

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """Fails."""
        raise RuntimeError("oops")


class Watching(AsAsked):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[StepRequest] = []
        self.heard: list[tuple[str, int]] = []

    def route(self, request: StepRequest) -> StepChoice:
        """As asked."""
        self.seen.append(request)
        return super().route(request)

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """Kept."""
        self.heard.append((session, status))


def test_a_router_that_fails_leaves_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    (step,) = steps(gateway(Broken()), [asked()])
    assert (step.reason, step.status) == ("the step router failed", 200)
    assert "the step router failed: KeyError: 'oops'" in capsys.readouterr().err


def test_a_router_is_told_what_it_needs() -> None:
    router = Watching()
    steps(gateway(router), [asked(), asked(), asked(said="other"), asked("stranger")])
    assert [r.position for r in router.seen] == [0, 1, 0]
    first = router.seen[0]
    assert (first.dialect, first.model, first.asked) == ("chat", "gpt-6-astra", "frontier")
    assert first.offered == ("minimal", "efficient", "mid", "frontier")
    assert first.body["messages"][0]["content"] == "hi"
    assert [status for _, status in router.heard] == [200] * 4
    assert router.heard[0][0] == router.seen[0].session


def test_a_clock_that_jumps_changes_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    router, now = Watching(), iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    made = steps(gateway(router), [asked()] * 3)
    assert all(0 <= step.seconds < 60 for step in made)
    assert all(0 <= request.seconds < 60 for request in router.seen)
    assert made[0].started > made[1].started > made[2].started


def test_memory_stays_bounded_whatever_callers_name() -> None:
    of = gateway(AsAsked())
    calls = SESSIONS + 200
    steps(of, (asked("gpt-6-luna", str(n)) for n in range(calls)))
    assert len(of._sessions) == SESSIONS
    for n in range(2 * MOST):
        of.ledger.add(Step("id", n, "", "", None, "", f"model-{n}", 200, None, None, "", 0.0, 0.0))
    told = json.loads(json.dumps(of.ledger.told()))
    assert len(told["models"]) == MOST + 1
    assert told["models"]["other models"]["steps"] == MOST + 1
    assert told["total"]["steps"] == calls + 2 * MOST


def test_what_is_not_offered_goes_to_the_next_dearer_tier() -> None:
    class Efficient(AsAsked):
        def route(self, request: StepRequest) -> StepChoice:
            return StepChoice("efficient", "", "")

    seen: list[str] = []
    steps(gateway(Efficient(), seen), [asked("claude-opus-5-5")], "v1/messages")
    assert seen == ["claude-sonnet-5-5"]
