"""Which tier a step goes to: the least of what it costs and what it would cost if it went wrong.

The odds are a policy, not a measurement: what a cheaper model spoils at one step cannot be
labelled without replaying it. Prices, caches and one's own verdicts (learning.py) decide the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acr.errors import SettingsError
from acr.nouns import DIMENSIONS, TIERS, Price, Tier
from acr.settings import GatewaySettings
from acr.steps.kind import KINDS

__all__ = ["Rules", "View", "choose", "rules_of", "step_cost"]

SPOILS: Mapping[str, tuple[float, float, float, float]] = {
    "plan": (0.40, 0.25, 0.10, 0.0),
    "search_read": (0.03, 0.015, 0.01, 0.0),
    "edit": (0.35, 0.20, 0.08, 0.0),
    "run_test": (0.02, 0.01, 0.005, 0.0),
    "repair": (0.50, 0.30, 0.12, 0.0),
    "summarise": (0.03, 0.02, 0.01, 0.0),
    "bookkeeping": (0.002, 0.0, 0.0, 0.0),
}
"""Odds, beyond frontier's, that a step of this kind goes wrong, by tier; of a middling task."""
OUTPUT: Mapping[str, int] = {
    "plan": 400,
    "search_read": 120,
    "edit": 450,
    "run_test": 60,
    "repair": 500,
    "summarise": 300,
    "bookkeeping": 50,
}
"""Tokens of an answer, about: medians of recorded steps."""
USUAL: Mapping[Tier, Price] = {
    "minimal": Price(0.1, 0.5, 0.01),
    "efficient": Price(1.0, 5.0, 0.1),
    "mid": Price(2.0, 10.0, 0.2),
    "frontier": Price(5.0, 25.0, 0.5),
}
"""USD per million tokens where a price is not known."""
FLOORS: Mapping[str, Tier] = {"agentic_programming": "efficient"}
"""Dimension -> the cheapest tier that its steps may go to."""
RUN = 2
"""Steps that a tier keeps once it has been switched to, unless something goes wrong."""
SOON = (2, 8)
"""Steps that a switch is reckoned to pay for, at least and at most."""
HARD = 0.75
"""Difficulty from which the first plan goes to the dearest tier whatever it costs."""
LAST = 4
"""A budget that pays for fewer dear steps than this allows only cheaper ones."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user allows, and how careful the policy is."""

    least: Tier = "minimal"
    most: Tier | None = None
    """None: never dearer than the model that the agent asks for."""
    pins: Mapping[str, Tier] = field(default_factory=dict)
    """Kind of step -> its tier."""
    floors: Mapping[str, Tier] = field(default_factory=lambda: FLOORS)
    caution: float = 6.0
    """What a spoiled step costs, in steps of the dearest allowed tier."""
    credit: Mapping[str, float] = field(default_factory=dict)
    """Dimension -> factor on the odds, from one's own verdicts."""


@dataclass(frozen=True, slots=True)
class View:
    """All that a choice goes by."""

    shares: Mapping[str, float]
    """How likely each kind of step is, summing to 1."""
    offered: tuple[Tier, ...]
    """Cheapest first."""
    asked: Tier | None
    context: int
    """Tokens of the request."""
    cached: Mapping[Tier, int] = field(default_factory=dict)
    """Tokens at its start that a tier's model still has in its cache."""
    prices: Mapping[Tier, Price] = field(default_factory=dict)
    dimension: str = ""
    difficulty: float = 0.5
    first: bool = False
    """The first step of the main conversation: the plan."""
    last: Tier | None = None
    run: int = 0
    """Steps since the last switch."""
    failures: int = 0
    """Runs and tests that failed since one last went well."""
    stalls: bool = False
    position: int = 0
    """Calls so far."""
    bound: bool = False
    """Another model refuses this conversation's thinking."""
    left: float | None = None

    @property
    def kind(self) -> str:
        """The likeliest."""
        return max(self.shares, key=lambda kind: self.shares[kind])


