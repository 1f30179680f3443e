"""The gateway: an ASGI application that passes an agent's calls on, some to another model.

Bodies and headers pass as they are, but for the model's name and fields that it does not accept.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import math
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from acr.agents import prices
from acr.gateway import splice
from acr.gateway.config import Config
from acr.gateway.counting import Counter
from acr.gateway.dialects import (
    dialect_of,
    is_subagent,
    refusal,
    session_of,
    wants_websocket,
)
from acr.gateway.ledger import Ledger
from acr.gateway.tiers import TierMap, family, list_price
from acr.gateway.wire import (
    HOP_BY_HOP,
    Answer,
    Body,
    Headers,
    Receive,
    RefusedError,
    Send,
    VanishedError,
    body_of,
    chained,
    chunks,
    encodings,
    host,
    unless_gone,
)
from acr.nouns import TIERS, Price, Step, Tier, Usage
from acr.steps.nouns import Dialect, Router, StepChoice, StepRequest

if TYPE_CHECKING:
    import httpx2

__all__ = ["Gateway"]

REFUSED = {400, 403, 404, 413, 422, 429, 503, 529}
"""Answers after which the model that was asked for gets the call after all."""
HINT = b"x-codex-routing-hint"
GONE = {403, 404}
"""Answers of a model that cannot be had at all, as far as this gateway's life goes."""
REST = 60.0
"""Seconds that a model which refused a call is left out."""
SESSIONS = 1024
"""Conversations remembered; the ones not heard of longest are forgotten."""
HEAD = 1 << 16
"""Bytes of an event stream that are held back until its first event is there."""


