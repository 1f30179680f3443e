"""The spool becomes memory: each turn that has ended is one outcome, once."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from acr import loop, settings
from acr.agents import Report, prices, sessions
from acr.agents.sessions import Ran, Told, Turn
from acr.errors import AcrError
from acr.files import replace_file
from acr.nouns import Attempt, Outcome, Profile, Repository, SessionTurn, Task, Usage, Verdict
from acr.sessions import advice, arms, evidence, followups, judge, spool, turns
from acr.sessions.spool import Note
from acr.sessions.turns import Heard
from acr.settings import Settings

if TYPE_CHECKING:
    from acr.context.embedding import Embedder
    from acr.memory.store import Memory

__all__ = ["Ingested", "ingest"]

PATIENCE = 10.0
"""Seconds after a turn's end that its agent gets to write its files."""
TICK = 0.1
"""Seconds between two looks at them."""
TELLING = ("claude", "qwen")
"""Agents whose hooks of commands that failed are others than those of commands that did not."""


@dataclass
class Ingested:
    """What came of it."""

    stored: int = 0
    """Turns that are outcomes now."""
    lowered: int = 0
    """Outcomes that a complaint in the next prompt lowered."""
    waiting: int = 0
    """Turns that have not ended."""
    problems: list[str] = field(default_factory=list)


def ingest(config: Settings, progress: Callable[[str], None] = lambda _: None) -> Ingested | None:
    """Deals with all that has been noted; None when another process is at it.

    A kill loses and doubles nothing: notes are deleted after what they tell is stored, and a
    turn that was stored is known by its id. Raises AcrError, with the notes kept.
    """
    made: Ingested | None = None
    while made is None or spool.waiting():
        with spool.alone() as alone:
            if not alone:
                return made
            made = made or Ingested()
            _once(config, progress, made)
    return made


def _once(config: Settings, progress: Callable[[str], None], made: Ingested) -> None:
    taken = spool.take()
    notes = spool.read(taken)
    ended, at_work = (list(filter(_is_a_persons, t)) for t in turns.gather(notes, time.time()))
    if ended or at_work:
        with loop.open_memory(config) as memory:
            work = _Work(config, memory, progress, made, [*ended, *at_work])
            for heard in at_work:
                with contextlib.suppress(AcrError):  # the commit has to do
                    judge.begin(heard, config)
            for heard in ended:
                work.store(heard)
            for heard in (*ended, *at_work):
                work.follow(heard.prompt)
            advice.write(memory, judge.roots(config))
    spool.keep([note for heard in at_work for note in heard.notes], taken)
    made.waiting = len(at_work)
    note = {"time": time.time(), "stored": made.stored, "problems": made.problems[-20:]}
    replace_file(settings.folder("logs") / "ingest.json", json.dumps(note) + "\n")


