"""What training writes is what acr reads: the same numbers, new words included."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("gguf", reason="the extra `train` is not installed")

import torch

from acr.orchestrator.model import Model
from acr.orchestrator.tokens import Tokens
from acr.training import data, export, fit, heads
from acr.training.encoder import WIDTH, Encoder, batch
from acr.training.vocabulary import extend

TOKENIZER = Path(data.__file__).parents[1] / "data" / "minilm" / "tokenizer.json"


@pytest.fixture(scope="module")
def words() -> tuple[str, torch.Tensor]:
    torch.manual_seed(3)
    seen = [data.Example("настрой 修 修 修 zażółć zażółć zażółć", "one", human="pl")]
    return extend(TOKENIZER.read_text(encoding="utf-8"), seen, torch.randn(30522, WIDTH) * 0.05)


def test_new_words_are_one_token_and_start_as_what_they_mean(
    words: tuple[str, torch.Tensor],
) -> None:
    tokenizer, table = words
    tokens = Tokens(tokenizer)
    ((_, mended, _), (_, english, _), (_, seen, _)) = tokens.encode(["почини", "fix", "zażółć"])
    assert torch.allclose(table[mended], table[english])
    assert seen > mended - len(table)
    assert len(table) > 30522


def test_the_written_file_gives_the_encoders_numbers(
    words: tuple[str, torch.Tensor], tmp_path: Path
) -> None:
    tokenizer, table = words
    torch.manual_seed(5)
    encoder = Encoder(len(table), len(data.labels())).eval()
    export.write(encoder, tokenizer, data.labels(), tmp_path / "made.gguf")
    texts = ["fix it", "почини тест", "explain " * 300]
    with torch.no_grad():
        for text, reading in zip(
            texts, Model(tmp_path / "made.gguf", backend="numpy").scores(texts), strict=True
        ):
            logits = encoder(*batch(Tokens(tokenizer).encode([text])))[0]
            shares = logits[:10].softmax(0).tolist()
            assert list(reading.dimensions.values()) == pytest.approx(shares, abs=0.02)
            assert reading.difficulty == pytest.approx(logits[10].sigmoid().item(), abs=0.02)


def test_outputs_are_fitted_to_what_was_measured() -> None:
    torch.manual_seed(7)
    kept = torch.randn(400, WIDTH)
    scores = kept[:, 0].sigmoid().tolist()
    examples = [
        data.Example("x", "algorithm", difficulty=1 - s, scores=tuple([s] * 8)) for s in scores
    ]
    encoder = Encoder(10, len(data.labels()))
    heads.refit(encoder, kept, examples)
    with torch.no_grad():
        told = encoder.head(kept)[:, 10:].sigmoid()
    assert (told[:, -1] - kept[:, 0].sigmoid()).abs().mean() < 0.05
    assert (told[:, 0] + told[:, -1] - 1).abs().mean() < 0.05


def test_a_gpu_has_one_worker_that_learns_from_as_many_rows_a_step() -> None:
    plan = fit.Plan(workers=2, batch=16)
    alone = plan.on(torch.device("cuda"))
    assert (alone.workers, alone.batch) == (1, 32)
    assert plan.on(torch.device("cpu")) == plan


def test_training_goes_on_where_it_stopped_with_the_same_result(
    words: tuple[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(words[0])
    texts = [f"fix it {i} ```x = {i}```" for i in range(14)]
    own = [
        data.Example(text, "one", "bug_fixing", 0.5, split="val" if i > 6 else "train")
        for i, text in enumerate(texts)
    ]
    scored = data.Example("sort", "algorithm", difficulty=0.5, scores=tuple([0.5] * 8))
    subject = data.Example("fix: it", "two", "bug_fixing")
    examples = {"prompts": own, "plain": [], "commits": [subject], "matrix": [scored]}
    plan = fit.Plan(epochs=2, workers=1, batch=4, commits=1, benchmark=1, meet=1)

    def learned(out: Path) -> torch.Tensor:
        torch.manual_seed(11)
        out.mkdir(exist_ok=True)
        made = fit.learn(Encoder(len(words[1]), 23), tokens, examples, plan, out)
        return made.head.weight.detach()

    whole, epoch = learned(tmp_path / "whole"), fit._Worker.epoch

    def stopped(worker: fit._Worker, number: int) -> float:
        if number:
            raise KeyboardInterrupt
        return epoch(worker, number)

    monkeypatch.setattr(fit._Worker, "epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path / "parts")
    monkeypatch.undo()
    assert torch.equal(learned(tmp_path / "parts"), whole)


def test_a_rate_has_its_interval() -> None:
    assert heads.rate([True] * 8 + [False] * 2) == {
        "rate": 0.8,
        "n": 10,
        "interval": [0.4902, 0.9433],
    }
