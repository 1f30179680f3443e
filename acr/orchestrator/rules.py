"""What is allowed at all, before any vote: pins, pools, tries and the budget."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from acr.errors import BudgetError, NothingAllowedError, UsageError
from acr.nouns import Profile, Room, Tier
from acr.orchestrator import benchmark
from acr.settings import AtCap, PoolSettings

__all__ = ["Allowed", "Pins", "affordable", "allowed", "with_pinned_model"]

AD_HOC_TIER: Tier = "mid"
"""Tier of a model that is named on the command line and that nobody knows."""


@dataclass(frozen=True, slots=True)
class Pins:
    """What the user named on the command line; it always wins over the pool."""

    profile: str | None = None
    model: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What rules leave."""

    names: tuple[str, ...]
    """Profiles that may be chosen."""
    excluded: Mapping[str, str]
    """Every other profile, with the reason."""
    rules: tuple[str, ...]
    """The rules that applied, in words."""
    dear: tuple[str, ...] = ()
    """Profiles that the budget alone took out."""
    exceeded: bool = False
    """A cap is reached, and the cheapest profile goes on all the same."""


def with_pinned_model(profiles: Sequence[Profile], pins: Pins) -> tuple[Profile, ...]:
    """`profiles`, and an ad-hoc one named AGENT/MODEL when the pins name a model nobody has.

    `--profile AGENT/MODEL` is understood too, so that such a run can be continued. Raises
    UsageError, with a suggestion, for an unknown profile, agent or model.
    """
    agents = {p.agent for p in profiles}
    if pins.agent is not None and pins.agent not in agents:
        raise UsageError(
            f"no profile of an agent called {pins.agent!r}; {_near(pins.agent, agents)}"
        )
    if pins.profile is not None:
        agent, _, model = pins.profile.partition("/")
        if pins.profile in {p.name for p in profiles} or agent not in agents or not model:
            _pinned_profile(profiles, pins)
            return tuple(profiles)
        return (*profiles, _ad_hoc(profiles, agent, model))
    if pins.model is None or _with_model(profiles, pins):
        return tuple(profiles)
    agent = pins.agent or (agents.pop() if len(agents) == 1 else "")
    if not agent:
        hint = _near(pins.model, {p.model for p in profiles})
        raise UsageError(
            f"no profile has model {pins.model!r}; {hint}; or name its agent: "
            f"--agent AGENT --model {pins.model}"
        )
    return (*profiles, _ad_hoc(profiles, agent, pins.model))


def allowed(
    profiles: Sequence[Profile], pool: PoolSettings, pins: Pins, tried: Collection[str] = ()
) -> Allowed:
    """Applies pins, then the pool, then what was tried.

    The pool narrows what the pins leave; where it would leave nothing, the pins win. Raises
    UsageError for pins that fit nothing and NothingAllowedError that names the rule which
    left nothing.
    """
    if not profiles:
        raise NothingAllowedError("there is no profile; see acr profiles, or run acr init")
    pinned, words = _pinned(profiles, pins)
    pin = " ".join(words)
    excluded = {p.name: f"left out by {pin}" for p in profiles if p not in pinned}
    refused = {p.name: why for p in pinned if (why := _refusal(p, pool, pins))}
    if len(refused) == len(pinned):
        if not words:
            raise NothingAllowedError(
                f"[pool] in config.toml allows none of the {len(pinned)} profiles "
                f"({next(iter(refused.values()))}); see acr config and acr profiles"
            )
        words, refused = [*words, "the pool does not allow it; the command line wins"], {}
    elif refused:
        words.append(f"pool: {len(refused)} of {len(pinned)} profiles not allowed")
    left = [p.name for p in pinned if p.name not in refused and p.name not in tried]
    if tried:
        words.append(f"tried without success: {', '.join(tried)}")
    if not left:
        which = f"every profile that {pin} leaves" if pin else "every allowed profile"
        raise NothingAllowedError(f"{which} was tried: {', '.join(tried)}")
    again = {p.name: "already tried" for p in pinned if p.name in tried}
    return Allowed(tuple(left), {**excluded, **again, **refused}, tuple(words))


def affordable(
    rules: Allowed,
    costs: Mapping[str, float | None],
    rooms: Sequence[Room],
    at_cap: AtCap = "stop",
    plans: Collection[str] = (),
) -> Allowed:
    """Takes out what is expected to cost more than a cap leaves (USD).

    An unknown cost is not held against a profile while something is left, but said; profiles in
    `plans` cost no money. Where nothing remains, `at_cap` cheapest leaves the cheapest, beyond
    the cap. Raises BudgetError.
    """
    if not rooms:
        return rules
    tightest: dict[str, Room] = {}
    for name in rules.names:
        own = [room for room in rooms if room.profile in ("", name)]
        if own and name not in plans:
            tightest[name] = min(own, key=lambda room: room.left)
    dear = {n: r for n, r in tightest.items() if _too_dear(costs[n], r.left)}
    names = tuple(n for n in rules.names if n not in dear)
    if not names:
        return _beyond(rules, costs, dear, at_cap)
    words = []
    for room in dict.fromkeys(tightest.values()):
        out = sum(n in dear for n, r in tightest.items() if r == room)
        of = "" if room.period == "run" else f" of ${room.limit:.2f} {room.words}"
        held = sum(r == room for r in tightest.values())
        words.append(f"budget: ${room.left:.2f} left{of}, {out} of {held} profiles too dear")
    if unknown := [n for n in names if n in tightest and costs[n] is None]:
        words.append(f"cost unknown, so not held against the budget: {', '.join(unknown)}")
    too_dear = {n: _dearness(costs[n], r) for n, r in dear.items()}
    return replace(
        rules,
        names=names,
        excluded={**rules.excluded, **too_dear},
        rules=(*rules.rules, *words),
        dear=tuple(dear),
    )


