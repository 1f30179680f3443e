"""The nouns of the loop: frozen records that the rooms hand to each other."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")

__all__ = [
    "AGENTIC",
    "DIMENSIONS",
    "TIERS",
    "Attempt",
    "AttemptStatus",
    "Autonomy",
    "BudgetRole",
    "Candidate",
    "Classification",
    "Decision",
    "Event",
    "LongRates",
    "Neighbour",
    "Outcome",
    "Pair",
    "Period",
    "Price",
    "Profile",
    "Rates",
    "Reading",
    "Recent",
    "Repository",
    "Room",
    "RoutedRun",
    "SessionTurn",
    "Signal",
    "Snapshot",
    "Statistic",
    "Step",
    "Task",
    "TestCommand",
    "TestDiff",
    "Tier",
    "Tried",
    "Usage",
    "Verdict",
    "VerdictStatus",
    "Vote",
    "from_json",
    "pooled",
    "to_json",
]

DIMENSIONS = (
    "code_generation",
    "algorithm",
    "bug_fixing",
    "code_completion",
    "code_refactoring",
    "data_science",
    "multi_language",
    "code_understanding",
    "test_generation",
    "agentic_programming",
)
"""The ten kinds of request of the paper (arXiv 2606.22902). Users may add their own."""

AGENTIC = "agentic_programming"
Tier = Literal["minimal", "efficient", "mid", "frontier"]
TIERS: tuple[Tier, ...] = ("minimal", "efficient", "mid", "frontier")
"""Price and ability classes, cheapest first."""

Autonomy = Literal["ask", "edit", "full"]
AttemptStatus = Literal["done", "error", "denied", "timeout", "aborted"]
"""done: the agent finished; error: it could not run or its API failed; denied: a tool it
needed was refused; timeout: acr stopped it; aborted: the user stopped it."""
VerdictStatus = Literal["pass", "fail", "unverified"]
BudgetRole = Literal["", "decided", "exceeded"]
FROM_ZERO = {"range": (0.0, math.inf)}
"""Of a number in a TOML file (settings.parse)."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What kind of request a prompt is."""

    dimension: str
    confidence: float
    """0..1, the softmax share of the dimension."""
    runner_up: str | None
    scores: Mapping[str, float]
    """Share per dimension, summing to 1."""
    language: str | None
    """Main programming language named or shown by the prompt, lower case."""
    difficulty: float
    """0 (trivial) .. 1 (hard), a guess from the prompt alone."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads in a prompt."""

    dimensions: Mapping[str, float]
    """Share per dimension, summing to 1."""
    difficulty: float
    """0..1: how likely a model of average ability fails."""
    tiers: Mapping[str, float]
    """Expected score, 0..1, of each price class's models; empty when nothing can be said."""
    models: Mapping[str, float]
    """Expected score, 0..1, of each model that the benchmark measured; empty likewise."""
    reason: str
    """What read it, in a few words."""


@dataclass(frozen=True, slots=True)
class Task:
    """One ask of a person. Its id is also the id of the run that works on it."""

    id: str
    created: float
    """Seconds since the epoch."""
    prompt: str
    """The human ask only; harness noise is stripped."""
    dimension: str
    confidence: float
    runner_up: str | None
    language: str | None
    difficulty: float
    repository: str
    """Stable repository id."""
    root: str
    """Absolute path of the repository when asked."""
    embedding: tuple[float, ...] | None = None
    """Unit vector in the space named by `embedder`."""
    embedder: str | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    """Share of each dimension that it may be of; empty when its dimension is known."""


@dataclass(frozen=True, slots=True)
class TestCommand:
    """How a repository runs its tests."""

    __test__ = False
    argv: tuple[str, ...]
    kind: str
    """pytest, unittest, npm, pnpm, yarn, bun, go, cargo, maven, gradle, make or custom."""
    source: str
    """Why this command: the file and key, or the setting, that it was read from."""
    cwd: str = "."
    """Relative to the repository root."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the work happens: a git work tree or a plain folder."""

    root: Path
    id: str
    """Stable across clones where git history allows, else across moves on one machine."""
    is_git: bool
    head: str | None = None
    branch: str | None = None
    dirty: bool = False
    languages: tuple[tuple[str, float], ...] = ()
    """Language and share of source bytes, largest first."""
    files: int = 0
    bytes: int = 0
    capped: bool = False
    """The walk stopped at the size cap: counts are lower bounds."""
    test: TestCommand | None = None
    notes: tuple[str, ...] = ()
    """What was found and why, one line each, for `acr context`."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tree of the repository at one moment, stored in a sterile git dir."""

    root: Path
    git_dir: Path
    """The sterile git dir; the repository's own config and hooks are never used."""
    tree: str
    """Tree object id; equal trees have equal ids."""


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens, 0 or more; what is absent costs what input does."""

    input: float = field(metadata=FROM_ZERO)
    output: float = field(metadata=FROM_ZERO)
    cached_input: float | None = field(default=None, metadata=FROM_ZERO)
    cache_write_5m: float | None = field(default=None, metadata=FROM_ZERO)
    cache_write_1h: float | None = field(default=None, metadata=FROM_ZERO)
    """As cache_write_5m when absent."""
    reasoning: float | None = field(default=None, metadata=FROM_ZERO)
    """Of output that is reasoning; as other output when absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRates(Rates):
    """Rates of a whole request whose input is long."""

    above: int = field(metadata=FROM_ZERO)
    """Input tokens of one request, cached ones included, that must be exceeded."""