class _Work:
    """What storing turns needs."""

    def __init__(
        self,
        config: Settings,
        memory: Memory,
        progress: Callable[[str], None],
        made: Ingested,
        heard: Sequence[Heard],
    ) -> None:
        self.config, self.memory, self.progress = config, memory, progress
        self.made, self.heard = made, heard

    @cached_property
    def embedder(self) -> Embedder:
        """Loaded once."""
        from acr.context.embedding import load

        return load(self.config.embedding)

    @cached_property
    def profiles(self) -> Sequence[Profile]:
        """All, for their names and prices."""
        from acr.agents.profiles import load_all

        return tuple(load_all().values())

    def store(self, heard: Heard) -> None:
        """The turn as an outcome, unless it is known, or no person asked for anything."""
        from acr.context.dimension import is_noise

        said = _said(heard.prompt)
        if self.memory.has_turn(heard.id) or is_noise(said):
            return
        repository = self._repository(heard.prompt.text("cwd"))
        task = loop.task_in(repository, said, self.config, self.embedder)
        task = replace(task, id=heard.id[:10], created=heard.prompt.time)
        told = _told(heard)
        attempt = self._attempt(heard, task, told)
        verdict = self._verdict(heard, task, attempt, repository, told)
        prompt = heard.prompt
        turn = SessionTurn(heard.id, prompt.agent, prompt.session, prompt.time, attempt.id)
        self.made.stored += self.memory.add_turn(turn, Outcome(task, None, attempt, verdict))

    def follow(self, prompt: Note) -> None:
        """A complaint lowers the outcome of the turn before."""
        if followups.complains(_said(prompt)):
            changed = self.memory.follow(
                prompt.agent, prompt.session, prompt.time, followups.lowered
            )
            self.made.lowered += changed is not None

    def _repository(self, cwd: str) -> Repository:
        """Where it was; of a folder that is gone only the path is known."""
        from acr.context.repository import find

        with contextlib.suppress(AcrError):
            if cwd:
                return find(Path(cwd), self.config)
        return Repository(Path(cwd), id="", is_git=False)

    def _attempt(self, heard: Heard, task: Task, told: Told) -> Attempt:
        """What the agent did; its cost is as for runs of acr's own."""
        from acr.memory.redaction import redact

        agent, model = heard.prompt.agent, told.model or heard.model or self._last_model(heard)
        profile = arms.profile(self.profiles, agent, model, told.effort)
        usage = sum(told.by_model.values(), Usage()) if told.by_model else None
        report = Report("done", model=model or None, usage=usage, cost=told.cost)
        cost, source = prices.charge(profile, replace(report, by_model=told.by_model))
        return Attempt(
            id=heard.id[10:],
            task=task.id,
            decision="",
            profile=profile.name,
            agent=agent,
            model=model or None,
            status=heard.status or "aborted",
            started=heard.prompt.time,
            duration=max(0.0, heard.ended - heard.prompt.time),
            error="" if heard.status == "done" else "the turn did not come to its end",
            usage=usage,
            cost=cost,
            cost_source=source,
            session=heard.prompt.session,
            message=redact(heard.message),
        )

    def _last_model(self, heard: Heard) -> str:
        """The model of the session's turn before."""
        same = (heard.prompt.agent, heard.prompt.session)
        found = (m for turn, _, m in self.memory.turns(200) if (turn.agent, turn.session) == same)
        return next(found, "")

    def _verdict(
        self, heard: Heard, task: Task, attempt: Attempt, repository: Repository, told: Told
    ) -> Verdict:
        if heard.status != "done":
            return Verdict("unverified", 0.0, reason=attempt.error)
        folder = loop.run_folder(task.id)
        others = [*self.heard, *(h for part in turns.gather(spool.peek(), 0.0) for h in part)]
        try:
            return judge.judged(
                heard,
                task,
                attempt,
                repository,
                acted=told.acted if told.by_model else -math.inf,
                others=others,
                config=self.config,
                folder=folder,
                progress=self.progress,
            )
        except AcrError as e:
            if not isinstance(e, judge.RefusedError):
                self.made.problems.append(f"{repository.root}: {e}")
                self.progress(str(e))
            return evidence.ruled(told.ran or _ran(heard), repository.test, str(e))
        finally:
            _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    if not any(path.is_file() for path in folder.rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def _said(prompt: Note) -> str:
    """What the person said; opencode quotes a prompt that came by the command line."""
    said = prompt.text("prompt").strip()
    quoted = prompt.agent == "opencode" and len(said) > 1 and said[0] == said[-1] == '"'
    return said[1:-1] if quoted else said


def _is_a_persons(heard: Heard) -> bool:
    """Whether a person asked; opencode's sub-agents have sessions of their own."""
    agent = heard.prompt.agent
    return agent != "opencode" or not sessions.read(agent, _turn(heard)).inner


def _turn(heard: Heard) -> Turn:
    transcript = heard.prompt.text("transcript_path")
    return Turn(
        session=heard.prompt.session,
        start=heard.prompt.time,
        end=heard.next,
        id=heard.prompt.text("turn_id"),
        transcript=Path(transcript) if transcript else None,
        message=heard.message,
    )


def _told(heard: Heard) -> Told:
    """What the agent's files say, once they are complete, or nobody will complete them."""
    while True:
        told = sessions.read(heard.prompt.agent, _turn(heard))
        if told.complete or time.time() > heard.ended + PATIENCE:
            break
        time.sleep(TICK)
    return told if told.by_model else replace(told, by_model=_counted(heard))


def _counted(heard: Heard) -> dict[str, Usage]:
    """The tokens that hooks were told of, for an agent that left no file."""
    sums: dict[str, Usage] = {}
    for note in heard.notes:
        if note.kind == "request":
            usage = sessions.tokens(note.data.get("usage"))
            model = note.text("model")
            sums[model] = sums.get(model, Usage()) + usage
    return sums


def _ran(heard: Heard) -> list[Ran]:
    """The commands that hooks were told of, for an agent that left no file."""
    return [Ran(note.text("command"), _exit_code(note)) for note in heard.of("tool")]


def _exit_code(note: Note) -> int | None:
    told = note.data.get("exit")
    if isinstance(told, int):
        return told
    return int(note.data.get("failed") is True) if note.agent in TELLING else None