def rules_of(limits: GatewaySettings, credit: Mapping[str, float] | None = None) -> Rules:
    """The rules in the settings. Raises SettingsError for a name that does not exist."""
    bounds: dict[str, Tier] = {}
    pins: dict[str, Tier] = {}
    floors: dict[str, Tier] = dict(FLOORS)
    for name, given in limits.tiers.items():
        tier = next((t for t in TIERS if t == given), None)
        if tier is None:
            known = ", ".join(TIERS)
            raise SettingsError(f"gateway.tiers.{name}: no tier called {given!r}; known: {known}")
        if name in ("min", "max"):
            bounds[name] = tier
        elif name in KINDS:
            pins[name] = tier
        elif name in DIMENSIONS:
            floors[name] = tier
        else:
            raise SettingsError(
                f"gateway.tiers: no {name!r}; give min, max, a kind of step "
                f"({', '.join(KINDS)}) or a dimension"
            )
    least, most = bounds.get("min", TIERS[0]), bounds.get("max")
    if most and TIERS.index(least) > TIERS.index(most):
        raise SettingsError(f"gateway.tiers: min={least} is dearer than max={most}")
    return Rules(least, most, pins, floors, limits.caution, credit or {})


def choose(view: View, rules: Rules) -> tuple[Tier | None, str]:
    """(tier, one line of reason); None leaves the model that was asked for."""
    allowed = _allowed(view, rules)
    if not allowed:
        return None, "no tier is allowed that can be had"
    dearest = allowed[-1]
    if view.bound:
        return None, "stays: its thinking is another model's"
    if pin := rules.pins.get(view.kind):
        tier = _nearest(pin, allowed)
        return tier, f"{view.kind} is pinned to {pin}"
    if view.left is not None and view.left < LAST * step_cost(view, dearest):
        return allowed[0], f"${view.left:.2f} are left of the budget"
    if view.first and view.difficulty >= HARD:
        return dearest, "the first plan"
    if view.stalls:
        return dearest, "the same call again and again"
    best = min(allowed, key=lambda tier: expected(view, tier, dearest, rules))
    said = f"{view.kind} {view.shares[view.kind]:.0%}"
    if view.failures > 1 and _acts(view):
        raised = allowed[min(len(allowed) - 1, allowed.index(best) + view.failures - 1)]
        return raised, f"{said}, {view.failures} runs failed"
    if view.last in allowed and best != view.last and view.run < RUN:
        return view.last, f"{said}; just switched"
    return best, said


def _acts(view: View) -> bool:
    """Whether the step may well change something."""
    return sum(view.shares.get(kind, 0.0) for kind in ("edit", "repair")) >= 0.5


def expected(view: View, tier: Tier, dearest: Tier, rules: Rules) -> float:
    """USD of the step at `tier`, and of what it may spoil there.

    What is read anew stays in the cache: that part is spread over the steps to come.
    """
    at = TIERS.index(tier)
    odds = sum(share * SPOILS[kind][at] for kind, share in view.shares.items())
    scale = (0.4 + 1.2 * view.difficulty) * rules.credit.get(view.dimension, 1.0)
    again = step_cost(view, dearest, warm=True)
    warm = step_cost(view, tier, warm=True)
    soon = min(SOON[1], max(SOON[0], view.position))  # what has lasted lasts about as long again
    paid = warm + (step_cost(view, tier) - warm) / soon
    return paid + min(1.0, odds * scale) * rules.caution * again


def step_cost(view: View, tier: Tier, *, warm: bool = False) -> float:
    """USD of the step: what is cached, what must be read anew, and an answer of usual length."""
    price = view.prices.get(tier) or USUAL[tier]
    cached = view.context if warm else min(view.context, view.cached.get(tier, 0))
    output = sum(share * OUTPUT[kind] for kind, share in view.shares.items())
    read = price.input if price.cached_input is None else price.cached_input
    anew = price.cache_write_5m or price.input
    return (cached * read + (view.context - cached) * anew + output * price.output) / 1e6


def _allowed(view: View, rules: Rules) -> tuple[Tier, ...]:
    """Tiers from the floor to the ceiling, cheapest first; the ceiling wins."""
    most = TIERS.index(rules.most or view.asked or TIERS[-1])
    floor = rules.floors.get(view.dimension, TIERS[0])
    least = min(most, max(TIERS.index(rules.least), TIERS.index(floor)))
    found = tuple(t for t in view.offered if least <= TIERS.index(t) <= most)
    return found or tuple(t for t in view.offered if TIERS.index(t) <= most)[-1:]


def _nearest(tier: Tier, allowed: tuple[Tier, ...]) -> Tier:
    """`tier`, else the next dearer allowed one, else the dearest."""
    return next((t for t in allowed if TIERS.index(t) >= TIERS.index(tier)), allowed[-1])
