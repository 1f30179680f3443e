"""The prior is computed from the matrix by plain means, the same each time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from acr.errors import UsageError
from acr.orchestrator.build_prior import build, main, tier_of_price

HEADER = "task_id,source_split,dimension,model,score,cost_usd,input_tokens,output_tokens\n"
OPUS, PLUS, MAX = "claude-opus-4-6", "qwen3.5-plus", "Qwen3-Max"


def row(task: str, model: str, score: float, tokens: str = "") -> dict[str, str]:
    return {
        "task_id": task,
        "dimension": "algorithm",
        "model": model,
        "score": str(score),
        "input_tokens": tokens,
        "output_tokens": tokens,
    }


ROWS = [
    row("1", OPUS, 1.0, "100"),
    row("2", OPUS, 0.0),
    row("3", OPUS, 1.0, "300"),
    row("4", OPUS, 0.0),
    row("1", PLUS, 1.0),
    row("2", PLUS, 0.0),
    row("3", PLUS, 0.0),
    row("4", PLUS, 1.0),
]


def test_means_come_with_their_n() -> None:
    prior = build(ROWS, "abc")
    assert prior["overall"] == [0.5, 8]
    assert prior["models"][OPUS]["dimensions"] == {"algorithm": [0.5, 4]}
    assert prior["dimensions"]["algorithm"] == {"score": [0.5, 8], "tokens": [200, 200]}
    assert prior["sha256"] == "abc"


def test_a_tier_that_would_be_worse_than_a_cheaper_one_is_pooled_with_it() -> None:
    worse = [row("1", OPUS, 0.2), row("1", "gpt-5.4", 0.8), row("1", "glm-5", 0.1)]
    tiers = build([*worse, row("1", PLUS, 0.05, "1")], "")["tiers"]
    assert tiers["frontier"] == tiers["mid"] == [0.5, 2]
    assert tiers["efficient"] == [0.1, 1]
    assert tiers["minimal"] == [0.05, 1]


def test_the_correlation_of_two_models_is_counted_by_hand() -> None:
    """Each solves 2 of 4, one of them both: no correlation."""
    assert build(ROWS, "")["correlation"] == 0.0


@pytest.mark.parametrize(
    ("price", "tier"), [(25, "frontier"), (15, "mid"), (2.9, "efficient"), (0.66, "minimal")]
)
def test_a_tier_is_a_price_class(price: float, tier: str) -> None:
    assert tier_of_price(price) == tier


def test_the_same_matrix_gives_the_same_bytes(tmp_path: Path) -> None:
    lines = [f"{r['task_id']},val,algorithm,{r['model']},{r['score']},,5,6\n" for r in ROWS]
    matrix = tmp_path / "matrix.csv.gz"
    matrix.write_bytes(gzip.compress((HEADER + "".join(lines)).encode()))
    for name in ("one.json", "two.json"):
        main([str(matrix), str(tmp_path / name)])
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert json.loads((tmp_path / "one.json").read_text())["overall"] == [0.5, 8]


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(UsageError, match=r"MATRIX\.csv\.gz OUT\.json"):
        main([])
