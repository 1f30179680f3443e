"""Makes the shipped matrix, vectors and readings from CodeRouterBench's released tables.

python -m acr.bench.build_matrix FOLDER OUT            all of them
python -m acr.bench.build_matrix --readings FOLDER OUT  the readings, when the model is another

A reading is what acr's own model expects of a prompt (acr/data/orchestrator.md); of prompts in
probing train, which taught it, less honestly than of the others.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from acr.bench.matrix import NOTHING, UNKNOWN
from acr.errors import UsageError
from acr.orchestrator.build_prior import tier_of_price

__all__ = ["item", "main"]

SPLITS = ("train", "val", "test", "ood")
FILES = {"id_probing.csv.gz": "", "id_test.csv.gz": "test", "ood176.csv.gz": "ood"}
"""Table -> its split; empty where a column tells."""
OTHER_NAMES = {"he": "humaneval", "hex": "humaneval", "multiple": "humaneval"}
"""Sources that are other forms of one collection of items."""
NUMBER = re.compile(r"(humaneval|bigcodebench|mbpp)\D{0,16}(\d+)", re.I)


def item(task: str) -> str:
    """The item that a task is made of, the same in every dimension that uses it."""
    found = re.match(r"dim\d+_([a-z0-9]+)_(.*)$", task)
    if not found:
        return task
    source, rest = OTHER_NAMES.get(found[1], found[1]), found[2]
    last = re.search(r"(\d+)(?:_[a-z]\w*)?$", rest) if source in ("humaneval", "mbpp") else None
    number = last[1] if last else re.split(r"[_/](?=[^_/]*$)", rest)[-1]
    if source == "lcb":
        number = re.sub(r"^testgen_", "", rest)
    return f"{source}/{number}"


def main(argv: Sequence[str]) -> None:
    """Writes OUT/matrix.npz, vectors.npz and readings.npz; argv is [--readings] FOLDER OUT.

    Raises UsageError.
    """
    import numpy as np

    only = list(argv[:1]) == ["--readings"]
    if len(argv) != 2 + only:
        raise UsageError("usage: python -m acr.bench.build_matrix [--readings] FOLDER OUT")
    folder, out = Path(argv[-2]), Path(argv[-1])
    prompts = _prompts(folder)
    texts = sorted(set(prompts.values()))
    np.savez_compressed(out / "readings.npz", **_readings(texts))
    if only:
        return
    tables = {name: list(_read(folder / name)) for name in FILES}
    listed = json.loads((folder / "models.json").read_text(encoding="utf-8"))["models"]
    prices = {
        m["model"]: {"input": m["input_per_1m"], "output": m["output_per_1m"]} for m in listed
    }
    models = sorted(prices)
    cells: dict[str, dict[str, Mapping[str, str]]] = {}
    about_task: dict[str, tuple[str, str]] = {}
    for name, rows in tables.items():
        for row in rows:
            cells.setdefault(row["task_id"], {})[row["model"]] = row
            split = FILES[name] or row["source_split"]
            about_task[row["task_id"]] = (split, row["dimension"])
    tasks = list(cells)
    dimensions = sorted({dimension for _, dimension in about_task.values()})
    peers = sorted(json.loads(gzip.decompress((folder / PEERS).read_bytes())))
    about = {
        "title": "CodeRouterBench: scores and tokens of eight models on 10,175 coding tasks",
        "source": "arXiv 2606.22902, the released tables",
        "licence": "MIT",
        "made_by": "python -m acr.bench.build_matrix",
        "sha256": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in FILES},
        "columns": "score 0..1; input and output tokens, 4294967295 where not published; cost is "
        "tokens x price; overlap: a task of the test split shares its item with a probing task; "
        "peers: the column that published routers chose, 255 where nothing was published",
        "models": models,
        "prices": prices,
        "tiers": {model: tier_of_price(prices[model]["output"]) for model in models},
        "dimensions": dimensions,
        "splits": SPLITS,
        "peers": peers,
    }
    known = {item(t) for t in tasks if about_task[t][0] in ("train", "val")}
    known |= {prompts[t] for t in tasks if about_task[t][0] in ("train", "val") and t in prompts}
    overlap = [
        about_task[t][0] == "test" and (item(t) in known or prompts.get(t) in known) for t in tasks
    ]
    np.savez_compressed(
        out / "matrix.npz",
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        tasks=np.frombuffer("\n".join(tasks).encode(), np.uint8),
        dimensions=np.array([dimensions.index(about_task[t][1]) for t in tasks], np.uint8),
        splits=np.array([SPLITS.index(about_task[t][0]) for t in tasks], np.uint8),
        overlap=np.array(overlap),
        score=np.array([[_score(cells[t][m]) for m in models] for t in tasks], np.float32),
        input=np.array([[_tokens(cells[t][m], "in") for m in models] for t in tasks], np.uint32),
        output=np.array([[_tokens(cells[t][m], "out") for m in models] for t in tasks], np.uint32),
        peers=_peers(folder, peers, tasks, models),
    )
    place = {text: n for n, text in enumerate(texts)}
    np.savez_compressed(
        out / "vectors.npz",
        vectors=_vectors(texts),
        rows=np.array([place[prompts[t]] if t in prompts else -1 for t in tasks], np.int16),
    )


PEERS = "peer_decisions_id_test.json.gz"


def _read(path: Path) -> Iterator[Mapping[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _prompts(folder: Path) -> dict[str, str]:
    found = {}
    for name in ("id_prompts.jsonl.gz", "ood176_tasks.jsonl.gz"):
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            rows = map(json.loads, file)
            found.update({row["task_id"]: row["prompt"] for row in rows if row["prompt"].strip()})
    return found


def _score(row: Mapping[str, str]) -> float:
    return float(row.get("score") or row["resolved"])


def _tokens(row: Mapping[str, str], side: str) -> int:
    text = row.get(f"{side}_tok") or row.get(f"{side}put_tokens")
    return int(float(text)) if text else UNKNOWN


def _peers(folder: Path, names: Sequence[str], tasks: Sequence[str], models: Sequence[str]) -> Any:
    import numpy as np

    published = json.loads(gzip.decompress((folder / PEERS).read_bytes()))
    column = {model: n for n, model in enumerate(models)}
    return np.array(
        [[column.get(published[n].get(t), NOTHING) for t in tasks] for n in names], np.uint8
    )


def _readings(texts: Sequence[str]) -> dict[str, Any]:
    """Expected scores as bytes (255 is 1.0), texts x (models, tiers), and what read them.

    Every text of the benchmark has some.
    """
    import numpy as np

    from acr.orchestrator import model

    shipped = model.load()
    read = shipped.scores(texts)
    scores = [[*one.models.values(), *one.tiers.values()] for one in read]
    return {
        "readings": np.rint(255 * np.array(scores)).astype(np.uint8),
        "columns": np.array([*read[0].models, *read[0].tiers]),
        "model": np.array(hashlib.sha256(shipped.path.read_bytes()).hexdigest()),
    }


def _vectors(texts: Sequence[str]) -> Any:
    """int8 vectors in the space of the shipped embedder, as memory stores them."""
    import numpy as np

    from acr.context.embedding import load
    from acr.memory.vectors import quantise
    from acr.settings import EmbeddingSettings

    embedded = load(EmbeddingSettings()).embed(texts)
    return np.stack([np.frombuffer(quantise(vector), np.int8) for vector in embedded])


if __name__ == "__main__":
    main(sys.argv[1:])
