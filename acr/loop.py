"""The loop: context -> orchestrator -> agents -> verifier -> memory, until it passes."""

from __future__ import annotations

import contextlib
import difflib
import secrets
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from acr import agents, git, lock, settings
from acr.errors import (
    AcrError,
    AgentError,
    BudgetError,
    NothingAllowedError,
    SandboxError,
    SettingsError,
)
from acr.nouns import (
    Attempt,
    Decision,
    Event,
    Outcome,
    Profile,
    Repository,
    Snapshot,
    Step,
    Task,
    Tried,
    Verdict,
)
from acr.orchestrator.rules import Pins
from acr.settings import Settings

if TYPE_CHECKING:
    from acr.context.dimension import Reader
    from acr.context.embedding import Embedder
    from acr.memory.spending import Call
    from acr.memory.store import Memory
    from acr.verifier.signals.judge import Judge, Said
    from acr.verifier.verdict import Baseline

UNKNOWN_JUDGE = 0.05
"""USD set aside for an answer of a judge whose price nobody knows."""

__all__ = [
    "Ask",
    "Observer",
    "Result",
    "ask",
    "choose",
    "open_memory",
    "reader",
    "run",
    "run_folder",
    "task_in",
]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user wants done this once; how far acr may go is in Settings."""

    prompt: str
    cwd: Path
    pins: Pins = field(default_factory=Pins)
    dimension: str | None = None
    """Overrides the classifier."""
    verify: bool = True
    interactive: bool = False
    """Opens the agent's own screen instead of running it to its end."""
    agent_args: tuple[str, ...] = ()
    seed: int | None = None
    resume: Attempt | None = None
    """Goes on in this attempt's session."""
    gateway: bool = False
    """Routes each model call of the agent by itself."""


class Observer(Protocol):
    """Who watches a run: the terminal, or nobody."""

    def decided(self, task: Task, decision: Decision, profile: Profile) -> None:
        """Before each attempt; the decision is already stored."""

    def event(self, event: Event) -> None:
        """Live progress of the agent."""

    def verifying(self, text: str) -> None:
        """Live progress of the verifier."""

    def judged(self, outcome: Outcome) -> None:
        """After each attempt; the outcome is already stored."""

    def warned(self, text: str) -> None:
        """Something that the user should know."""

    def confirm(self, text: str) -> bool:
        """Whether to go on in spite of `text`; False where nobody can answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    task: Task
    outcomes: tuple[Outcome, ...]
    stopped: str = ""
    """Why no further profile was tried; empty when the last verdict ended the run."""


def run(wanted: Ask, config: Settings, observer: Observer) -> Result:
    """Works on one ask until it passes, nothing is left to try, or the budget is spent.

    Every outcome is in memory before the observer hears of it. Raises AcrError when the
    work cannot start, and KeyboardInterrupt, with the attempt stored, when it is stopped.
    """
    from acr.context.embedding import load

    with open_memory(config) as memory:
        task, repository = ask(
            wanted.prompt, wanted.cwd, config, load(config.embedding), wanted.dimension
        )
        if repository.capped and not repository.is_git:
            raise AcrError(
                f"{repository.root} is no git repository and holds more than {repository.files:,} "
                "files, too many to copy before a run; go to the project's folder, or git init here"
            )
        with lock.hold(repository.root, wanted.prompt):
            memory.add_task(task)
            with _Run(wanted, config, observer, memory, task, repository) as tries:
                return tries.until_done()


def reader(config: Settings) -> Reader:
    """Who says what kind a prompt is: the shipped model, else the nearest descriptions.

    The model is corrected where `acr calibrate` fitted it to prompts of a named kind.
    """
    from acr.context.dimension import Nearest
    from acr.context.embedding import load
    from acr.orchestrator import calibration, model

    try:
        found = model.load()
    except AcrError:  # acr doctor says why
        return Nearest(load(config.embedding))
    known = calibration.load()
    return calibration.Calibrated(found, known) if known.reader == found.id else found


def ask(
    prompt: str, cwd: Path, config: Settings, embedder: Embedder, dimension: str | None = None
) -> tuple[Task, Repository]:
    """Context: what is asked, and where."""
    from acr.context.repository import find

    repository = find(cwd, config)
    return task_in(repository, prompt, config, embedder, dimension), repository


def task_in(
    repository: Repository,
    prompt: str,
    config: Settings,
    embedder: Embedder,
    dimension: str | None = None,
) -> Task:
    """A new task in a repository."""
    from acr.context.dimension import classify, human_ask

    text = human_ask(prompt)
    kind = classify(text, reader(config))
    return Task(
        id=secrets.token_hex(5),
        created=time.time(),
        prompt=text,
        dimension=dimension or kind.dimension,
        confidence=1.0 if dimension else kind.confidence,
        runner_up=None if dimension else kind.runner_up,
        language=kind.language or next((name for name, _ in repository.languages), None),
        difficulty=kind.difficulty,
        repository=repository.id,
        root=str(repository.root),
        embedding=embedder.embed([text])[0],
        embedder=embedder.id,
        shares={} if dimension else _kept(kind.scores),
    )


def _kept(shares: Mapping[str, float]) -> dict[str, float]:
    """The shares that are worth a place in memory."""
    return {name: round(share, 4) for name, share in shares.items() if share >= 0.01}


def choose(
    task: Task,
    memory: Memory,
    config: Settings,
    *,
    pins: Pins | None = None,
    tried: Sequence[Tried] = (),
    budgeted: bool = True,
    seed: int | None = None,
) -> tuple[Decision, Profile]:
    """Orchestrator: which of the installed agents' profiles, within the budget if `budgeted`.

    Raises NothingAllowedError, of which BudgetError is one.
    """
    from acr.agents import prices
    from acr.agents.profiles import load_all
    from acr.memory.spending import Purse
    from acr.orchestrator import calibration
    from acr.orchestrator.policy import decide
    from acr.orchestrator.rules import with_pinned_model

    pins = pins or Pins()
    known = load_all()
    _check_caps(config, known)
    profiles = with_pinned_model(tuple(known.values()), pins)
    present = {name: agents.installed(name) for name in {p.agent for p in profiles}}
    ready = [p for p in profiles if present[p.agent]] or list(profiles)
    priced = prices.listed(ready)
    rooms = Purse(memory, config.budget, task).rooms() if budgeted else ()
    (reading,) = reader(config).scores([task.prompt])  # it remembers what it has read
    decision = decide(
        task,
        ready,
        memory,
        config,
        prices=priced,
        pins=pins,
        reading=reading,
        tried=tried,
        rooms=rooms,
        seed=seed,
        calibration=calibration.load(),
    )
    return decision, next(p for p in ready if p.name == decision.chosen)


def _check_caps(config: Settings, known: Collection[str]) -> None:
    """Raises SettingsError for a cap of a profile that is none: it would hold nothing."""
    for name in config.budget.profiles:
        if name not in known and "/" not in name:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "see acr profiles"
            raise SettingsError(f"config.toml: budget.profiles.{name}: no such profile; {hint}")


def open_memory(config: Settings) -> Memory:
    """Memory in acr's home, made on first use."""
    from acr.memory.store import Memory

    return Memory.open(
        settings.folder() / "memory.db", config.embedding.model, config.memory.capacity
    )


