"""acr itself as a router of replays: the very decision of the command line, fed outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from acr.bench.matrix import Matrix
from acr.bench.memory import NOW, ReplayMemory
from acr.bench.replay import Call, Question
from acr.errors import NothingAllowedError
from acr.nouns import Decision, Profile, Task, Tried
from acr.orchestrator.policy import decide
from acr.settings import OrchestratorSettings, PoolSettings, Settings

__all__ = ["AcrRouter"]


class AcrRouter:
    """`decide` over a memory of the outcomes that it caused, as the command line uses it."""

    def __init__(
        self,
        name: str,
        matrix: Matrix,
        settings: OrchestratorSettings,
        *,
        seed: int = 0,
        known: bool = True,
    ) -> None:
        """`known`: the models keep their names, so that the shipped prior knows them; else only
        their tier and price do."""
        self.name = name
        self._settings = Settings(orchestrator=settings)
        self._embedder = matrix.embedder
        self._memory = ReplayMemory(matrix.vectors.shape[1])
        self._seeds = count(seed * 1_000_003)
        self._profiles = tuple(
            Profile(model if known else f"model-{n}", "replay", model if known else f"x{n}", tier)
            for n, (model, tier) in enumerate(zip(matrix.models, matrix.tiers, strict=True))
        )
        self._column = {p.name: n for n, p in enumerate(self._profiles)}
        self._prices = {
            p.name: price
            for p, price in zip(self._profiles, matrix.prices, strict=True)
            if price is not None
        }
        self._decisions: list[Decision] = []
        self.propensities: list[float] = []
        """Of the first call on each task, in the order of the stream."""

    def fit(self, probing: Matrix) -> None:
        """Remembers every outcome of the probing tasks, in an order that says nothing."""
        import numpy as np

        for row in np.random.default_rng(0).permutation(len(probing)).tolist():
            task = probing.tasks[row]
            outcomes = [
                (p.name, float(score), None if np.isnan(cost) else float(cost))
                for p, score, cost in zip(
                    self._profiles, probing.score[row], probing.cost[row], strict=True
                )
                if not np.isnan(score)
            ]
            self._memory.add(task, probing.dimensions[row], probing.vectors[row], outcomes)

    def choose(self, question: Question, made: Sequence[Call]) -> int | None:
        """The next profile; None when no further try is expected to be worth its cost."""
        vector = tuple(question.vector.tolist()) if question.vector.any() else None
        task = Task(
            id=question.task,
            created=NOW,
            prompt="",
            dimension=question.dimension,
            confidence=1.0,
            runner_up=None,
            language=None,
            difficulty=0.5,
            repository="",
            root="",
            embedding=vector,
            embedder=self._embedder if vector else None,
        )
        open_ = tuple(
            p.name for p, there in zip(self._profiles, question.available, strict=True) if there
        )
        settings = self._settings
        if len(open_) < len(self._profiles):
            settings = replace(settings, pool=PoolSettings(profiles=open_))
        tried = [Tried(self._profiles[call.model].name, call.score) for call in made]
        try:
            decision = decide(
                task,
                self._profiles,
                self._memory,
                settings,
                prices=self._prices,
                reading=question.reading,
                tried=tried,
                seed=next(self._seeds),
            )
        except NothingAllowedError:
            return None
        if not made:
            self._decisions.clear()
        self._decisions.append(decision)
        if not made:
            chosen = next(c for c in decision.candidates if c.profile == decision.chosen)
            self.propensities.append(chosen.propensity)
        return self._column[decision.chosen]

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        """Remembers the outcomes of the calls that it made."""
        outcomes = [(self._profiles[call.model].name, call.score, call.cost) for call in made]
        self._memory.add(
            question.task, question.dimension, question.vector, outcomes, self._decisions
        )
