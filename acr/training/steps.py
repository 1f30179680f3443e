"""Fits the model of step kinds to recorded trajectories: `python -m acr.training.steps`.

The data are derived features of public runs (MIT, CC0), no text. Needs acr[bench].
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acr.steps.kind import KINDS, Past, signs

__all__ = ["DATA", "Recorded", "Trajectory", "fit", "load", "main", "pasts"]

DATA = Path(__file__).parent / "data" / "agent_steps.csv.gz"
MODEL = Path(__file__).parent.parent / "data" / "step_kinds.json"
RARE = 8
"""Signs seen less often are left out."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One model call of a recorded trajectory."""

    kind: str
    failed: bool
    """Whether the result before it was an error."""
    size: int
    """Characters of that result."""
    input: int
    """Uncached input tokens."""
    cached: int
    written: int
    output: int
    complete: bool
    """Whether the tokens are known."""
    cost: float | None
    """USD as recorded."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One run of an agent."""

    source: str
    task: str
    steps: tuple[Recorded, ...]

    @property
    def group(self) -> str:
        """The repository where it is known, else the task: what must not be split."""
        return self.task.partition("__")[0]


def load(path: Path = DATA) -> list[Trajectory]:
    """Every recorded trajectory, its steps in order."""
    found: dict[str, list[dict[str, str]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["traj"], []).append(row)
    return [_trajectory(sorted(rows, key=lambda r: int(r["step"]))) for rows in found.values()]


def _trajectory(rows: Sequence[dict[str, str]]) -> Trajectory:
    return Trajectory(rows[0]["source"], rows[0]["task"], tuple(map(_recorded, rows)))


def _recorded(row: dict[str, str]) -> Recorded:
    kind = row["kind_rule"]
    return Recorded(
        kind=kind if kind in KINDS else "summarise",
        failed=row["last_result_error"] == "1",
        size=int(float(row["last_result_len"] or 0)),
        input=int(float(row["input_tokens"] or 0)),
        cached=int(float(row["cache_read"] or 0)),
        written=int(float(row["cache_write"] or 0)),
        output=int(float(row["output_tokens"] or 0)),
        complete=row["usage_complete"] == "True",
        cost=float(row["cost_usd"]) if row["cost_usd"] else None,
    )


def pasts(trajectory: Trajectory) -> list[Past]:
    """What was known before each step."""
    steps = trajectory.steps
    kinds = tuple(s.kind for s in steps)
    return [
        Past(
            kinds[:n],
            step.failed,
            step.size,
            steps[n - 1].output if n and steps[n - 1].complete else None,
        )
        for n, step in enumerate(steps)
    ]


def fit(trajectories: Iterable[Trajectory], strength: float = 0.06) -> dict[str, list[float]]:
    """Sign -> weight per kind: multinomial logistic regression.

    `strength` was chosen for agents that the fit has not seen, at some cost on those it has."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    rows: list[dict[str, int]] = []
    labels: list[int] = []
    for each in trajectories:
        rows += [dict.fromkeys(signs(past), 1) for past in pasts(each)]
        labels += [KINDS.index(step.kind) for step in each.steps]
    counts: dict[str, int] = {}
    for row in rows:
        for sign in row:
            counts[sign] = counts.get(sign, 0) + 1
    rows = [{s: 1 for s in row if counts[s] >= RARE} for row in rows]
    vectors = DictVectorizer()
    model: Any = LogisticRegression(C=strength, max_iter=120, tol=1e-3, fit_intercept=False)
    model.fit(vectors.fit_transform(rows), labels)
    kinds = range(len(KINDS))
    at = {int(label): n for n, label in enumerate(model.classes_)}
    names = vectors.get_feature_names_out()
    columns = {sign: model.coef_[:, n] for n, sign in enumerate(names)}
    table = {
        sign: [round(float(column[at[k]]), 2) if k in at else 0.0 for k in kinds]
        for sign, column in columns.items()
    }
    table["bias"] = [w if k in at else -9.0 for k, w in enumerate(table["bias"])]
    return {sign: row for sign, row in table.items() if any(row)}


def main() -> None:
    """Fits to all trajectories and writes the model that acr ships."""
    loaded = load()
    weights = fit(loaded)
    steps = sum(len(each.steps) for each in loaded)
    lines = ",\n".join(f"{json.dumps(sign)}: {json.dumps(row)}" for sign, row in weights.items())
    about = f"fitted to {steps} steps of {len(loaded)} trajectories by python -m acr.training.steps"
    MODEL.write_text(f'{{"about": {json.dumps(about)},\n"weights": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
