"""Makes nouns for tests of memory."""

from __future__ import annotations

import math
import random
from typing import Any

from acr.nouns import Attempt, Decision, Outcome, Task, Usage, Verdict, VerdictStatus

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
        "embedding": vector(hash(name) % 1000),
        "embedder": EMBEDDER,
    }
    return Task(**{**base, **changes})


def outcome(
    of: Task,
    attempt: str = "",
    status: VerdictStatus = "pass",
    profile: str = "codex-a",
    cost: float | None = 0.5,
) -> Outcome:
    """An outcome of a task; the attempt's id is the task's with `attempt` behind it."""
    decision = Decision(
        id=f"d-{of.id}{attempt}",
        task=of.id,
        created=1000.0,
        chosen=profile,
        candidates=(),
        votes=(),
        neighbours=(),
        rules=(),
        explored=False,
        epsilon=(1.0, -0.1),
        seed=1,
        snapshot="0",
    )
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
    verdict = Verdict(status, 1.0 if status == "pass" else 0.0, strength=strength)
    return Outcome(of, decision, done, verdict)
