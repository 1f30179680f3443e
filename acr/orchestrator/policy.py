"""The decision: rules, votes, reward, exploration. One function; everything is stored to replay."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from acr.errors import NothingAllowedError
from acr.nouns import (
    BudgetRole,
    Candidate,
    Decision,
    Neighbour,
    Price,
    Profile,
    Reading,
    Room,
    Task,
    Tried,
    pooled,
)
from acr.orchestrator import benchmark, costs, escalation, exploration, rules
from acr.orchestrator.calibration import NONE, Calibration
from acr.orchestrator.evidence import Evidence, MemoryView, gather
from acr.orchestrator.rules import Allowed, Pins
from acr.orchestrator.voters import wanted
from acr.settings import OrchestratorSettings, Settings

__all__ = ["decide", "replay", "replayed"]

FAMILIAR = 5
"""Attempts in the dimension from which a profile is not new any more."""
FLOOR = 0.02
"""Chance that goes to profiles that are new, whatever is expected of them, where exploration is
set to DEFAULT_WIDTH; in proportion elsewhere."""
DEFAULT_WIDTH = OrchestratorSettings().exploration
TEMPERATURE = 0.2
"""Reward difference that makes a try of a new profile e times less likely."""
RECHECK = 4.0
"""How much wider the posterior of a profile is that seems to have changed: chance may have
deceived, and only more outcomes can tell."""
SETTLED = 600.0
"""Outcomes from which exploration fades faster than uncertainty: what is left to learn is small
against what trying it costs. Not so when one has changed, or has failed at this very task."""
SHOWN = 10
"""Similar tasks that are stored with a decision, the most similar first; all of them vote."""
NO_PINS = Pins()


def decide(  # noqa: PLR0913  # all that a decision rests on
    task: Task,
    profiles: Sequence[Profile],
    memory: MemoryView,
    settings: Settings,
    *,
    prices: Mapping[str, Price],
    pins: Pins = NO_PINS,
    reading: Reading | None = None,
    tried: Sequence[Tried] = (),
    rooms: Sequence[Room] = (),
    seed: int | None = None,
    calibration: Calibration = NONE,
) -> Decision:
    """Which profile should try `task` next.

    A profile's expected score is the pooled posterior mean sum(strength x score) /
    sum(strength) over the votes; its reward is r = e1 x score + e2 x cost (arXiv 2606.22902).
    Profiles in `tried` failed at this task: they are out, what is expected of the rest is what
    those failures leave, and the score in the reward is what another try adds to the best one.
    The first try is drawn by how probable each profile is the best; the others take the best
    reward. `rooms` are what the caps of the budget leave, `reading` is what the shipped model reads
    in the prompt. Same memory, task, reading and seed: same decision. Raises NothingAllowedError
    when rules, budget or prospects leave nothing, UsageError for pins that fit nothing.
    """
    allowed = rules.allowed(profiles, settings.pool, pins, [one.profile for one in tried])
    evidence = gather(task, profiles, memory, settings.orchestrator, reading)
    tiers = {p.name: p.tier for p in evidence.profiles}
    said = (vote(evidence) for vote in wanted(settings.orchestrator))
    mute = settings.orchestrator.mute
    votes = tuple(calibration.vote(vote, tiers) for vote in said if vote.voter not in mute)
    cost = costs.expected(evidence, prices)
    plans = [p.name for p in profiles if p.plan]
    allowed = rules.affordable(allowed, cost, rooms, settings.budget.at_cap, plans)
    epsilon = (settings.orchestrator.epsilon_score, settings.orchestrator.epsilon_cost)
    mean = {p.name: pooled(votes, p.name) for p in evidence.profiles}
    outlook = {name: (score, score) for name, (score, _) in mean.items()}
    if tried:
        outlook = _outlook(tried, mean, evidence, memory)
    candidates = _candidates(evidence, mean, outlook, cost, allowed, epsilon)
    best = candidates[0]
    if tried and best.reward <= 0:
        raise NothingAllowedError(
            f"no profile left is worth its cost: the best, {best.profile}, has "
            f"{best.expected:.0%} to solve it after {len(tried)} failed"
        )
    width = settings.orchestrator.exploration
    settled = not tried and not evidence.changes
    candidates = _with_propensities(_uncertain(candidates, evidence, width * epsilon[0], settled))
    budget = _budget(candidates, allowed)
    seed = secrets.randbits(32) if seed is None else seed
    chosen = _draw(candidates, seed)
    return Decision(
        id=secrets.token_hex(5),
        task=task.id,
        created=time.time(),
        chosen=chosen,
        candidates=candidates,
        votes=votes,
        neighbours=_shown(evidence),
        rules=allowed.rules + _words(evidence, tried) + budget[1],
        explored=chosen != best.profile,
        epsilon=epsilon,
        seed=seed,
        snapshot="+".join(filter(None, (memory.snapshot(), calibration.id))),
        tried=tuple(one.profile for one in tried),
        reason=_reason(chosen, best.profile, evidence, pins, tried),
        budget=budget[0],
    )


def replay(decision: Decision) -> str:
    """The profile that the stored candidates and seed lead to."""
    return replayed(decision).chosen


def replayed(decision: Decision, epsilon: tuple[float, float] | None = None) -> Decision:
    """The decision made again from its own record, at other weights of score and cost if given.

    Scores are pooled from the stored votes, and rewards, chances and the choice follow as they did;
    after failed tries the scores are the stored ones. Older decisions lack what that needs: of them
    only the choice is drawn again.
    """
    weights = epsilon or decision.epsilon
    candidates = decision.candidates
    if all(c.spread is not None for c in candidates):
        again = (_rewarded(c, decision, weights) for c in candidates)
        candidates = _with_propensities(_ranked(again))
    chosen = _draw(candidates, decision.seed)
    explored = chosen != candidates[0].profile
    return replace(
        decision, candidates=candidates, chosen=chosen, explored=explored, epsilon=weights
    )


def _rewarded(candidate: Candidate, decision: Decision, epsilon: tuple[float, float]) -> Candidate:
    expected, strength = pooled(decision.votes, candidate.profile)
    gain = expected
    if decision.tried:
        expected, gain = candidate.expected, candidate.gain or 0.0
    reward = epsilon[0] * gain + epsilon[1] * (candidate.counted or 0.0)
    return replace(candidate, expected=expected, strength=strength, gain=gain, reward=reward)


def _ranked(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Allowed ones first, best reward first."""
    return tuple(sorted(candidates, key=lambda c: (bool(c.excluded), -c.reward, c.profile)))


