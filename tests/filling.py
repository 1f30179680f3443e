"""Fills a memory with many outcomes fast: python -m tests.filling N [HOME] [--models N]

Rows are made from one real outcome and written at once; sums are added up at the end.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

from acr.memory import statistics
from acr.memory.rows import bind, plain, to_row
from acr.memory.store import Memory, _outcome_rows
from acr.nouns import DIMENSIONS
from tests.memory.makers import decided, outcome, task

DAYS = 120
FAMILIES = ("gpt", "claude", "gemini", "qwen", "kimi", "glm")
TABLES = ("tasks", "decisions", "attempts", "verdicts", "figures")
PROMPTS = (
    "fix the failing test", "add pagination to the API", "why is the cache never hit?",
    "rename total to total_price everywhere", "write tests for the parser",
    "make the import twice as fast without changing what it returns",
)  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "'\"><style>*{display:none}</style> {{ 7*7 }} {% raw %} ]]> --> $x_1$",
    "\u202eright to left\u202c مرحبا بالعالم שלום עולם",
    "\x00\x1b[31mred\x1b[0m\x07\r\n\ud800",
    "x" * 1_000_000,
    "a" + "\u0300" * 300,
)
"""Prompts and names of models that try to be more than text."""

Arm = tuple[str, str, float, float]
"""(model, profile, ability, USD of a try)"""


def fill(
    memory: Memory,
    n: int,
    *,
    models: int = 12,
    days: float = DAYS,
    now: float | None = None,
    names: tuple[str, ...] = (),
    prompts: tuple[str, ...] = PROMPTS,
    seed: int = 0,
) -> None:
    """Stores n outcomes, the same for the same arguments; a tenth of the tries are further ones.

    Models differ in ability and price; `names` are the first ones' names. A few costs are unknown
    and a few attempts unverified.
    """
    now = time.time() if now is None else now
    rng = random.Random(seed)
    arms = _arms(rng, names, models)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    template = _rows_of_one()
    of: dict[str, Any] = {}
    for k in range(n):
        arm = arms[min(int(rng.expovariate(5 / len(arms))), len(arms) - 1)]
        started = now - 60 - 86_400 * days * (1 - (k + 1) / n)
        if not of or rng.random() < 0.9:  # else another try at the same task
            of = {
                "id": f"{rng.getrandbits(40):010x}",
                "created": started - 1,
                "prompt": prompts[k % len(prompts)],
                "dimension": DIMENSIONS[min(int(rng.expovariate(0.4)), 9)],
                "repository": f"repository-{rng.randrange(5)}",
            }
            tables["tasks"].append(template["tasks"] | of)
        for name, row in _try(rng, k, of, arm, started).items():
            tables[name].append(template[name] | row)
    with memory.writing():
        for name, found in tables.items():
            _insert(memory.db, name, found)
        statistics.rebuild(memory.db)


def _arms(
    rng: random.Random, names: tuple[str, ...], models: int
) -> list[tuple[str, str, float, float]]:
    usual = (f"{FAMILIES[k % len(FAMILIES)]}-{1 + k // len(FAMILIES)}" for k in range(models))
    known = [*names, *usual][: max(1, models)]
    return [
        (name, f"arm-{k}", rng.uniform(0.3, 0.8), 0.01 * 1.12 ** rng.uniform(0, 40))
        for k, name in enumerate(known)
    ]


def _try(
    rng: random.Random, k: int, of: dict[str, Any], arm: Arm, at: float
) -> dict[str, dict[str, Any]]:
    """Table -> what differs in the row of one attempt."""
    model, profile, ability, price = arm
    won = "pass" if rng.random() < ability else "fail"
    status = "unverified" if rng.random() < 0.08 else won
    cost = None if rng.random() < 0.03 else price * rng.lognormvariate(0, 0.6)
    verdict = {"status": status, "score": float(status == "pass")}
    weight, attempt, decision = float(status != "unverified"), f"a{k:09x}", f"d{k:09x}"
    shared = {
        "profile": profile,
        "agent": "codex",
        "model": model,
        "started": at,
        "duration": rng.lognormvariate(4, 0.7),
        "cost": cost,
        "task": of["id"],
    }
    where = {"dimension": of["dimension"], "repository": of["repository"]}
    return {
        "decisions": {"id": decision, "task": of["id"], "created": at - 1, "chosen": profile},
        "attempts": {"id": attempt, "decision": decision} | shared,
        "verdicts": {"attempt": attempt, "strength": weight} | verdict,
        "figures": {"attempt": attempt, "weight": weight, "model": plain(model)}
        | {name: value for name, value in shared.items() if name != "model"}
        | where
        | verdict,
    }


def _rows_of_one() -> dict[str, dict[str, Any]]:
    """Table -> the row of one outcome."""
    one = outcome(task("t", embedding=None, embedder=None))
    asked = to_row(one.task)
    asked.pop("embedding")
    return {"tasks": asked, "decisions": to_row(decided(one.task))} | _outcome_rows(one)


def _insert(db: Any, table: str, found: list[dict[str, Any]]) -> None:
    if found:
        columns, marks = ", ".join(found[0]), ", ".join("?" * len(found[0]))
        rows = [tuple(bind(value) for value in row.values()) for row in found]
        db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def main() -> None:
    """Fills the memory of a home; it must be empty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", type=int)
    parser.add_argument("home", type=Path)
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--hostile", action="store_true", help="prompts and names are, too")
    asked = parser.parse_args()
    start = time.perf_counter()
    odd: dict[str, Any] = {"names": HOSTILE, "prompts": HOSTILE} if asked.hostile else {}
    asked.home.mkdir(parents=True, exist_ok=True)
    with Memory.open(asked.home / "memory.db") as memory:
        fill(memory, asked.n, models=asked.models, **odd)
    print(f"{asked.n} outcomes in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
