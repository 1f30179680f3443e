"""The decision: rules, votes, reward, exploration. One function; everything is stored to replay."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from acr.errors import NothingAllowedError
from acr.nouns import Candidate, Decision, Price, Profile, Task, Vote
from acr.orchestrator import benchmark, costs, rules
from acr.orchestrator.evidence import Evidence, MemoryView, gather
from acr.orchestrator.rules import Allowed, Pins
from acr.orchestrator.voters import VOTERS
from acr.settings import Settings

__all__ = ["decide", "replay"]

FAMILIAR = 5
"""Attempts in the dimension from which a profile is not explored any more."""
TEMPERATURE = 0.2
"""Reward difference that makes an exploration e times less likely."""
NO_PINS = Pins()


def decide(
    task: Task,
    profiles: Sequence[Profile],
    memory: MemoryView,
    settings: Settings,
    *,
    prices: Mapping[str, Price],
    pins: Pins = NO_PINS,
    tried: Sequence[str] = (),
    spent: float = 0.0,
    seed: int | None = None,
) -> Decision:
    """Which profile should try `task` next.

    A profile's expected score is the pooled posterior mean sum(strength x score) /
    sum(strength) over the votes; its reward is r = e1 x score + e2 x cost (arXiv 2606.22902).
    Profiles in `tried` failed at this task: they are out, and the odds of the rest fall.
    The best reward is taken, or, seldom, a profile that was hardly measured. `spent` is the
    USD that earlier tries cost. Same memory, task and seed: same decision.
    Raises NothingAllowedError when rules, budget or prospects leave nothing, UsageError for pins
    that fit nothing.
    """
    allowed = rules.allowed(profiles, settings.pool, pins, tried)
    evidence = gather(task, profiles, memory, settings.orchestrator)
    votes = tuple(vote(evidence) for vote in VOTERS)
    cost = costs.expected(evidence, prices)
    allowed = rules.affordable(allowed, cost, settings.budget.per_run, spent)
    epsilon = (settings.orchestrator.epsilon_score, settings.orchestrator.epsilon_cost)
    candidates = _candidates(evidence, votes, cost, allowed, epsilon, len(tried))
    best = candidates[0]
    if tried and best.reward <= 0:
        raise NothingAllowedError(
            f"no profile left is worth its cost: the best, {best.profile}, has "
            f"{best.expected:.0%} to solve it after {len(tried)} failed"
        )
    explore = 0.0 if tried else settings.orchestrator.exploration
    candidates = _with_propensities(candidates, evidence, explore)
    seed = secrets.randbits(32) if seed is None else seed
    chosen = _draw(candidates, seed)
    return Decision(
        id=secrets.token_hex(5),
        task=task.id,
        created=time.time(),
        chosen=chosen,
        candidates=candidates,
        votes=votes,
        neighbours=evidence.neighbours,
        rules=allowed.rules + _words(evidence, len(tried)),
        explored=chosen != best.profile,
        epsilon=epsilon,
        seed=seed,
        snapshot=memory.snapshot(),
        tried=tuple(tried),
        reason=_reason(chosen, best.profile, evidence, pins, tried),
    )


def replay(decision: Decision) -> str:
    """The profile that the stored candidates, propensities and seed lead to."""
    return _draw(decision.candidates, decision.seed)


def _candidates(
    evidence: Evidence,
    votes: Sequence[Vote],
    cost: Mapping[str, float | None],
    allowed: Allowed,
    epsilon: tuple[float, float],
    failures: int,
) -> tuple[Candidate, ...]:
    """Allowed profiles, best reward first, then the excluded ones."""
    counted = costs.assumed(evidence.profiles, cost)
    made = []
    for profile in evidence.profiles:
        name = profile.name
        score, strength = _pooled(votes, name)
        score = _after(score, failures)
        made.append(
            Candidate(
                profile=name,
                agent=profile.agent,
                model=profile.model,
                expected=score,
                strength=strength,
                cost=cost[name],
                reward=epsilon[0] * score + epsilon[1] * counted[name],
                propensity=0.0,
                excluded=allowed.excluded.get(name, ""),
            )
        )
    return tuple(sorted(made, key=lambda c: (bool(c.excluded), -c.reward, c.profile)))


def _pooled(votes: Sequence[Vote], name: str) -> tuple[float, float]:
    """(posterior mean, strength) of a profile; the prior votes on every one."""
    heard = [vote.scores[name] for vote in votes if name in vote.scores]
    strength = sum(weight for _, weight in heard)
    return sum(score * weight for score, weight in heard) / strength, strength


def _after(score: float, failures: int) -> float:
    """`score` given that other profiles failed at this task: a hard task is hard for all.

    The odds fall by the factor that the benchmark shows for 1, 2, 3 failures; further ones
    change nothing more.
    """
    if not failures:
        return score
    factors = benchmark.load().failure_odds
    factor = factors[min(failures, len(factors)) - 1]
    return score * factor / (1 - score + score * factor)


def _with_propensities(
    candidates: tuple[Candidate, ...], evidence: Evidence, epsilon: float
) -> tuple[Candidate, ...]:
    """The best candidate, but with a chance of up to `epsilon` a little measured one.

    The chance fades as the least measured profile becomes familiar, and goes to profiles in
    proportion to novelty (1 - n / FAMILIAR) and exp(-lost reward / TEMPERATURE).
    """
    best = candidates[0]
    novelty = {
        c.profile: max(0.0, 1 - evidence.dimension[c.profile].n / FAMILIAR)
        for c in candidates[1:]
        if not c.excluded
    }
    weights = {
        c.profile: novelty[c.profile] * math.exp((c.reward - best.reward) / TEMPERATURE)
        for c in candidates
        if novelty.get(c.profile)
    }
    total = math.fsum(weights.values())
    mass = epsilon * max(novelty.values(), default=0.0) if total > 0 else 0.0
    chances = {name: mass * weight / total for name, weight in weights.items()}
    chances[best.profile] = 1 - math.fsum(chances.values())
    return tuple(replace(c, propensity=chances.get(c.profile, 0.0)) for c in candidates)


def _draw(candidates: Sequence[Candidate], seed: int) -> str:
    """One candidate by its propensity."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    point = int.from_bytes(digest[:8]) / 2**64
    for candidate in candidates:
        point -= candidate.propensity
        if point < 0:
            return candidate.profile
    return candidates[0].profile