def _too_dear(cost: float | None, left: float) -> bool:
    return left <= 0 if cost is None else cost > left


def _dearness(cost: float | None, room: Room) -> str:
    expected = "cost unknown" if cost is None else f"${cost:.2f} expected"
    return f"{expected}, ${room.left:.2f} left"


def _beyond(
    rules: Allowed, costs: Mapping[str, float | None], dear: Mapping[str, Room], at_cap: AtCap
) -> Allowed:
    """The cheapest profile where `at_cap` lets it go on. Raises BudgetError."""
    known = {n: c for n in dear if (c := costs[n]) is not None}
    cheapest = min(known, key=lambda n: (known[n], n), default="")
    room = dear[cheapest] if cheapest else min(dear.values(), key=lambda r: r.left)
    if room.left <= 0 < room.spent:
        text = room.spent_words
    else:
        least = f"${known[cheapest]:.2f} expected" if cheapest else "its cost is unknown"
        text = (
            f"the ${room.left:.2f} left of the {room.name} pays for no allowed profile "
            f"(cheapest: {least})"
        )
    if at_cap != "cheapest" or not cheapest:
        raise BudgetError(f"{text}; raise {room.remedy}, or pin a cheaper --profile")
    excluded = {n: _dearness(costs[n], r) for n, r in dear.items() if n != cheapest}
    return replace(
        rules,
        names=(cheapest,),
        excluded={**rules.excluded, **excluded},
        rules=(*rules.rules, f"{text}; budget.at_cap leaves the cheapest, {cheapest}"),
        dear=tuple(excluded),
        exceeded=True,
    )


def _pinned(profiles: Sequence[Profile], pins: Pins) -> tuple[list[Profile], list[str]]:
    """The profiles that the command line leaves, and its words."""
    if pins.profile is not None:
        return [_pinned_profile(profiles, pins)], [f"--profile {pins.profile}"]
    left, words = list(profiles), []
    if pins.agent is not None:
        left = [p for p in left if p.agent == pins.agent]
        words.append(f"--agent {pins.agent}")
        if not left:
            raise UsageError(
                f"no profile of agent {pins.agent!r} whose program is installed; "
                f"{_near(pins.agent, {p.agent for p in profiles})}; see acr agents"
            )
    if pins.model is not None:
        left = _with_model(left, pins)
        words.append(f"--model {pins.model}")
        if not left:
            models = {p.model for p in profiles}
            raise UsageError(
                f"no profile with model {pins.model!r} whose agent is installed; "
                f"{_near(pins.model, models)}; see acr profiles"
            )
    return left, words


def _pinned_profile(profiles: Sequence[Profile], pins: Pins) -> Profile:
    """The profile of --profile. Raises UsageError when another pin contradicts it."""
    found = next((p for p in profiles if p.name == pins.profile), None)
    if found is None:
        name = pins.profile or ""
        raise UsageError(
            f"no profile called {name!r} whose agent is installed; "
            f"{_near(name, {p.name for p in profiles})}; see acr profiles"
        )
    for option, wanted, has in (
        ("agent", pins.agent, not pins.agent or found.agent == pins.agent),
        ("model", pins.model, not pins.model or _fits(found.model, pins.model)),
    ):
        if not has:
            raise UsageError(
                f"profile {found.name} has {option} {getattr(found, option)}, not {wanted}; "
                f"leave out --profile or --{option}"
            )
    return found


def _with_model(profiles: Sequence[Profile], pins: Pins) -> list[Profile]:
    """Profiles with the pinned model: by full name, else by a part that only one model has."""
    wanted = pins.model or ""
    mine = [p for p in profiles if pins.agent in (None, p.agent)]
    exact = [p for p in mine if benchmark.same_model(p.model, wanted)]
    if exact or not wanted:
        return exact
    part = [p for p in mine if _fits(p.model, wanted)]
    models = sorted({benchmark.spelling(p.model) for p in part})
    if len(models) > 1:
        raise UsageError(f"--model {wanted} fits {', '.join(models)}; name one of them")
    return part


def _fits(model: str, wanted: str) -> bool:
    return wanted.lower() in model.lower() or benchmark.same_model(model, wanted)


def _ad_hoc(profiles: Iterable[Profile], agent: str, model: str) -> Profile:
    """A profile of `agent` for `model`; its tier by the benchmark's family."""
    providers = {p.provider for p in profiles if p.agent == agent}
    return Profile(
        name=f"{agent}/{model}",
        agent=agent,
        model=model,
        tier=benchmark.load().tier(model) or AD_HOC_TIER,
        provider=providers.pop() if len(providers) == 1 else "",
        description="made for this run from the command line",
    )


def _refusal(profile: Profile, pool: PoolSettings, pins: Pins) -> str:
    """Why the pool refuses `profile`; empty when it does not.

    A pinned agent or model is not asked for its agent and provider again.
    """
    checks = [("profile", profile.name, pool.profiles, pool.deny_profiles)]
    if not (pins.agent or pins.model):
        checks += [
            ("agent", profile.agent, pool.agents, pool.deny_agents),
            ("provider", profile.provider, pool.providers, pool.deny_providers),
        ]
    for kind, value, allow, deny in checks:
        if match := next((d for d in deny if fnmatchcase(value, d)), None):
            return f"pool denies {kind} {match}"
        if allow and not any(fnmatchcase(value, a) for a in allow):
            return f"{kind} {value or 'unknown'} is not in the pool"
    return ""


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
