"""The training: on a GPU one process; else two learn from halves of each epoch and meet.

Where they meet, their weights are averaged.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acr.nouns import DIMENSIONS
from acr.orchestrator.tokens import Tokens
from acr.training import data
from acr.training.augment import Augmenter, blocks
from acr.training.data import Example
from acr.training.encoder import LAYERS, Encoder, batch
from acr.training.vocabulary import Glossary

__all__ = ["Plan", "device", "features", "learn"]

FOUR = ("bug_fixing", "code_generation", "code_refactoring", "test_generation")
"""What a commit subject can be; the other dimensions are left alone by it."""

NEAR = 0.1
"""Temperature of the contrastive loss."""

WATCHED = 6
"""Every which validation prompt is looked at after an epoch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the encoder is fine-tuned; the defaults are those of the shipped model."""

    epochs: int = 10
    workers: int = 2
    batch: int = 16
    rate: float = 1.2e-4
    """Of the top layer; each layer below learns at `decay` of the one above."""
    decay: float = 0.9
    head_rate: float = 2e-3
    words_rate: float = 2e-4
    """Of the embedding table, whose new rows have the most to learn."""
    smoothing: float = 0.05
    alike: float = 0.2
    """Weight of the supervised contrastive loss, which draws prompts of one kind together."""
    drop: float = 0.15
    tokens: int = 112
    """Longest row while training: its start and its end."""
    last_tokens: int = 160
    """The same in the last epoch."""
    benchmark: int = 60
    """Benchmark tasks per epoch; they shape the features, the outputs are fitted afterwards."""
    commits: int = 1200
    """Commit subjects per epoch."""
    cooling: float = 0.6
    """Share of the training in which the rate falls to nothing."""
    meet: int = 16
    """Steps between two averagings."""
    average: float = 0.8
    """Of the running average of the weights, per meeting."""
    fitted_tasks: int = 1500
    """Benchmark tasks that the outputs for difficulty, tiers and models are fitted to."""
    fitted_prompts: int = 600
    """Own prompts likewise."""
    seed: int = 7

    def on(self, device: torch.device) -> Plan:
        """The same plan there: a GPU has one worker, which learns from as many rows a step."""
        if device.type == "cpu":
            return self
        return replace(self, workers=1, batch=self.batch * self.workers)


def device() -> torch.device:
    """The GPU where there is one that torch can use. Sums there are made in a fixed order."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda")


@dataclass(frozen=True, slots=True)
class _Row:
    ids: list[int]
    example: Example


def learn(
    model: Encoder, tokens: Tokens, examples: dict[str, list[Example]], plan: Plan, out: Path
) -> Encoder:
    """The encoder, fine-tuned on `prompts`, `commits` and `matrix`; goes on at the checkpoint."""
    from torch.multiprocessing.spawn import spawn

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(20000 + os.getpid() % 20000))
    final = out / f"encoder-{plan.epochs}.pt"
    work = (model, tokens, examples, plan, out, final)
    if not final.exists() and plan.workers == 1:
        _work(0, *work)
    elif not final.exists():
        spawn(_work, work, plan.workers)
    model.load_state_dict(torch.load(final, map_location="cpu", weights_only=True))
    return model.eval()


