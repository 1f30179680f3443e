"""An attempt through a gateway has the tokens, cost and steps that the gateway counted."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from acr.agents import Request, Upstream
from acr.gateway import process
from acr.gateway.attempt import routed
from acr.nouns import Attempt, Event, Profile, Usage
from acr.settings import GatewaySettings
from tests.agents import fakes
from tests.gateway.conftest import body, tier_map
from tests.model_server import ModelServer, Step

USAGE = {"input": 1000, "cached": 400, "output": 50, "reasoning": 0}
FRONTIER = (600 * 10.0 + 400 * 1.0 + 50 * 100.0) / 1e6


@dataclass
class Pointed(fakes.FakeAgent):
    """An agent that can be pointed elsewhere."""

    at: Upstream = field(default_factory=lambda: Upstream("mock", ""))

    def upstream(self, request: Request) -> Upstream | None:
        """Where it is told."""
        return self.at


@pytest.fixture
def server(home: Path) -> Iterator[ModelServer]:
    """A model server, and the tier map of its models."""
    tier_map(home)
    with ModelServer(steps=(Step(message="hi", usage=USAGE),)) as running:
        yield running


def attempt(request: Request, **fields: object) -> Attempt:
    """What the agent says of itself: too little."""
    told = Attempt(
        id=request.attempt,
        task="t",
        decision="d",
        profile="p",
        agent="fake",
        model="mock-tiny",
        status="done",
        started=0.0,
        duration=1.0,
        usage=Usage(input=1, requests=1),
        cost=99.0,
        cost_source="agent",
    )
    return replace(told, **fields)  # type: ignore[arg-type]


def call(request: Request, rest: str = "/messages") -> None:
    """What an agent does."""
    with urllib.request.urlopen(request.gateway + rest, body("messages")) as answer:
        assert b"message_stop" in answer.read()


def test_what_the_gateway_counted_counts(server: ModelServer, tmp_path: Path) -> None:
    said: list[Event] = []
    request = replace(fakes.request(tmp_path), profile=Profile("p", "fake", "mock-big", "frontier"))
    agent = Pointed(at=Upstream("mock", "http://elsewhere", "/v1"))
    limits = GatewaySettings(router="frontier,minimal", upstreams={"mock": server.url})
    with routed(agent, request, limits, said.append) as way:
        assert way.request.gateway.endswith("/mock/v1")
        for _ in range(2):
            call(way.request)
        done = way.finish(attempt(request))
    assert [r.path for r in server.requests] == ["/v1/messages"] * 2
    assert [s.answered for s in way.steps] == ["mock-big", "mock-tiny"]
    assert {s.attempt for s in way.steps} == {request.attempt}
    assert done.usage == Usage(input=1200, cached_input=800, output=100, requests=2)
    assert done.cost == pytest.approx(FRONTIER * 1.01)
    assert (done.cost_source, done.model) == ("gateway", "mock-big")
    assert said == [Event("usage", "2 model calls: 1 mock-big, 1 mock-tiny")]
    assert process.alive() == []


def test_a_gateway_that_died_leaves_the_cost_unknown(server: ModelServer, tmp_path: Path) -> None:
    said: list[Event] = []
    request, agent = fakes.request(tmp_path), Pointed(at=Upstream("mock", f"{server.url}/v1"))
    with routed(agent, request, GatewaySettings(), said.append) as way:
        call(way.request)
        (running,) = process.alive()
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            call(way.request)
        done = way.finish(attempt(request))
    assert (done.cost, done.cost_source) == (None, "")
    assert len(way.steps) == 1
    assert "the gateway ended before the agent" in said[0].text


@pytest.mark.parametrize("at", [None, Upstream("mock", "http://127.0.0.1:9")])
def test_what_did_not_pass_through_is_the_agents_word(
    at: Upstream | None, tmp_path: Path, server: ModelServer
) -> None:
    said: list[Event] = []
    request = fakes.request(tmp_path)
    agent: Callable[..., fakes.FakeAgent] = Pointed if at else fakes.FakeAgent
    with routed(agent(), request, GatewaySettings(), said.append) as way:
        assert bool(way.request.gateway) == bool(at)
        done = way.finish(attempt(request))
    assert done == attempt(request)
    assert [e.kind for e in said] == ["warning"]
