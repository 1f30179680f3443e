"""One attempt of an agent through a gateway that is started for it and ends with it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from acr.agents import Agent, Request, Routable
from acr.gateway import process
from acr.gateway.config import UPSTREAMS
from acr.nouns import Attempt, Event, Step, Usage
from acr.settings import GatewaySettings

__all__ = ["Routed", "routed"]

Tell = Callable[[Event], None]


class Routed:
    """An attempt on its way; after `finish` its steps are known."""

    def __init__(self, request: Request, gateway: process.Started | None, tell: Tell) -> None:
        self.request = request
        self.steps: tuple[Step, ...] = ()
        self._gateway, self._tell = gateway, tell

    def finish(self, attempt: Attempt) -> Attempt:
        """The attempt with tokens and cost as the gateway counted them; ends the gateway.

        The cost is unknown when that of a step is, or when the gateway died on the way.
        """
        if self._gateway is None:
            return attempt
        self.steps, complete = self._gateway.finish()
        if not complete:
            self._tell(Event("warning", "the gateway ended before the agent; its count is partial"))
        if not self.steps:
            self._tell(Event("warning", "no model call of the agent came through the gateway"))
            return attempt if complete else replace(attempt, cost=None, cost_source="")
        self._tell(Event("usage", summary(self.steps)))
        costs = [step.cost for step in self.steps]
        known = [cost for cost in costs if cost is not None]
        cost = sum(known) if complete and len(known) == len(costs) else None
        own = attempt.usage or Usage()
        usage = sum((step.usage or Usage() for step in self.steps), Usage())
        return replace(
            attempt,
            model=_model(attempt.model, self.steps),
            usage=replace(usage, subagent=min(own.subagent, usage.total)),
            cost=cost,
            cost_source="" if cost is None else "gateway",
        )


@contextlib.contextmanager
def routed(
    agent: Agent,
    request: Request,
    limits: GatewaySettings,
    tell: Tell,
    credit: Mapping[str, float] | None = None,
) -> Iterator[Routed]:
    """The request as the agent has to get it. An agent that cannot be pointed elsewhere runs
    without a gateway, which is said. Raises AcrError when the gateway cannot start."""
    upstream = agent.upstream(request) if isinstance(agent, Routable) else None
    if upstream is None:
        text = f"{agent.name} cannot be pointed at the gateway here; it runs without one"
        tell(Event("warning", text))
        yield Routed(request, None, tell)
        return
    profile = request.profile
    names = {profile.model, profile.model.partition("/")[2] or profile.model}
    wanted = process.config(
        limits,
        {"chatgpt": UPSTREAMS["chatgpt"], upstream.name: upstream.url},
        id_=request.attempt,
        prices=dict.fromkeys(names, profile.price) if profile.price else {},
        budget=request.budget,
        credit=credit,
    )
    with process.start(wanted) as gateway:
        address = gateway.address(upstream.name) + upstream.path
        yield Routed(replace(request, gateway=address), gateway, tell)


def summary(steps: tuple[Step, ...]) -> str:
    """`7 model calls: 5 gpt-6-luna, 2 gpt-6-astra`."""
    by_model = Counter(step.answered or "model unknown" for step in steps).most_common()
    calls = f"{len(steps)} model call{'' if len(steps) == 1 else 's'}"
    return f"{calls}: " + ", ".join(f"{n} {model}" for model, n in by_model)


def _model(told: str | None, steps: tuple[Step, ...]) -> str | None:
    """The attempt's model is the one asked for, as the agent words it: the arm that was chosen."""
    asked = {step.asked for step in steps}
    if told is None or told in asked or told.partition("/")[2] in asked:
        return told
    return Counter(step.asked for step in steps).most_common(1)[0][0] or told