def _work(
    rank: int,
    model: Encoder,
    tokens: Tokens,
    examples: dict[str, list[Example]],
    plan: Plan,
    out: Path,
    final: Path,
) -> None:
    import torch.distributed as dist

    torch.set_num_threads(1)
    if plan.workers > 1:
        dist.init_process_group("gloo", rank=rank, world_size=plan.workers)
    own = copy.deepcopy(model)  # what was handed over lies in memory that all share
    run = _Worker(rank, own.to(device()), tokens, examples, plan)
    checkpoint = out / f"checkpoint-{plan.workers}-{rank}.pt"
    begun = run.load(checkpoint) if checkpoint.exists() else 0
    for epoch in range(begun, plan.epochs):
        start = time.monotonic()
        loss = run.epoch(epoch)
        torch.save(run.state(epoch + 1), checkpoint.with_suffix(".new"))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)
        if rank == 0:
            right = run.validate()
            took = time.monotonic() - start
            line = {"epoch": epoch + 1, "loss": round(loss, 4), "val": right, "s": round(took)}
            sys.stderr.write(json.dumps(line) + "\n")
            with open(out / "progress.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if plan.workers > 1:
            dist.barrier()
    if rank == 0:
        torch.save(run.averaged.state_dict(), final)
    if plan.workers > 1:
        dist.destroy_process_group()


class _Worker:
    """One of the processes: its share of the rows, its optimiser, the averaged weights."""

    def __init__(
        self,
        rank: int,
        model: Encoder,
        tokens: Tokens,
        examples: dict[str, list[Example]],
        plan: Plan,
    ) -> None:
        self.rank, self.model, self.tokens, self.plan = rank, model, tokens, plan
        self.learned = {
            kind: [e for e in found if e.split == "train"] for kind, found in examples.items()
        }
        self.held = [e for e in examples["prompts"] if e.split == "val"][::WATCHED]
        self.averaged = copy.deepcopy(model)
        self.optimiser = torch.optim.AdamW(_groups(model, plan), weight_decay=0.01, fused=True)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        texts = [e.text for e in self.learned["prompts"]]
        self.augmenter = Augmenter(Glossary().translations(), blocks(texts))
        model.drop = plan.drop

    def state(self, epoch: int) -> dict[str, Any]:
        """All that a later process needs to go on."""
        return {
            "epoch": epoch,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load(self, path: Path) -> int:
        """Restores `path`; returns the epochs that are done."""
        kept = torch.load(path, map_location=self.model.device, weights_only=True)
        self.model.load_state_dict(kept["model"])
        self.averaged.load_state_dict(kept["averaged"])
        self.optimiser.load_state_dict(kept["optimiser"])
        return int(kept["epoch"])

    def epoch(self, epoch: int) -> float:
        """Learns from every prompt and commit subject once. Returns the mean loss."""
        plan, total = self.plan, 0.0
        torch.manual_seed(plan.seed + self.rank + epoch * plan.workers)
        batches = list(self._batches(epoch))
        self.model.train()
        for step, rows in enumerate(batches):
            self._set_rates((epoch + step / len(batches)) / plan.epochs)
            pooled = self.model.features(*batch([row.ids for row in rows], self.model.device))
            loss = _loss(self.model.outputs(pooled).cpu(), rows, plan)
            loss = loss + plan.alike * _apart(pooled.cpu(), rows)
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            total += loss.item()
            if (step + 1) % plan.meet == 0:
                self._meet()
                if self.rank == 0:
                    mean = total / (step + 1)
                    share = (step + 1) / len(batches)
                    sys.stderr.write(f"epoch {epoch + 1}: {share:.0%}, loss {mean:.3f}\n")
        return total / len(batches)

    def validate(self) -> float:
        """Share of the validation prompts that the averaged weights understand."""
        logits = _outputs(self.averaged.eval(), self.tokens, [e.text for e in self.held])
        best = logits[:, : len(DIMENSIONS)].argmax(1).tolist()
        right = [DIMENSIONS[b] == e.dimension for b, e in zip(best, self.held, strict=True)]
        return round(sum(right) / len(right), 4)

    def _batches(self, epoch: int) -> Iterator[list[_Row]]:
        """This worker's batches: rows of like length together, in random order."""
        rng = random.Random(f"{self.plan.seed}-{epoch}")  # noqa: S311  # to be repeatable
        chosen = [
            *self.learned["prompts"],
            *(self.learned["plain"] * 2),
            *rng.sample(self.learned["commits"], self.plan.commits),
            *rng.sample(self.learned["matrix"], self.plan.benchmark),
        ]
        rng.shuffle(chosen)
        size = self.plan.batch * self.plan.workers
        chosen = chosen[: len(chosen) // size * size]  # as many batches for each worker
        texts = [self._text(e, rng) for e in chosen]
        last = epoch + 1 == self.plan.epochs
        longest = self.plan.last_tokens if last else self.plan.tokens
        cut = [_cut(ids, longest) for ids in self.tokens.encode(texts)]
        rows = [_Row(ids, e) for ids, e in zip(cut, chosen, strict=True)]
        rows.sort(key=lambda row: len(row.ids) + rng.random() * 8)
        made = [rows[i : i + size] for i in range(0, len(rows), size)]
        rng.shuffle(made)
        for both in made:
            yield both[self.rank :: self.plan.workers]

    def _text(self, example: Example, rng: random.Random) -> str:
        if example.scores:
            return example.text
        return self.augmenter.change(example.text, example.human == "en", rng)

    def _set_rates(self, done: float) -> None:
        """A short warm-up, a plateau, a linear fall."""
        warm = min(1.0, (done * self.plan.epochs + 0.02) / 0.5)
        factor = min(warm, (1 - done) / self.plan.cooling, 1.0)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    @torch.no_grad()
    def _meet(self) -> None:
        import torch.distributed as dist

        for own, kept in zip(self.model.parameters(), self.averaged.parameters(), strict=True):
            if self.plan.workers > 1:
                dist.all_reduce(own)
            kept.lerp_(own.div_(self.plan.workers), 1 - self.plan.average)


def _groups(model: Encoder, plan: Plan) -> list[dict[str, Any]]:
    """Parameters with their rates: the lower the layer, the slower."""
    groups = []
    for name, parameter in model.named_parameters():
        if name.startswith("head"):
            rate = plan.head_rate
        elif name.startswith("encoder.layer."):
            rate = plan.rate * plan.decay ** (LAYERS - 1 - int(name.split(".")[2]))
        elif "word_embeddings" in name:
            rate = plan.words_rate
        else:
            rate = plan.rate * plan.decay**LAYERS
        groups.append({"params": [parameter], "lr": rate})
    return groups


def _loss(logits: Tensor, rows: list[_Row], plan: Plan) -> Tensor:
    """Mean over the rows; each kind of row has a say on its own outputs only."""
    size = len(DIMENSIONS)
    loss = logits.sum() * 0
    for i, row in enumerate(rows):
        example = row.example
        if example.scores:
            wanted = torch.tensor(
                [example.difficulty, *data.tier_scores(example.scores), *example.scores]
            )
            loss = loss + 0.7 * functional.binary_cross_entropy_with_logits(
                logits[i, size:], wanted
            )
        elif example.difficulty is None:
            four = [DIMENSIONS.index(name) for name in FOUR]
            label = torch.tensor(FOUR.index(str(example.dimension)))
            loss = loss + 0.6 * functional.cross_entropy(logits[i, four], label)
        else:
            label = torch.tensor(DIMENSIONS.index(str(example.dimension)))
            loss = loss + functional.cross_entropy(
                logits[i, :size], label, label_smoothing=plan.smoothing
            )
            hard = torch.tensor(example.difficulty)
            loss = loss + 0.3 * functional.binary_cross_entropy_with_logits(logits[i, size], hard)
    return loss / len(rows)


def _apart(pooled: Tensor, rows: list[_Row]) -> Tensor:
    """How far prompts of one kind lie apart (Khosla et al. 2020, SupCon), a mean over the rows."""
    own = [i for i, row in enumerate(rows) if row.example.difficulty is not None]
    own = [i for i in own if not rows[i].example.scores]
    kinds = torch.tensor([DIMENSIONS.index(str(rows[i].example.dimension)) for i in own])
    same = (kinds[:, None] == kinds).float().fill_diagonal_(0)
    if not same.any():
        return pooled.sum() * 0
    near = functional.normalize(pooled[own], dim=1)
    near = (near @ near.T / NEAR).masked_fill(torch.eye(len(own), dtype=torch.bool), -1e9)
    told = -(same * near.log_softmax(1)).sum(1)
    return (told / same.sum(1).clamp(min=1)).sum() / len(rows)


def _cut(ids: list[int], longest: int) -> list[int]:
    tail = longest * 3 // 8
    return ids if len(ids) <= longest else ids[: longest - tail] + ids[-tail:]


@torch.no_grad()
def features(model: Encoder, tokens: Tokens, texts: list[str]) -> Tensor:
    """The mean hidden state of each text, in order."""
    ids = tokens.encode(texts)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = torch.empty(len(ids), model.head.in_features, device=model.device)
    for start in range(0, len(order), 16):
        some = order[start : start + 16]
        found[some] = model.features(*batch([ids[i] for i in some], model.device))
    return found


def _outputs(model: Encoder, tokens: Tokens, texts: list[str]) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.head(features(model, tokens, texts))
    return logits