def _candidates(
    evidence: Evidence,
    mean: Mapping[str, tuple[float, float]],
    outlook: Mapping[str, tuple[float, float]],
    cost: Mapping[str, float | None],
    allowed: Allowed,
    epsilon: tuple[float, float],
) -> tuple[Candidate, ...]:
    """Allowed profiles, best reward first, then the excluded ones.

    `outlook` is (expected score, what a try adds to the best one so far) per profile.
    """
    counted = costs.assumed(evidence.profiles, cost)
    made = []
    for profile in evidence.profiles:
        name = profile.name
        score, gain = outlook[name]
        made.append(
            Candidate(
                profile=name,
                agent=profile.agent,
                model=profile.model,
                expected=score,
                strength=mean[name][1],
                cost=cost[name],
                reward=epsilon[0] * gain + epsilon[1] * counted[name],
                propensity=0.0,
                excluded=allowed.excluded.get(name, ""),
                plan=profile.plan,
                gain=gain,
                counted=counted[name],
            )
        )
    return _ranked(made)


def _outlook(
    tried: Sequence[Tried],
    mean: Mapping[str, tuple[float, float]],
    evidence: Evidence,
    memory: MemoryView,
) -> dict[str, tuple[float, float]]:
    """(expected score, gain over the best try) per profile, given the scores of those tried."""
    pairs = [pair for dimension, _ in evidence.dimensions for pair in memory.together(dimension)]
    means = {name: score for name, (score, _) in mean.items()}
    left = escalation.after(tried, means, evidence, pairs)
    best = max((one.score for one in tried if one.score is not None), default=0.0)
    return {
        name: (score, escalation.gain(score, variance, best))
        for name, (score, variance) in left.items()
    }


