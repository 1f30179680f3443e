"""The step router: reads a request's tail, foretells the step, and weighs the tiers."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from acr.context.dimension import glance
from acr.nouns import Tier, Usage
from acr.settings import GatewaySettings
from acr.steps.features import PER_TOKEN, Features, Measured, features, first_prompt, measure
from acr.steps.kind import Past, forecast
from acr.steps.nouns import StepChoice, StepRequest
from acr.steps.policy import RUN, Rules, View, choose, rules_of

__all__ = ["StepRouter", "from_settings"]

SESSIONS = 1024
"""Conversations remembered; those not heard of longest are forgotten."""
WARM = 300.0
"""Seconds that providers keep a prompt in their cache."""
REFUSALS = (400, 422)
"""Answers of a model that cannot read another's thinking."""


@dataclass(slots=True)
class _Session:
    """What is remembered of a conversation."""

    dimension: str
    difficulty: float
    last: Tier | None = None
    run: int = 0
    size: Measured = (0, 0, 0)
    bound: bool = False
    free: bool = False
    """The step under way is an exception: the tier need not be kept after it."""
    output: int | None = None
    pending: tuple[Tier | None, int, bool] = (None, 0, False)
    """The step under way: tier, tokens, whether it has signed thinking."""
    caches: dict[Tier, tuple[int, float]] = field(default_factory=dict)
    """Tier -> (tokens in its cache, when by the monotonic clock)."""


class StepRouter:
    """acr's own router; one for all conversations of a gateway."""

    def __init__(self, rules: Rules | None = None) -> None:
        forecast(Past(()))  # loaded now, not while an agent waits
        self.rules = rules or Rules()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def route(self, request: StepRequest) -> StepChoice:
        """The tier of this step, and why."""
        session, seen = self._session(request), features(request)
        shares = _shares(seen, session, request)
        session.size = measure(request, session.size)
        context, now = sum(session.size[1:]) // PER_TOKEN, time.monotonic()
        view = View(
            shares=shares,
            offered=request.offered,
            asked=request.asked,
            context=context,
            cached={t: n for t, (n, at) in session.caches.items() if now - at < WARM},
            prices=request.prices,
            dimension=session.dimension,
            difficulty=session.difficulty,
            first=_is_plan(seen, request),
            last=session.last,
            run=session.run,
            failures=seen.failures,
            position=request.position,
            stalls=seen.stalls,
            bound=session.bound and seen.signed,
            left=request.left,
        )
        tier, reason = choose(view, self.rules)
        session.pending = (tier or request.asked, context, seen.signed)
        session.free = view.first or view.stalls or seen.failed or view.failures > 1
        return StepChoice(tier, view.kind, reason)

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """Notes whose cache is warm, and whether a model refused another's thinking."""
        known = self._sessions.get(session)
        if known is None:
            return
        tier, tokens, signed = known.pending
        if status >= 400:
            known.bound = known.bound or (status in REFUSALS and signed)
            return
        known.run = known.run + 1 if tier == known.last else 1
        if known.free:
            known.run = RUN
        known.last = tier
        known.output = usage.output if usage else None
        if tier:
            read = usage.total - usage.output if usage else tokens
            known.caches[tier] = (min(read, tokens) or tokens, time.monotonic())

    def _session(self, request: StepRequest) -> _Session:
        known = self._sessions.get(request.session)
        if known is None:
            asked = glance(first_prompt(request))
            known = self._sessions[request.session] = _Session(*asked)
        self._sessions.move_to_end(request.session)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return known


def from_settings(limits: GatewaySettings, credit: Mapping[str, float] | None = None) -> StepRouter:
    """The router that the settings describe. Raises SettingsError."""
    return StepRouter(rules_of(limits, credit))


def _is_plan(seen: Features, request: StepRequest) -> bool:
    main = seen.offers_tools and not seen.compacts and not request.subagent
    return main and not seen.calls and seen.after_human


def _shares(seen: Features, session: _Session, request: StepRequest) -> dict[str, float]:
    """How likely each kind is; what is certain is not guessed."""
    if not seen.offers_tools:
        return {"bookkeeping": 1.0}
    if seen.compacts:
        return {"summarise": 1.0}
    if _is_plan(seen, request):
        return {"plan": 1.0}
    if seen.failed:
        return {"repair": 1.0}
    last = seen.calls[-1] if seen.calls else None
    past = Past(seen.kinds, False, last.size if last else 0, session.output)
    return forecast(past)