@dataclass(frozen=True, slots=True)
class Price(Rates):
    """What a model's tokens cost."""

    long: tuple[LongRates, ...] = ()
    """[[price.long]] in a profile: what long requests cost instead; the largest `above` wins."""
    batch: float | None = field(default=None, metadata={"range": (0.0, 1.0)})
    """Share of the price that requests through a batch queue cost, e.g. 0.5."""
    currency: Literal["USD"] = "USD"
    """Others are refused: rates change, and sums of several would mean nothing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One arm: an agent with a model and an effort."""

    name: str
    agent: str
    model: str
    tier: Tier
    provider: str = ""
    effort: str | None = None
    args: tuple[str, ...] = ()
    price: Price | None = None
    """An override; without it the price table is asked."""
    plan: bool = False
    """A subscription pays for it: costs are what the list price would be, marked "plan", and no
    budget counts them."""
    batch: bool = False
    """Its requests go through the provider's batch queue, at the price of that."""
    description: str = ""
    path: str = ""
    """The TOML file that it was read from."""


Period = Literal["run", "day", "month"]


@dataclass(frozen=True, slots=True)
class Room:
    """What a cap of the budget leaves to be spent."""

    setting: str
    """Its key in config.toml."""
    period: Period
    limit: float
    """USD."""
    spent: float
    """USD, what is reserved for calls under way included."""
    profile: str = ""
    """The only profile that it holds for; empty for all."""

    @property
    def left(self) -> float:
        """USD."""
        return max(0.0, self.limit - self.spent)

    @property
    def words(self) -> str:
        """`a run`, `a month for codex-sol`, `a day here`."""
        here = " here" if ".repositories." in self.setting else ""
        return f"a {self.period}{here}" + (f" for {self.profile}" if self.profile else "")

    @property
    def name(self) -> str:
        """`budget of $5.00 a day`."""
        return f"budget of ${self.limit:.2f} {self.words}"

    @property
    def spent_words(self) -> str:
        """That nothing is left."""
        return f"the {self.name} is spent (${self.spent:.2f}, calls under way included)"

    @property
    def remedy(self) -> str:
        """What raises it."""
        return "--budget" if self.period == "run" else self.setting


@dataclass(frozen=True, slots=True)
class Vote:
    """What one voter knows about each profile."""

    voter: str
    scores: Mapping[str, tuple[float, float]]
    """Profile name -> (expected score 0..1, strength in pseudo-observations)."""
    reason: str
    """One line for people."""
    raw: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The scores as they were before a calibration changed them; empty where none did."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A past attempt on a similar task."""

    task: str
    prompt: str
    """Redacted and shortened."""
    dimension: str
    profile: str
    status: VerdictStatus
    score: float
    cost: float | None
    similarity: float
    """Cosine, -1..1."""
    strength: float = 1.0
    """How much the verdict counts, by how it was reached: 0..1."""
    same_repository: bool = False
    age: float = 0.0
    """Seconds since the attempt."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile as the decision saw it."""

    profile: str
    agent: str
    model: str
    expected: float
    """Posterior mean score 0..1."""
    strength: float
    """Pseudo-observations behind it."""
    cost: float | None
    """Expected USD of one attempt; None when unknown."""
    reward: float
    propensity: float
    """Probability that the policy picks this candidate."""
    excluded: str = ""
    """Why it was not allowed; empty when it was."""
    plan: bool = False
    """A subscription pays: `cost` is what the list price would be."""
    gain: float | None = None
    """What a try adds to the best one so far: the score in the reward; None in older decisions,
    as the next two."""
    counted: float | None = None
    """USD in the reward, where `cost` is unknown a figure instead of it."""
    spread: float | None = None
    """Standard deviation of the reward in the draw."""
    novelty: float = 0.0
    """Chance that goes to profiles as new as this one, before it is shared among them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice with everything needed to replay it."""

    id: str
    task: str
    created: float
    chosen: str
    """Profile name."""
    candidates: tuple[Candidate, ...]
    votes: tuple[Vote, ...]
    neighbours: tuple[Neighbour, ...]
    rules: tuple[str, ...]
    """Pins, pools and budgets that applied, in words."""
    explored: bool
    epsilon: tuple[float, float]
    """Weights of score and cost in the reward (arXiv 2606.22902)."""
    seed: int
    snapshot: str
    """Which state of memory it saw, and after a + which calibration."""
    tried: tuple[str, ...] = ()
    """Profiles that already failed on this task, in order."""
    reason: str = ""
    """One line why."""
    budget: BudgetRole = ""
    """decided: without it another profile would look best; exceeded: a cap is reached, and the
    settings or the user said to go on."""

    @property
    def handicap(self) -> float:
        """How much less was expected of the chosen one because others had failed at the task,
        0..1: what is added to its score where it counts as one of many."""
        now = next((c.expected for c in self.candidates if c.profile == self.chosen), None)
        if not self.tried or now is None:
            return 0.0
        return max(0.0, self.usual - now)

    @property
    def usual(self) -> float:
        """What was expected of the chosen one on this task before any try, 0..1."""
        return pooled(self.votes, self.chosen)[0]