def _words(evidence: Evidence, failures: int) -> tuple[str, ...]:
    """What else shaped the expected scores, for `acr why`."""
    words = []
    if len(evidence.dimensions) > 1:
        mixed = " and ".join(f"{share:.0%} {name}" for name, share in evidence.dimensions)
        words.append(f"the kind of request is unsure: evidence of {mixed}")
    if failures:
        factors = benchmark.load().failure_odds
        factor = factors[min(failures, len(factors)) - 1]
        words.append(f"{failures} failed: odds of the others x {factor:g}, a hard task is hard")
    return tuple(words)


def _reason(chosen: str, best: str, evidence: Evidence, pins: Pins, tried: Sequence[str]) -> str:
    """One line: what speaks for the chosen profile."""
    parts = []
    if tried:
        parts.append(f"after {tried[-1]} failed")
    if pins != NO_PINS:
        parts.append("as asked")
    if chosen != best:
        parts.append(f"an exploration instead of {best}")
    return "; ".join([*parts, _ground(chosen, evidence)])


def _ground(name: str, evidence: Evidence) -> str:
    """The most particular evidence about a profile, in words."""
    similar = [n for n in evidence.neighbours if n.profile == name and n.strength > 0]
    if similar:
        won = {n.task for n in similar if n.status == "pass"}
        return _count(len({n.task for n in similar}), "similar task", len(won))
    tally = evidence.dimension[name]
    if tally.wins + tally.losses:
        return _count(
            tally.wins + tally.losses, f"outcome in {evidence.task.dimension}", tally.wins
        )
    profile = next(p for p in evidence.profiles if p.name == name)
    model = benchmark.load().model(profile.model)
    return f"no outcomes yet; benchmark of {model or f'the {profile.tier} tier'}"


def _count(n: int, what: str, wins: int) -> str:
    """`9 similar tasks, 7 wins`."""
    noun = what if n == 1 else what.replace("task", "tasks").replace("outcome", "outcomes")
    return f"{n} {noun}, {wins} win{'' if wins == 1 else 's'}"
