"""Decisions that CodeRouterBench's authors published for its test tasks, played as they are."""

from __future__ import annotations

from acr.bench.baselines.fixed import Always
from acr.bench.matrix import Matrix

__all__ = ["PUBLISHED", "covered", "played"]

PUBLISHED = {
    "ACRouter_repo": "ACRouter: a fine-tuned Qwen3.5-0.8B and heuristics in a weighted vote",
    "dimension_best": "the best mean of the dimension in the authors' own probing",
    "logreg": "logistic regression on the prompt",
    "tfidf_mlp": "TF-IDF of the prompt into a multi-layer perceptron",
    "routellm_mf": "RouteLLM's matrix factorisation",
    "routellm_sw": "RouteLLM's similarity-weighted ranking",
    "finetuned_router_qwen35_08b": "Qwen3.5-0.8B, fine-tuned to name the model",
    "finetuned_router_qwen35_2b": "Qwen3.5-2B, fine-tuned to name the model",
    "finetuned_router_qwen35_9b_v3": "Qwen3.5-9B, fine-tuned to name the model",
    "finetuned_router_qwen35_27b_v3": "Qwen3.5-27B, fine-tuned to name the model",
}
"""Router -> what it is."""


def covered(matrix: Matrix) -> list[str]:
    """Routers that published a decision for every task of `matrix`, in PUBLISHED's order first."""
    whole = [
        name
        for name, chosen in matrix.peers.items()
        if len(matrix) and ((chosen >= 0) & (chosen < len(matrix.models))).all()
    ]
    return sorted(whole, key=lambda name: [*PUBLISHED, name].index(name))


def played(name: str, matrix: Matrix, router: str) -> Always:
    """The published decisions of `router` as a router called `name`."""
    columns = dict(zip(matrix.tasks, matrix.peers[router].tolist(), strict=True))
    return Always(name, len(matrix.models), 0, columns)