def pooled(votes: Iterable[Vote], profile: str) -> tuple[float, float]:
    """(posterior mean, strength) of a profile over the votes; (0, 0) where nobody voted on it."""
    heard = [vote.scores[profile] for vote in votes if profile in vote.scores]
    strength = math.fsum(weight for _, weight in heard)
    mean = math.fsum(score * weight for score, weight in heard) / strength if strength else 0.0
    return mean, strength


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one attempt; every class is counted once."""

    input: int = 0
    """Uncached input tokens."""
    cached_input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    """Output tokens, reasoning included."""
    reasoning: int = 0
    """The part of output that was reasoning."""
    requests: int = 0
    subagent: int = 0
    """Tokens of all classes that sub-agents used; included above."""

    def __add__(self, other: Usage) -> Usage:
        pairs = ((getattr(self, f), getattr(other, f)) for f in self.__slots__)
        return Usage(*(a + b for a, b in pairs))

    def __sub__(self, other: Usage) -> Usage:
        pairs = ((getattr(self, f), getattr(other, f)) for f in self.__slots__)
        return Usage(*(max(0, a - b) for a, b in pairs))

    @property
    def total(self) -> int:
        """Tokens of all classes."""
        written = self.cache_write_5m + self.cache_write_1h
        return self.input + self.cached_input + written + self.output


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of one agent."""

    id: str
    task: str
    decision: str
    profile: str
    agent: str
    model: str | None
    """The model that answered, as far as the agent tells; None when it does not."""
    status: AttemptStatus
    started: float
    duration: float
    """Seconds, by a monotonic clock."""
    exit_code: int | None = None
    error: str = ""
    """One line: what went wrong and what to do; empty when nothing did."""
    usage: Usage | None = None
    cost: float | None = None
    """USD; None when unknown."""
    cost_source: str = ""
    """agent, price table, override, or empty when unknown."""
    plan: bool = False
    """A subscription pays for it: `cost` is what the list price would be."""
    session: str | None = None
    """The agent's own session id, for resuming."""
    transcript: str | None = None
    """Path below the run's folder."""
    message: str = ""
    """The agent's last words."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence."""

    name: str
    score: float | None
    """0..1; None when the signal could not be had."""
    weight: float
    detail: str
    evidence: str = ""
    """Path of a log below the run's folder."""
    cost: float | None = 0.0
    """USD that having it cost; None when unknown."""


@dataclass(frozen=True, slots=True)
class TestDiff:
    """Tests before and after, by id."""

    __test__ = False
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well it went, and what that rests on."""

    status: VerdictStatus
    score: float
    signals: tuple[Signal, ...] = ()
    tests: TestDiff | None = None
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    """engine, version and what was really enforced; empty when nothing ran."""
    reason: str = ""
    """One line for people."""
    findings: str = ""
    """What the next agent should know: failing tests and the end of their output."""
    changed: tuple[str, ...] = ()
    """Files that the attempt changed, relative to the root."""
    strength: float = 0.0
    """0..1: human 1, fixed failing test 1, tests unchanged 0.5, unverified 0."""

    @property
    def cost(self) -> float | None:
        """USD that reaching it cost; None when a part is unknown."""
        return _sum(signal.cost for signal in self.signals)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of memory."""

    task: Task
    decision: Decision | None
    attempt: Attempt
    verdict: Verdict
    human: VerdictStatus | None = None
    """Set by `acr good` and `acr bad`; overrides the verdict."""

    @property
    def status(self) -> VerdictStatus:
        """The verdict that counts: the human's when there is one."""
        return self.human or self.verdict.status

    @property
    def cost(self) -> float | None:
        """USD of the attempt and of judging it; None when a part is unknown."""
        return _sum((self.attempt.cost, self.verdict.cost))