def _uncertain(
    candidates: tuple[Candidate, ...], evidence: Evidence, width: float, settled: bool
) -> tuple[Candidate, ...]:
    """Each candidate with how uncertain it is, `width` times the posterior's standard deviation,
    and how new, in proportion to 1 - n / FAMILIAR."""
    share = min(1.0, FLOOR * width / DEFAULT_WIDTH)
    return tuple(
        replace(
            c,
            spread=width * _deviation(c, evidence, settled),
            novelty=share * max(0.0, 1 - evidence.dimension[c.profile].n / FAMILIAR),
        )
        for c in candidates
    )


def _with_propensities(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The chance that each candidate is picked.

    That is how probable it is that its reward is the best, given its spread; and new profiles get
    a little more, which fades as they become familiar, in proportion to novelty and
    exp(-lost reward / TEMPERATURE).
    """
    open_ = [c for c in candidates if not c.excluded]
    spread = [c.spread or 0.0 for c in open_]
    chances = exploration.chances([c.reward for c in open_], spread)
    weights = [c.novelty * math.exp((c.reward - open_[0].reward) / TEMPERATURE) for c in open_[1:]]
    total = math.fsum(weights)
    floor = max((c.novelty for c in open_[1:]), default=0.0)
    if total > 0 and floor > 0:
        chances = [
            (1 - floor) * chance + floor * weight / total
            for chance, weight in zip(chances, [0.0, *weights], strict=True)
        ]
    given = dict(zip((c.profile for c in open_), chances, strict=True))
    return tuple(replace(c, propensity=given.get(c.profile, 0.0)) for c in candidates)


def _deviation(candidate: Candidate, evidence: Evidence, settled: bool) -> float:
    """Posterior standard deviation of what is expected on average, which outcomes reduce."""
    share = candidate.expected * (1 - candidate.expected)
    n = evidence.strength[candidate.profile] + candidate.strength
    spread = math.sqrt(max(0.02, share) / (1 + n))
    if change := evidence.changes.get(candidate.profile):
        return spread * math.exp(change.chance * math.log(RECHECK))
    return spread / math.sqrt(1 + n / SETTLED) if settled else spread


def _shown(evidence: Evidence) -> tuple[Neighbour, ...]:
    """The attempts on the SHOWN most similar tasks."""
    tasks = list(dict.fromkeys(near.task for near in evidence.neighbours))[:SHOWN]
    return tuple(near for near in evidence.neighbours if near.task in tasks)


def _draw(candidates: Sequence[Candidate], seed: int) -> str:
    """One candidate by its propensity."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    point = int.from_bytes(digest[:8]) / 2**64
    for candidate in candidates:
        point -= candidate.propensity
        if point < 0:
            return candidate.profile
    return candidates[0].profile


def _budget(
    candidates: Sequence[Candidate], allowed: Allowed
) -> tuple[BudgetRole, tuple[str, ...]]:
    """(whether the budget made the choice, what it took away that looked better)."""
    if allowed.exceeded:
        return "exceeded", ()
    best = max((c for c in candidates if c.profile in allowed.dear),
               key=lambda c: c.reward, default=None)  # fmt: skip
    if best is None or best.reward <= candidates[0].reward:
        return "", ()
    return "decided", (f"the budget decided: without it {best.profile} would look best",)


def _words(evidence: Evidence, tried: Sequence[Tried]) -> tuple[str, ...]:
    """What else shaped the expected scores, for `acr why`."""
    words = []
    if len(evidence.dimensions) > 1:
        mixed = " and ".join(f"{share:.0%} {name}" for name, share in evidence.dimensions)
        words.append(f"the kind of request is unsure: evidence of {mixed}")
    for name, change in evidence.changes.items():
        words.append(
            f"{name} has changed: {change.shift:+.2f} over its latest {change.n} outcomes, "
            "so those before count little"
        )
    if tried:
        alike = benchmark.load().correlation
        words.append(
            f"{len(tried)} failed: what is expected of the others falls, as models mostly fail at "
            f"the same tasks (correlation {alike:g}, corrected by your own)"
        )
    return tuple(words)


def _reason(chosen: str, best: str, evidence: Evidence, pins: Pins, tried: Sequence[Tried]) -> str:
    """One line: what speaks for the chosen profile."""
    parts = []
    if tried:
        parts.append(f"after {tried[-1].profile} failed")
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
