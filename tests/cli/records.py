"""Makes outcomes for tests of commands that read memory."""

from __future__ import annotations

import time
from collections.abc import Iterable

from acr import settings
from acr.loop import open_memory
from acr.nouns import (
    Attempt,
    Candidate,
    Decision,
    Outcome,
    Signal,
    Task,
    TestDiff,
    Usage,
    Verdict,
    VerdictStatus,
)


def task(run: str = "aaaa000001", dimension: str = "bug_fixing", prompt: str = "fix it") -> Task:
    """A task without a vector, asked a minute and a half ago."""
    return Task(
        id=run,
        created=time.time() - 90,
        prompt=prompt,
        dimension=dimension,
        confidence=0.8,
        runner_up=None,
        language="python",
        difficulty=0.3,
        repository="repo-1",
        root="/home/user/project",
    )


def decision(asked: Task, number: int = 0, profile: str = "codex-sol") -> Decision:
    """A decision for `profile`; its id follows from the task and the number."""
    candidate = Candidate(profile, "codex", f"model-of-{profile}", 0.7, 3.0, 0.1, 0.6, 0.9)
    return Decision(
        id=f"d{number}{asked.id}",
        task=asked.id,
        created=asked.created,
        chosen=profile,
        candidates=(candidate,),
        votes=(),
        neighbours=(),
        rules=(),
        explored=False,
        epsilon=(1.0, -0.1),
        seed=1,
        snapshot="s",
    )


def outcome(
    asked: Task,
    status: VerdictStatus,
    *,
    number: int = 0,
    profile: str = "codex-sol",
    cost: float | None = 0.25,
) -> Outcome:
    """One try at a task."""
    chosen = decision(asked, number, profile)
    attempt = Attempt(
        id=f"t{number}{asked.id}",
        task=asked.id,
        decision=chosen.id,
        profile=profile,
        agent="codex",
        model=f"model-of-{profile}",
        status="done",
        started=asked.created + number,
        duration=10.0,
        exit_code=0,
        usage=Usage(input=1200, cached_input=300, output=40, requests=2),
        cost=cost,
        cost_source="price table" if cost is not None else "",
    )
    score = 1.0 if status == "pass" else 0.0
    verdict = Verdict(
        status,
        score,
        (Signal("tests", score, 0.9, "1 fixed", "verify/tests.log"),),
        TestDiff(fixed=("tests/test_a.py::test_one",), passed=3),
        {"engine": "bwrap", "enforced": {"network": "none", "cpus": None}},
        "1 test fixed",
        changed=("src/a.py",),
        strength=0.0 if status == "unverified" else 1.0,
    )
    return Outcome(asked, chosen, attempt, verdict)


def remember(outcomes: Iterable[Outcome]) -> None:
    """Stores outcomes in the memory of ACR_HOME."""
    with open_memory(settings.load()) as memory:
        for each in outcomes:
            memory.add_outcome(each)