@dataclass(frozen=True, slots=True)
class Statistic:
    """What attempts of one profile on one dimension add up to; pruned rows included."""

    profile: str
    agent: str
    model: str
    dimension: str
    repository: str
    n: int
    """Attempts with a verdict, unverified ones included."""
    wins: int
    losses: int
    weight: float
    """Sum of verdict strengths; unverified attempts add 0."""
    score: float
    """Sum of strength x (score + handicap), see Decision."""
    cost: float
    """USD, summed over the attempts whose cost is known."""
    cost_n: int
    """Attempts whose cost is known."""
    tokens: int
    duration: float
    """Seconds, summed."""
    last: float
    """When the latest attempt started, seconds since the epoch."""

    @property
    def unverified(self) -> int:
        """Attempts that are neither win nor loss."""
        return self.n - self.wins - self.losses


@dataclass(frozen=True, slots=True)
class Recent:
    """One verified outcome of late."""

    profile: str
    model: str
    dimension: str
    score: float
    weight: float
    """The verdict's strength."""
    expected: float | None = None
    """What was expected when it was chosen, 0..1; None where nothing was decided."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What two profiles scored on the tasks that both tried: sums over them."""

    one: str
    other: str
    n: int
    score_one: float
    score_other: float
    product: float
    """Sum of score x score."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A try that failed at the task at hand."""

    profile: str
    score: float | None = None
    """0..1, as verified; None when it says nothing about the task, as when no agent ran."""


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """A turn of a session that acr did not start, as memory knows it."""

    id: str
    agent: str
    session: str
    """The agent's own name of it."""
    started: float
    """Seconds since the epoch."""
    attempt: str


@dataclass(frozen=True, slots=True)
class Event:
    """Live progress of an agent."""

    kind: Literal["start", "tool", "text", "warning", "error", "usage"]
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One call as it was answered: a row of memory."""

    attempt: str
    """The attempt that it belongs to; the gateway's own id outside of a run."""
    n: int
    """1 for the first of the attempt."""
    session: str
    kind: str
    tier: Tier | None
    """The tier that answered; None when the tier map does not know the model."""
    asked: str
    """The model that the agent asked for."""
    answered: str
    """The model that answered, as the response names it, else as it was sent."""
    status: int
    """HTTP status; 0 when no whole answer came."""
    usage: Usage | None
    """None when the answer does not tell."""
    cost: float | None
    """USD by the model that answered; None when unknown."""
    reason: str
    started: float
    """Seconds since the epoch."""
    seconds: float
    """From the request to the end of the answer, by a monotonic clock."""


@dataclass(frozen=True, slots=True)
class RoutedRun:
    """An attempt with a verdict, for comparing routed with un-routed ones."""

    dimension: str
    profile: str
    routed: bool
    """Whether a call of it went to another model than the one asked for."""
    passed: bool
    cost: float | None
    """USD; None when unknown."""


def _sum(costs: Iterable[float | None]) -> float | None:
    """The sum, or None when one of them is."""
    known = list(costs)
    return None if None in known else math.fsum(cost for cost in known if cost is not None)


def to_json(noun: Any) -> Any:
    """Plain JSON data of a noun: dicts, lists, numbers, strings, None."""
    if dataclasses.is_dataclass(noun) and not isinstance(noun, type):
        return {f.name: to_json(getattr(noun, f.name)) for f in dataclasses.fields(noun)}
    if isinstance(noun, Mapping):
        return {str(k): to_json(v) for k, v in noun.items()}
    if isinstance(noun, (list, tuple)):
        return [to_json(v) for v in noun]
    return str(noun) if isinstance(noun, Path) else noun


def from_json(kind: type[T], data: Any) -> T:
    """The noun of `kind` from `to_json` data; unknown keys are ignored, missing take defaults."""
    return typing.cast(T, _revive(kind, data))


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _revive(kind: Any, data: Any) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if data is None:
        return None
    if origin in (typing.Union, types.UnionType):
        return _revive(next(a for a in args if a is not types.NoneType), data)
    if origin is tuple:
        each = args[:1] * len(data) if args[-1] is Ellipsis else args
        return tuple(_revive(a, v) for a, v in zip(each, data, strict=True))
    if origin is Mapping:
        return {k: _revive(args[1], v) for k, v in data.items()}
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast(Any, kind))
        known = [f.name for f in dataclasses.fields(kind) if f.name in data]
        return typing.cast(Any, kind)(**{n: _revive(hints[n], data[n]) for n in known})
    return Path(data) if kind is Path else data
