"""Makes nouns for tests of memory."""

from __future__ import annotations

import math
import random
import zlib
from typing import Any

from acr.nouns import (
    Attempt,
    Candidate,
    Decision,
    Neighbour,
    Outcome,
    Signal,
    Step,
    Task,
    TestDiff,
    Usage,
    Verdict,
    VerdictStatus,
    Vote,
)

EMBEDDER = "test/space"


def vector(seed: int, size: int = 384) -> tuple[float, ...]:
    """A repeatable unit vector."""
    rng = random.Random(seed)
    raw = [rng.gauss(0, 1) for _ in range(size)]
    norm = math.sqrt(sum(x * x for x in raw))
    return tuple(x / norm for x in raw)


def near(base: tuple[float, ...], seed: int, noise: float) -> tuple[float, ...]:
    """A unit vector close to `base`."""
    raw = [a + noise * b for a, b in zip(base, vector(seed, len(base)), strict=True)]
    norm = math.sqrt(sum(x * x for x in raw))
    return tuple(x / norm for x in raw)


def task(name: str, **changes: Any) -> Task:
    """A task; its id is `name`."""
    base = {
        "id": name,
        "created": 1000.0,
        "prompt": f"prompt of {name}",
        "dimension": "bug_fixing",
        "confidence": 0.9,
        "runner_up": "code_generation",
        "language": "python",
        "difficulty": 0.5,
        "repository": "repo",
        "root": "/somewhere",
        "embedding": vector(zlib.crc32(name.encode())),
        "embedder": EMBEDDER,
    }
    return Task(**{**base, **changes})


def decided(of: Task, attempt: str = "", profile: str = "codex-a") -> Decision:
    """A decision on a task with everything that a decision holds."""
    return Decision(
        id=f"d-{of.id}{attempt}",
        task=of.id,
        created=1000.0,
        chosen=profile,
        candidates=(Candidate(profile, "codex", "m", 0.7, 3.0, None, 0.6, 0.9),),
        votes=(Vote("prior", {profile: (0.7, 3.0)}, "what the benchmark says"),),
        neighbours=(Neighbour("old", "an old prompt", "algorithm", "b", "fail", 0.0, None, 0.6),),
        rules=("pool allows codex",),
        explored=True,
        epsilon=(1.0, -0.1),
        seed=2**70,
        snapshot="0",
        tried=("claude-b",),
    )


def outcome(
    of: Task,
    attempt: str = "",
    status: VerdictStatus = "pass",
    profile: str = "codex-a",
    cost: float | None = 0.5,
) -> Outcome:
    """An outcome of a task; the attempt's id is the task's with `attempt` behind it."""
    decision = decided(of, attempt, profile)
    done = Attempt(
        id=f"a-{of.id}{attempt}",
        task=of.id,
        decision=decision.id,
        profile=profile,
        agent=profile.split("-", maxsplit=1)[0],
        model="m",
        status="done",
        started=1000.0,
        duration=2.0,
        usage=Usage(input=10, output=5, requests=1),
        cost=cost,
        session="s",
    )
    strength = 0.0 if status == "unverified" else 1.0
    score = 1.0 if status == "pass" else 0.0
    verdict = Verdict(
        status,
        score,
        signals=(Signal("tests", score, 1.0, "1 of 1 passed"),),
        tests=TestDiff(fixed=("test_a",), passed=1),
        sandbox={"engine": "none", "network": None},
        changed=("src/a.py",),
        strength=strength,
    )
    return Outcome(of, decision, done, verdict)


def step(attempt: str, n: int = 1, **changes: Any) -> Step:
    """A model call of an attempt."""
    base = {
        "attempt": attempt,
        "n": n,
        "session": "thread",
        "kind": "edit",
        "tier": "minimal",
        "asked": "big",
        "answered": "tiny",
        "status": 200,
        "usage": Usage(input=10, output=5, requests=1),
        "cost": 0.25,
        "reason": "a small edit",
        "started": 1000.0,
        "seconds": 1.5,
    }
    return Step(**{**base, **changes})