def run_folder(task: str) -> Path:
    """Where transcripts, logs and the patch of a run are kept; private to the user."""
    return settings.folder("runs", task)


class _Run:
    """The tries of one run; a context that tidies up the snapshots when it ends."""

    def __init__(
        self,
        wanted: Ask,
        config: Settings,
        observer: Observer,
        memory: Memory,
        task: Task,
        repository: Repository,
    ) -> None:
        from acr.memory.spending import Purse

        self.wanted, self.config, self.observer = wanted, config, observer
        self.memory, self.task, self.repository = memory, task, repository
        self.folder = run_folder(task.id)
        self.outcomes: list[Outcome] = []
        self.purse = Purse(memory, config.budget, task)
        self.beyond = ""
        """Why the user was asked to go on beyond the budget, and did; empty otherwise."""
        self.steps: tuple[Step, ...] = ()
        """Of the last attempt, where it ran through the gateway."""
        self._open = contextlib.ExitStack()

    def __enter__(self) -> _Run:
        store = self.folder / "snapshot.git"
        self._open.callback(shutil.rmtree, store, ignore_errors=True)
        self.before = git.snapshot(self.repository.root, store)
        self.baseline, self.refused = self._prepare()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def until_done(self) -> Result:
        """One attempt after the other: the next profile gets the verifier's findings."""
        while True:
            try:
                outcome = self._next()
            except NothingAllowedError as e:
                if not self.outcomes:
                    raise
                return Result(self.task, tuple(self.outcomes), str(e))
            self.observer.judged(outcome)
            if outcome.attempt.status == "aborted":
                raise KeyboardInterrupt
            if not self._escalates(outcome):
                return Result(self.task, tuple(self.outcomes))
            if len(self.outcomes) >= self.config.agents.max_tries:
                return Result(self.task, tuple(self.outcomes), "the limit of tries is reached")

    def _next(self) -> Outcome:
        """One try. Where another run has taken what was left meanwhile, it is decided anew."""
        while True:
            decision, profile = self._decide()
            attempt = secrets.token_hex(5)
            over = decision.budget == "exceeded"
            with contextlib.ExitStack() as stack:
                try:
                    call = self._call(attempt, decision, profile)
                    reservation = stack.enter_context(self.purse.reserved(call, over=over))
                except BudgetError:
                    continue
                self.memory.add_decision(decision)
                self.observer.decided(self.task, decision, profile)
                attempted = self._attempt(attempt, decision, profile, reservation.cap)
                reservation.settle(attempted.cost)
            return self._tried(decision, attempted)

    def _call(self, attempt: str, decision: Decision, profile: Profile) -> Call:
        """What a try is expected to cost; a guess where nobody knows, which is said."""
        from acr.memory.spending import Call
        from acr.orchestrator.costs import guess

        cost = next(c.cost for c in decision.candidates if c.profile == decision.chosen)
        expected = guess(decision, profile) if cost is None else cost
        if cost is None and self.purse.rooms():
            self.observer.warned(
                f"nobody knows what {profile.name} costs; ${expected:.2f} of the budget is set "
                "aside for it, a guess (acr prices)"
            )
        capped = self._capped(profile) and not self.wanted.interactive
        return Call(attempt, profile.name, "try", expected, cost is not None, profile.plan, capped)

    def _prepare(self) -> tuple[Baseline | None, str]:
        """The baseline, or why there is none."""
        if not self.wanted.verify:
            return None, "not verified, as asked"
        from acr.memory.redaction import redact
        from acr.verifier.verdict import prepare

        cache = settings.folder("cache", "baselines")
        try:
            made = prepare(
                self.repository,
                self.before,
                self.config.verifier,
                self.folder,
                cache,
                redact,
                judge=self._opinion(),
            )
        except SandboxError as e:
            self.observer.warned(str(e))
            return None, str(e)
        return self._open.enter_context(made), ""

    def _decide(self) -> tuple[Decision, Profile]:
        """Within the budget, or beyond it where the user says so."""
        if not self.beyond:
            try:
                return self._chosen(budgeted=True)
            except BudgetError as e:
                if self.config.budget.at_cap != "ask" or not self.observer.confirm(str(e)):
                    raise
                self.beyond = str(e)
        decision, profile = self._chosen(budgeted=False)
        words = (*decision.rules, f"{self.beyond}; you said to go on")
        return replace(decision, rules=words, budget="exceeded"), profile

    def _chosen(self, *, budgeted: bool) -> tuple[Decision, Profile]:
        resume = self.wanted.resume
        pins = replace(self.wanted.pins, profile=resume.profile) if resume else self.wanted.pins
        return choose(
            self.task,
            self.memory,
            self.config,
            pins=pins,
            tried=[_tried(outcome) for outcome in self.outcomes],
            budgeted=budgeted,
            seed=self.wanted.seed,
        )

    def _attempt(
        self, attempt: str, decision: Decision, profile: Profile, cap: float | None
    ) -> Attempt:
        """Agents: runs the real agent, which stops at `cap` (USD) where it can."""
        from acr.memory.redaction import redact

        resume = self.wanted.resume
        request = agents.Request(
            attempt=attempt,
            task=self.task.id,
            decision=decision.id,
            prompt=self._prompt(),
            profile=profile,
            cwd=self.repository.root,
            autonomy=self.config.agents.autonomy,
            timeout=self.config.agents.timeout,
            run_dir=self.folder / attempt,
            args=self.wanted.agent_args,
            resume=resume.session if resume else None,
            budget=cap if self._capped(profile) else None,
            redact=redact,
        )
        request.run_dir.mkdir(mode=0o700)
        agent = agents.get(profile.agent)
        if self.wanted.gateway:
            return self._routed(agent, request)
        return self._ran(agent, request)

    def _ran(self, agent: agents.Agent, request: agents.Request) -> Attempt:
        from acr.agents import process

        if self.wanted.interactive:
            return process.run_interactive(agent, request)
        return process.run(agent, request, self.observer.event)

    def _routed(self, agent: agents.Agent, request: agents.Request) -> Attempt:
        """Runs the agent through a gateway of its own, which counts what it uses."""
        from acr.gateway.attempt import routed
        from acr.steps.learning import credit

        known = credit(self.memory.routed_runs())
        with routed(agent, request, self.config.gateway, self.observer.event, known) as way:
            attempt = way.finish(self._ran(agent, way.request))
            self.steps = way.steps
        return attempt

    def _capped(self, profile: Profile) -> bool:
        """Whether an attempt stops at its budget: the agent or the gateway sees to it."""
        routed = self.wanted.gateway and isinstance(agents.get(profile.agent), agents.Routable)
        return routed or agents.capped(profile)

    def _opinion(self) -> Judge | None:
        """Who rates what no test can check, if anybody. Raises SettingsError."""
        from acr.agents.profiles import load_all
        from acr.orchestrator import llama
        from acr.verifier.signals.judge import Judge, Said

        name = self.config.verifier.judge
        if not name:
            return None
        if name.endswith(".gguf"):
            model = Path(name).expanduser()
            llama.check(model)
            ask = partial(llama.answer, model)
            return Judge(model.name, lambda prompt, _: Said(ask(prompt), 0.0), llama.CAP)
        profile = load_all().get(name)
        if profile is None:
            raise SettingsError(f"verifier.judge: no profile called {name!r}; see acr profiles")
        return Judge(name, partial(self._asked, profile))

    def _asked(self, profile: Profile, prompt: str, folder: Path) -> Said:
        """What the agent of `profile` replies, asked in a copy of the tree."""
        from acr.agents import prices, process
        from acr.memory.redaction import redact
        from acr.memory.spending import Call
        from acr.verifier.signals.judge import Said, expected

        name = f"judge-{secrets.token_hex(5)}"
        price = prices.price(profile)
        usual = self.purse.judged(profile.name)
        known = price is not None or usual is not None
        guess = prices.cost(expected(prompt), price) if price else UNKNOWN_JUDGE
        capped = agents.capped(profile)
        call = Call(name, profile.name, "judge", usual or guess, known, profile.plan, capped)
        with self.purse.reserved(call, over=bool(self.beyond)) as reservation:
            request = agents.Request(
                attempt=name,
                task=self.task.id,
                decision="",
                prompt=prompt,
                profile=profile,
                cwd=folder,
                autonomy="ask",
                timeout=self.config.agents.timeout,
                run_dir=self.folder / name,
                budget=reservation.cap if capped else None,
                redact=redact,
            )
            attempt = process.run(agents.get(profile.agent), request, lambda _: None)
            reservation.settle(attempt.cost)
        if attempt.status == "aborted":
            raise KeyboardInterrupt
        if attempt.status != "done":
            raise AgentError(attempt.error or f"ended as {attempt.status}")
        return Said(attempt.message, attempt.cost)

    def _tried(self, decision: Decision, attempt: Attempt) -> Outcome:
        """The outcome, stored; what was paid for is kept even if judging it breaks off."""
        verdict = Verdict("unverified", 0.0, reason="verification was broken off")
        try:
            verdict = self._judge(attempt)
        finally:
            outcome = Outcome(self.task, decision, attempt, verdict)
            self.memory.add_outcome(outcome)
            if self.steps:
                self.memory.add_steps(self.steps)
            self.outcomes.append(outcome)
        return outcome

    def _prompt(self) -> str:
        """The ask, with the verifier's findings about the try before."""
        if not self.outcomes or not self.outcomes[-1].verdict.findings:
            return self.wanted.prompt
        return (
            f"{self.wanted.prompt}\n\n"
            "Another attempt at this was made; its changes are in the working tree and did not "
            f"pass verification. Findings:\n{self.outcomes[-1].verdict.findings}"
        )

    def _judge(self, attempt: Attempt) -> Verdict:
        """Verifier: acr's post-run hook, then the user's own."""
        from acr.verifier import hooks

        after = git.snapshot(self.repository.root, self.before.git_dir)
        self._keep_patch(after)
        if self.baseline is None:
            changed = tuple(path for _, path in git.changed(self.before, after))
            verdict = Verdict("unverified", 0.0, reason=self.refused, changed=changed)
        else:
            verify = hooks.default()
            verdict = verify(self.baseline, self.task, attempt, after, self.observer.verifying)
        signals, warnings = hooks.post_run(
            self.config.hooks.post_run, attempt, verdict, self.repository.root
        )
        for warning in warnings:
            self.observer.warned(warning)
        return replace(verdict, signals=verdict.signals + signals)

    def _keep_patch(self, after: Snapshot) -> None:
        patch = self.folder / "changes.patch"
        patch.write_bytes(git.diff(self.before, after))
        patch.chmod(0o600)

    def _escalates(self, outcome: Outcome) -> bool:
        """A failed or broken-off try is followed by another; a resumed session is not."""
        if self.wanted.resume or self.wanted.interactive or outcome.verdict.status == "pass":
            return False
        return outcome.verdict.status == "fail" or outcome.attempt.status != "done"


def _tried(outcome: Outcome) -> Tried:
    """What a try that did not pass says about the task: only a verdict on finished work does."""
    told = outcome.verdict.status == "fail" and outcome.attempt.status == "done"
    return Tried(outcome.attempt.profile, outcome.verdict.score if told else None)