@dataclass(slots=True)
class _Session:
    """One conversation."""

    began: float
    """By the monotonic clock."""
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a call goes."""

    session: str
    choice: StepChoice
    asked: str
    model: str
    """Sent upstream; the same as `asked` when it stays."""
    map: TierMap | None
    body: bytes
    provider: str = ""

    @property
    def is_routed(self) -> bool:
        return self.model != self.asked


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, read to its end."""

    method: str
    upstream: str
    """Its name."""
    url: str
    headers: Headers
    body: bytes
    dialect: Dialect | None
    routable: bool
    """Whether another model may answer it."""

    @property
    def texts(self) -> dict[str, str]:
        """Headers by lower-case name."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}


class Gateway:
    """ASGI 3 application for HTTP."""

    def __init__(
        self,
        config: Config,
        router: Router,
        maps: Iterable[TierMap],
        client: httpx2.AsyncClient,
        ledger: Ledger,
    ) -> None:
        self.config, self._router, self._client, self.ledger = config, router, client, ledger
        self._maps = tuple(maps)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._resting: dict[str, float] = {}
        """Model -> until when (monotonic) no step is routed to it."""
        self._steps = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        answer = Answer(send)
        dialect: Dialect | None = None
        try:
            dialect = dialect_of(scope["method"], scope["path"])
            name, rest = self._place(scope)
            if name == "acr":
                return await answer.whole(200, json.dumps(self.ledger.told()).encode())
            if wants_websocket({k.decode(): v.decode("latin-1") for k, v in scope["headers"]}):
                raise RefusedError(426, "no websocket here; use plain requests")
            call = await self._read(scope, name, rest, receive)
            await unless_gone(self._serve(call, answer), answer, receive)
        except RefusedError as e:
            await answer.whole(e.status, refusal(dialect, e.status, e.message))
        except VanishedError:
            return None
        return None

    def _place(self, scope: Mapping[str, Any]) -> tuple[str, str]:
        """(name of the upstream, rest of the address). Raises RefusedError."""
        raw = scope.get("raw_path", b"").decode("latin-1")
        _, token, name, *rest = [*raw.split("/", 3), "", ""][:4]
        if not hmac.compare_digest(token.encode(), self.config.token.encode()):
            raise RefusedError(403, "this address is not valid, or no longer; start acr again")
        if name != "acr" and name not in self.config.upstreams:
            known = ", ".join(self.config.upstreams)
            raise RefusedError(404, f"no provider called {name!r}; known: {known}")
        query = scope["query_string"].decode("latin-1")
        return name, "".join(rest) + (f"?{query}" if query else "")

    async def _read(
        self, scope: Mapping[str, Any], name: str, rest: str, receive: Receive
    ) -> _Call:
        """Raises RefusedError when the body is too large, VanishedError."""
        kept = [pair for pair in scope["headers"] if pair[0] not in HOP_BY_HOP]
        headers = [p for p in kept if p[0] not in (b"host", b"content-length", b"accept-encoding")]
        headers.append((b"accept-encoding", encodings(kept)))
        if name == "openai" and any(key == b"chatgpt-account-id" for key, _ in headers):
            name = "chatgpt" if "chatgpt" in self.config.upstreams else name
        base = self.config.upstreams[name].rstrip("/")
        path = rest.partition("?")[0]
        if name == "chatgpt":
            rest = rest.removeprefix("v1/")
        return _Call(
            method=scope["method"],
            upstream=name,
            url=f"{base}/{rest}" if rest else base,
            headers=headers,
            body=await body_of(receive, self.config.settings.body << 20),
            dialect=dialect_of(scope["method"], f"/{path}"),
            routable=not path.endswith("/compact"),
        )

    async def _serve(self, call: _Call, answer: Answer) -> None:
        if call.dialect is None:
            async with self._sent(call, call.body) as response:
                await answer.begin(response)
                async for chunk in chunks(response):
                    await answer.more(chunk)
                await answer.end()
            return
        await self._step(call, call.dialect, answer)

    async def _step(self, call: _Call, dialect: Dialect, answer: Answer) -> None:
        """A call that a model answers: routed, passed, counted."""
        if self.config.budget is not None and self.ledger.total.cost >= self.config.budget:
            raise RefusedError(402, f"the budget of ${self.config.budget:g} is used up")
        started, clock = time.time(), time.monotonic()
        plan = self._plan(call, dialect)
        self._steps += 1
        number, status, counter = self._steps, 0, Counter(dialect, "", "")
        try:
            async with contextlib.AsyncExitStack() as open_:
                response, body, plan = await self._answer(call, dialect, plan, open_)
                counter, status = _counter(dialect, response), response.status_code
                await answer.begin(response)
                async for chunk in body:
                    counter.feed(chunk)
                    await answer.more(chunk)
                counter.finish()
                await answer.end()
        except RefusedError as e:
            status = e.status
            raise
        finally:
            ended = status if counter.whole or status >= 400 else 0
            self._note(number, plan, counter, ended, started, time.monotonic() - clock)

    async def _answer(
        self, call: _Call, dialect: Dialect, plan: _Plan, open_: contextlib.AsyncExitStack
    ) -> tuple[httpx2.Response, Body, _Plan]:
        """(response, its body, the plan as it came out); `open_` closes the response.

        A routed model that refuses is replaced, once, by the one that was asked for.
        """
        if plan.is_routed:
            async with contextlib.AsyncExitStack() as sent:
                routed = replace(call, headers=_hinted(call.headers, plan))
                response = await sent.enter_async_context(self._sent(routed, plan.body))
                body = chunks(response)
                head: list[bytes] = []
                if not await _is_refused(dialect, response, body, head):
                    open_.push_async_exit(sent.pop_all())
                    return response, chained(head, body), plan
            plan = self._back(call, plan, response.status_code)
        response = await open_.enter_async_context(self._sent(call, plan.body))
        return response, chunks(response), plan

    def _back(self, call: _Call, plan: _Plan, status: int) -> _Plan:
        """The plan once its model has refused: that model rests for a while."""
        gone = status in GONE
        self._resting[plan.model] = math.inf if gone else time.monotonic() + REST
        self._heard(plan.session, plan.choice, None, status)
        reason = f"{plan.model} refused it ({status}); {plan.choice.reason}"
        choice = replace(plan.choice, tier=None, reason=reason)
        return replace(plan, model=plan.asked, body=call.body, choice=choice)

    @contextlib.asynccontextmanager
    async def _sent(self, call: _Call, body: bytes) -> AsyncIterator[httpx2.Response]:
        """The answer, its body unread. Raises RefusedError when there is none."""
        import httpx2

        try:
            request = httpx2.Request(
                call.method,
                call.url,
                headers=call.headers,
                content=body if body or call.method in ("POST", "PUT", "PATCH") else None,
                extensions={"timeout": self._client.timeout.as_dict()},
            )
            response = await self._client.send(request, stream=True)
        except httpx2.ConnectTimeout:
            patience = self.config.settings.connect
            why = f"{host(call.url)} cannot be reached within {patience:g} s"
            raise RefusedError(504, why) from None
        except httpx2.TimeoutException:
            patience = self.config.settings.silence
            why = f"{host(call.url)} was silent for {patience:g} s"
            raise RefusedError(504, why) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as e:
            why = str(e) or type(e).__name__
            raise RefusedError(502, f"cannot reach {host(call.url)}: {why}") from None
        try:
            yield response
        finally:
            with contextlib.suppress(httpx2.HTTPError, OSError):
                await response.aclose()

    def _plan(self, call: _Call, dialect: Dialect) -> _Plan:
        """What cannot be read goes on as it is: the provider says what is wrong with it."""
        encoded = "content-encoding" in call.texts
        document = None if encoded else splice.read(call.body)
        data = document.data if document else {}
        asked = data.get("model")
        if document is None or not isinstance(asked, str):
            reason = "a compressed request is not read" if encoded else "the request names no model"
            return _Plan("", StepChoice(None, "", reason), "", "", None, call.body, call.upstream)
        map_ = family(self._maps, asked, dialect)
        session = session_of(dialect, call.texts, data)
        choice = self._choice(call, dialect, session, data, asked, map_)
        tier = choice.tier
        rung = map_.rungs[tier] if map_ and tier else None
        stays = _Plan(session, choice, asked, asked, map_, call.body, call.upstream)
        if map_ is None or rung is None or rung.model == asked or map_.tier(asked) == tier:
            return stays
        if self._rests(rung.model):
            reason = f"{rung.model} refused a call before; {choice.reason}"
            return replace(stays, choice=replace(choice, tier=None, reason=reason))
        body = document.replaced({"model": rung.model}, rung.drop)
        return replace(stays, model=rung.model, body=body)

    def _choice(
        self,
        call: _Call,
        dialect: Dialect,
        session: str,
        body: Mapping[str, Any],
        asked: str,
        map_: TierMap | None,
    ) -> StepChoice:
        """The router's, if there is anything to choose; a tier that can be had."""
        known, budget = self._session(session), self.config.budget
        request = StepRequest(
            dialect=dialect,
            model=asked,
            body=body,
            session=session,
            position=known.calls,
            seconds=time.monotonic() - known.began,
            asked=map_.tier(asked) if map_ else None,
            offered=tuple(map_.rungs) if map_ else (),
            subagent=is_subagent(call.texts),
            prices=_prices(map_),
            left=None if budget is None else max(0.0, budget - self.ledger.total.cost),
        )
        known.calls += 1
        if map_ is None:
            return StepChoice(None, "", f"no tier map knows {asked}")
        if not call.routable:
            return StepChoice(None, "summarise", "compaction stays with the model")
        try:
            choice = self._router.route(request)
        except Exception as e:  # whatever is wrong with the router, the agent gets its answer
            _warn(f"the step router failed: {type(e).__name__}: {e}")
            return StepChoice(None, "", "the step router failed")
        return replace(choice, tier=_offered(choice.tier, request.offered))

    def _session(self, key: str) -> _Session:
        found = self._sessions.setdefault(key, _Session(time.monotonic()))
        self._sessions.move_to_end(key)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return found

    def _rests(self, model: str) -> bool:
        return time.monotonic() < self._resting.get(model, 0.0)

    def _note(
        self,
        number: int,
        plan: _Plan,
        counter: Counter,
        status: int,
        started: float,
        seconds: float,
    ) -> None:
        usage = counter.usage
        self._heard(plan.session, plan.choice, usage, status)
        answered = counter.model or plan.model
        self.ledger.add(
            Step(
                attempt=self.config.id,
                n=number,
                session=plan.session,
                kind=plan.choice.kind,
                tier=plan.map.tier(answered) if plan.map else None,
                asked=plan.asked,
                answered=answered,
                status=status,
                usage=usage,
                cost=self._cost(plan, answered, usage, status),
                reason=plan.choice.reason,
                started=started,
                seconds=seconds,
            )
        )

    def _cost(self, plan: _Plan, answered: str, usage: Usage | None, status: int) -> float | None:
        """USD; an error costs nothing, and an answer that broke off nobody knows what."""
        if status >= 400:
            return 0.0
        if usage is None or not status:
            return None
        own = self.config.prices.get(answered)
        if own is None and not plan.is_routed:
            own = self.config.prices.get(plan.asked)
        listed = plan.map.price(answered) if plan.map else list_price(plan.provider, answered)
        price = own or listed
        return prices.cost(usage, price) if price else None

    def _heard(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        try:
            self._router.answered(session, choice, usage, status)
        except Exception as e:  # as in _choice
            _warn(f"the step router failed: {type(e).__name__}: {e}")


async def _is_refused(
    dialect: Dialect, response: httpx2.Response, body: Body, head: list[bytes]
) -> bool:
    """Whether a model turned the call down: by its status, or in a stream's first event.

    `head` gets what had to be read of the body for that.
    """
    if response.status_code in REFUSED:
        return True
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return False
    counter, size = _counter(dialect, response), 0
    try:
        async for chunk in body:
            head.append(chunk)
            counter.feed(chunk)
            size += len(chunk)
            if counter.events or size > HEAD:
                break
    except VanishedError:
        return True
    return counter.failed


def _hinted(headers: Headers, plan: _Plan) -> Headers:
    """Codex names the model in a header too."""
    old, new = f"model={plan.asked}".encode(), f"model={plan.model}".encode()
    return [(k, v.replace(old, new) if k == HINT else v) for k, v in headers]


def _counter(dialect: Dialect, response: httpx2.Response) -> Counter:
    headers = response.headers
    return Counter(dialect, headers.get("content-type", ""), headers.get("content-encoding", ""))


def _prices(map_: TierMap | None) -> dict[Tier, Price]:
    """What the models of a map cost, where that is known."""
    found = {tier: map_.price(rung.model) for tier, rung in map_.rungs.items()} if map_ else {}
    return {tier: price for tier, price in found.items() if price}


def _offered(tier: Tier | None, offered: tuple[Tier, ...]) -> Tier | None:
    """`tier`, or the next dearer one that a model can be had of, or the dearest."""
    if tier is None or tier in offered or not offered:
        return tier if tier in offered else None
    dearer = [t for t in offered if TIERS.index(t) > TIERS.index(tier)]
    return dearer[0] if dearer else offered[-1]


def _warn(text: str) -> None:
    sys.stderr.write(f"acr gateway: {text}\n")
