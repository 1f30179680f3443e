"""What hooks may say at once: a small table, worked out from memory after each ingest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from acr import hooksfile, settings
from acr.files import replace_file
from acr.memory.statistics import wilson
from acr.memory.store import Memory
from acr.nouns import Statistic
from acr.orchestrator.benchmark import same_model, spelling

__all__ = ["Choice", "Record", "choices", "line", "records", "write"]

ENOUGH = 3.0
"""Sum of verdict strengths from which on a model's record says anything."""
CHEAPER = 0.5
"""The price, compared with the other's, at which it is enough not to be worse."""
PRICE = 0.1
"""What a dollar takes from a win rate when a sub-agent's model is chosen."""
SESSIONS = 200
"""Latest turns whose model and kind of request hooks know."""
WORDS = {
    "bug_fixing": ("fix", "bug", "crash", "error", "fail", "broken", "exception", "regression"),
    "test_generation": ("write test", "add test", "unit test", "coverage", "test cases"),
    "code_refactoring": ("refactor", "rename", "clean up", "simplify", "extract", "restructure"),
    "code_understanding": ("explain", "how does", "what does", "why ", "where is", "review"),
    "multi_language": ("translate to", "port to", "convert to", "rewrite in"),
    "data_science": ("plot", "dataframe", "pandas", "csv", "dataset", "notebook"),
    "algorithm": ("algorithm", "complexity", "o(n", "dynamic programming", "shortest path"),
    "code_completion": ("complete the", "fill in", "todo", "finish the"),
    "agentic_programming": ("migrate", "whole project", "set up ci", "docker", "upgrade all"),
    "code_generation": ("write a", "add a", "create", "implement", "build a"),
}
"""Words that a hook looks for, as it cannot load a model."""


@dataclass
class Record:
    """How a model has done at one kind of request, in all repositories."""

    model: str
    profile: str
    """The profile of it that was used most."""
    wins: int = 0
    n: int = 0
    """Attempts with a verdict."""
    weight: float = 0.0
    """Sum of their strengths."""
    cost: float = 0.0
    cost_n: int = 0
    """Attempts whose cost is known."""
    most: int = 0

    @property
    def price(self) -> float | None:
        """USD of an attempt, on average; None when unknown."""
        return self.cost / self.cost_n if self.cost_n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the win rate."""
        return wilson(self.wins, self.n)

    def words(self) -> str:
        """`12 of 13 [67-99 %] at $0.05 a try`."""
        low, high = self.interval
        price = "unknown cost" if self.price is None else f"${self.price:.2f} a try"
        return f"{self.wins} of {self.n} [{100 * low:.0f}-{100 * high:.0f} %] at {price}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that a sub-agent gets, and why."""

    model: str
    why: str


Records = Mapping[str, Mapping[str, Record]]
"""Dimension -> model -> its record."""


def records(found: Iterable[Statistic]) -> Records:
    """What memory's sums say of each model."""
    made: dict[str, dict[str, Record]] = {}
    for row in found:
        if not row.model or not row.wins + row.losses:
            continue
        cell = made.setdefault(row.dimension, {})
        record = cell.setdefault(row.model, Record(row.model, row.profile))
        record.wins += row.wins
        record.n += row.wins + row.losses
        record.weight += row.weight
        record.cost += row.cost
        record.cost_n += row.cost_n
        if row.n > record.most:
            record.most, record.profile = row.n, row.profile
    return made


def line(dimension: str, now: Record, others: Iterable[Record]) -> str:
    """One line when another model clearly wins over the one in use; empty when none does.

    Clearly: its interval lies above the other's, or it costs at most half and its interval lies
    above the other's rate. Both need verdicts whose strengths add up to 3.
    """
    better = [r for r in others if r.model != now.model and _wins(r, now)]
    if not better:
        return ""
    best = max(better, key=lambda r: (r.interval[0], -(r.price or 0.0)))
    return (
        f"acr, from measured outcomes: at {dimension} profile {best.profile} ({best.model}) won "
        f"{best.words()}; {now.model}, in use here, {now.words()}."
    )


def _wins(other: Record, now: Record) -> bool:
    if min(other.weight, now.weight) < ENOUGH:
        return False
    low = other.interval[0]
    known = other.price is not None and now.price is not None
    cheap = known and (other.price or 0.0) <= CHEAPER * (now.price or 0.0)
    return low > now.interval[1] or (cheap and low >= now.wins / now.n)


def choices(pool: Sequence[str], known: Records) -> dict[str, Choice]:
    """Dimension -> the pool's model with the best (wins + 1) / (n + 2) less 0.1 per dollar.

    The dimension "" stands for those of which nothing is known.
    """
    made = {"": Choice(pool[0], "the first of the pool; nothing is known yet")} if pool else {}
    for dimension, cell in known.items():
        found = {model: _joined(model, cell.values()) for model in pool}
        if not any(record.n for record in found.values()):
            continue
        best = max(pool, key=lambda model: _worth(found[model]))
        record = found[best]
        why = f"{record.words()} at {dimension}" if record.n else f"untried at {dimension}"
        made[dimension] = Choice(best, why)
    return made


def _worth(record: Record) -> float:
    return (record.wins + 1) / (record.n + 2) - PRICE * (record.price or 0.0)


def _joined(model: str, found: Iterable[Record]) -> Record:
    """The records of a model that the pool may name by an alias, such as haiku."""
    made = Record(model, "")
    for record in found:
        if same_model(model, record.model) or model.lower() in spelling(record.model).split("-"):
            made.wins += record.wins
            made.n += record.n
            made.cost += record.cost
            made.cost_n += record.cost_n
    return made


def write(memory: Memory, roots: Iterable[str]) -> None:
    """Writes cache/advice.json for hooks/acr_hook.py; in `roots` it starts ingest at prompts."""
    known, turns = records(memory.totals()), memory.turns(SESSIONS)
    lines = {
        dimension: {m: said for m, r in cell.items() if (said := line(dimension, r, cell.values()))}
        for dimension, cell in known.items()
    }
    pools = hooksfile.load().pool
    table = {
        "words": WORDS,
        "roots": list(roots),
        "lines": {dimension: said for dimension, said in lines.items() if said},
        "sessions": {t.session: [dimension, model] for t, dimension, model in reversed(turns)},
        "models": {t.agent: model for t, _, model in reversed(turns) if model},
        "subagents": {
            agent: {d: [c.model, c.why] for d, c in choices(pool, known).items()}
            for agent, pool in pools.items()
        },
    }
    replace_file(settings.folder("cache") / "advice.json", json.dumps(table))
