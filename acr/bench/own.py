"""The user's own results as a matrix: CSV or JSON Lines, streamed; faults are named by line."""

from __future__ import annotations

import csv
import difflib
import hashlib
import itertools
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from pathlib import Path
from reprlib import repr as _short
from typing import TYPE_CHECKING, Any, NoReturn

from acr.bench.matrix import Matrix
from acr.errors import AcrError
from acr.nouns import TIERS, Price, Profile, Tier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from acr.context.embedding import Embedder

__all__ = ["CELLS", "TASKS", "ResultsError", "load"]

TASKS = 200_000
"""Most tasks that are read."""
CELLS = 20_000_000
"""Most pairs of task and model: the matrix holds 16 bytes of each. Rows are bounded by it."""
LINE = 16 * 2**20
"""Bytes of the longest line."""
NAME = 200
"""Characters of the longest name of a task, model or dimension."""
BATCH = 256
"""Prompts held at a time."""
COLUMNS = (
    "task_id", "model", "score", "resolved", "cost", "cost_usd", "input_tokens", "output_tokens",
    "dimension", "split", "prompt",
)  # fmt: skip
NEEDED: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("task_id", (("task_id",),)),
    ("model", (("model",),)),
    ("score or resolved", (("score",), ("resolved",))),
    (
        "cost, cost_usd, or input_tokens and output_tokens",
        (("cost",), ("cost_usd",), ("input_tokens", "output_tokens")),
    ),
)
"""What a row must tell -> sets of columns, one of which does."""
SPLITS = ("train", "val", "test", "ood")
RESOLVED = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}

Row = tuple[str, ...]
"""The fields of COLUMNS; empty where there is none."""


class ResultsError(AcrError):
    """A file of results or tasks is wrong; the message names file and line."""


def load(
    results: Path,
    tasks: Path | None = None,
    embedder: Callable[[], Embedder] | None = None,
    classify: Callable[[Sequence[str]], Iterable[str]] | None = None,
) -> Matrix:
    """The matrix of `results`: CSV with a header, or one JSON object a line (.jsonl).

    A row is one call: task_id, model, score (0..1) or resolved (0, 1, true, false), and its USD
    as cost or cost_usd, or input_tokens and output_tokens of a model whose price is known; an
    empty cost is unknown. dimension, split (train, val, test, ood) and prompt may stand there or
    in `tasks` (JSON Lines, by task_id); the results come first. A model without a row for a task
    cannot be chosen there. Tasks keep the order of the file; models are sorted.

    Without splits, the first half of the tasks by the hash of their id is train, the rest test.
    `embedder` is called when there is a prompt, and makes vectors of what a person wrote in it;
    `classify` gives a dimension to each of the prompts that have none, else it is "unknown".
    At most TASKS tasks and CELLS pairs of task and model. Raises ResultsError.
    """
    digest = hashlib.sha256()
    table = _Table(results)
    for line, row in _rows(results, digest.update):
        table.add(line, row)
    if not table.tasks:
        raise ResultsError(f"{results}: there are no rows, only names of columns; add results")
    more = _Tasks(tasks, table) if tasks else None
    split, given = _split(results, table)
    vectors, prompts, space = _read_prompts(table, more, embedder, classify)
    return _matrix(table, digest.hexdigest(), split, given, vectors, prompts, space)


# ---- lines and rows


def _lines(path: Path, seen: Callable[[bytes], object]) -> Iterator[str]:
    """Its lines as text; `seen` is given every byte."""
    offset = 0
    try:
        if path.exists() and not path.is_file():
            raise ResultsError(f"{path}: not a regular file; name a CSV or a .jsonl file")
        with open(path, "rb") as file:
            for number in itertools.count(1):
                raw = file.readline(LINE)
                if not raw:
                    return
                seen(raw)
                if len(raw) == LINE:
                    _fail(path, number, f"longer than {LINE // 2**20} MiB; is it text?")
                try:
                    text = raw.decode()
                except UnicodeDecodeError as e:
                    _fail(
                        path, number, f"not UTF-8 text (byte {offset + e.start}); save it as UTF-8"
                    )
                yield text.removeprefix("\ufeff") if number == 1 else text
                offset += len(raw)
    except OSError as e:
        raise ResultsError(f"{path}: {e.strerror}; name a file that can be read") from None


def _rows(
    path: Path, seen: Callable[[bytes], object] = lambda _: None
) -> Iterator[tuple[int, Row]]:
    """(number of its first line, row) of a file of results."""
    if path.suffix.lower() != ".jsonl":
        yield from _csv_rows(path, seen)
        return
    first = True
    for line, data in _objects(path, seen):
        if first:
            _check_columns(path, list(data))
            first = False
        yield line, tuple(_text(path, line, name, data.get(name)) for name in COLUMNS)
    if first:
        raise ResultsError(f"{path}: empty; expected a JSON object a line with {_expected()}")


def _csv_rows(path: Path, seen: Callable[[bytes], object]) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(_lines(path, seen), strict=True)
    line = 1
    try:
        header = [name.strip().lower() for name in next(filter(None, reader), [])]
        if not header:
            raise ResultsError(f"{path}: empty; expected a header with {_expected()}")
        _check_columns(path, header)
        width = len(header)
        pick = itemgetter(*(header.index(n) if n in header else width for n in COLUMNS))
        line = reader.line_num + 1
        for row in reader:
            if row:
                if len(row) != width:
                    _fail(path, line, f"{len(row)} fields where the header has {width}")
                row.append("")
                yield line, pick(row)
            line = reader.line_num + 1
    except csv.Error as e:
        _fail(path, line, f"{e}; is a quotation mark missing?")


def _objects(
    path: Path, seen: Callable[[bytes], object] = lambda _: None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of a JSON Lines file."""
    for line, text in enumerate(_lines(path, seen), 1):
        if not text.strip():
            continue
        try:
            data = json.loads(text)
        except json.JSONDecodeError as e:
            _fail(
                path, line, f"not JSON ({e.msg} at column {e.colno}); one object a line is expected"
            )
        except (ValueError, RecursionError):
            _fail(path, line, "JSON with too many digits or levels; one flat object is expected")
        if not isinstance(data, dict):
            _fail(path, line, f"a JSON object is expected, not {type(data).__name__}")
        yield line, data


def _text(path: Path, line: int, name: str, value: Any) -> str:
    """A JSON value as CSV would have it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # JSON can name half a character
    if value is None:
        return ""
    if not isinstance(value, (bool, int, float)):
        _fail(path, line, f"{name} must be text or a number, not {type(value).__name__}")
    return str(value)


def _check_columns(path: Path, header: Sequence[str]) -> None:
    twice = next((name for name in COLUMNS if header.count(name) > 1), None)
    if twice:
        raise ResultsError(f"{path}: two columns are called {twice}; leave one")
    missing = [
        (name, ways)
        for name, ways in NEEDED
        if not any(all(column in header for column in way) for way in ways)
    ]
    if not missing:
        return
    words = []
    for name, ways in missing:
        known = [column for way in ways for column in way]
        near = [n for n in header if n not in COLUMNS and difflib.get_close_matches(n, known, 1)]
        words.append(name + (f" (did you mean {', '.join(near)}?)" if near else ""))
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        words.append("commas between the columns")
    raise ResultsError(f"{path}: no {'; no '.join(words)}. Expected are {_expected()}")


def _expected() -> str:
    return "; ".join(name for name, _ in NEEDED)


def _fail(path: Path, line: int, what: str) -> NoReturn:
    raise ResultsError(f"{path}, line {line}: {what}")


# ---- what the rows say


@dataclass(slots=True)
class _Table:
    """Scores and costs by model, as compact arrays that end with the last task of the model."""

    path: Path
    tasks: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    scores: list[array[float]] = field(default_factory=list)
    costs: list[array[float]] = field(default_factory=list)
    dimensions: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    rows: int = 0
    prompted: bool = False
    """Some row has a prompt."""

    def add(self, line: int, row: Row) -> None:
        """Takes in one row."""
        name, model, score, resolved, cost, usd, sent, received, dimension, split, prompt = row
        task = self.tasks.get(name := name.strip())
        if task is None:
            task = self._new_task(line, name)
        column = self.models.get(model := model.strip())
        if column is None:
            column = self._new_model(line, model)
        value = self._score(line, score, resolved)
        paid = self._cost(line, model, cost or usd, sent, received)
        scores, costs = self.scores[column], self.costs[column]
        if (short := task + 1 - len(scores)) > 0:
            scores.extend(itertools.repeat(math.nan, short))
            costs.extend(itertools.repeat(math.nan, short))
        if scores[task] == scores[task]:
            first = self._first_line(name, model)
            _fail(
                self.path, line, f"{model} on task {name} stands in line {first} already; keep one"
            )
        scores[task], costs[task] = value, paid
        if dimension:
            _check_name(self.path, line, "dimension", dimension)
            self._note(self.dimensions, task, dimension, line, f"dimension of task {name}")
        if split:
            self._note(self.splits, task, _checked_split(self.path, line, split), line,
                       f"split of task {name}")  # fmt: skip
        self.prompted = self.prompted or bool(prompt)
        self.rows += 1

    def _new_task(self, line: int, name: str) -> int:
        _check_name(self.path, line, "task_id", name)
        if len(self.tasks) == TASKS:
            _fail(self.path, line, f"more than {TASKS:,} tasks; take a sample of them")
        self.tasks[name] = len(self.tasks)
        self.dimensions.append("")
        self.splits.append("")
        self._bound(line)
        return self.tasks[name]

    def _new_model(self, line: int, name: str) -> int:
        _check_name(self.path, line, "model", name)
        self.models[name] = len(self.models)
        self.scores.append(array("d"))
        self.costs.append(array("d"))
        self._bound(line)
        return self.models[name]

    def _bound(self, line: int) -> None:
        if (tasks := len(self.tasks)) * (models := len(self.models)) > CELLS:
            what = f"{tasks:,} tasks x {models:,} models are more than {CELLS:,} results"
            _fail(self.path, line, f"{what}; take a sample of the tasks")

    def _score(self, line: int, score: str, resolved: str) -> float:
        if not score:
            known = RESOLVED.get(resolved.strip().lower())
            if known is None:
                given = f"resolved is {_short(resolved)}; it must be 0, 1, true or false"
                _fail(self.path, line, given if resolved else "score is empty; leave out such rows")
            return known
        value = self._number(line, "score", score)
        if not 0.0 <= value <= 1.0:
            _fail(self.path, line, f"score is {_short(score)}; it must be from 0 to 1")
        return value

    def _cost(self, line: int, model: str, usd: str, sent: str, received: str) -> float:
        """USD; NaN when it is not told."""
        if usd:
            return self._amount(line, "cost", usd)
        if not sent or not received:
            return math.nan
        tokens = [
            self._amount(line, "input_tokens", sent),
            self._amount(line, "output_tokens", received),
        ]
        price = _price(model)
        if price is None:
            _fail(self.path, line, f"no price of {model!r} is known; give its calls a cost in USD")
        return (tokens[0] * price.input + tokens[1] * price.output) / 1e6

    def _amount(self, line: int, name: str, text: str) -> float:
        value = self._number(line, name, text)
        if not 0.0 <= value < math.inf:
            _fail(self.path, line, f"{name} is {_short(text)}; it must be finite and not negative")
        return value

    def _number(self, line: int, name: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            _fail(self.path, line, f"{name} is {_short(text)}, which is not a number")

    def _note(self, where: list[str], task: int, value: str, line: int, what: str) -> None:
        if where[task] and where[task] != value:
            _fail(self.path, line, f"the {what} is {value} here and {where[task]} before")
        where[task] = value

    def _first_line(self, task: str, model: str) -> int:
        """Read again, so that lines need no memory."""
        return next(n for n, row in _rows(self.path)
                    if row[0].strip() == task and row[1].strip() == model)  # fmt: skip


class _Tasks:
    """The file of tasks; what it says of tasks without results is left out."""

    def __init__(self, path: Path, table: _Table) -> None:
        """Adds its dimensions and splits to `table` where that has none."""
        self.path, self._table = path, table
        found: dict[int, int] = {}
        for line, data in _objects(path):
            task = self._task(line, data)
            if task is None:
                continue
            if task in found:
                first = found[task]
                _fail(
                    path, line, f"task {data['task_id']} stands in line {first} already; keep one"
                )
            found[task] = line
            dimension = _text(path, line, "dimension", data.get("dimension"))
            if dimension:
                _check_name(path, line, "dimension", dimension)
            split = _checked_split(path, line, _text(path, line, "split", data.get("split")))
            table.dimensions[task] = table.dimensions[task] or dimension
            table.splits[task] = table.splits[task] or split
        if not found:
            raise ResultsError(f"{path}: none of the tasks in {table.path} is in it; check task_id")

    def _task(self, line: int, data: dict[str, Any]) -> int | None:
        name = _text(self.path, line, "task_id", data.get("task_id")).strip()
        if not name:
            near = difflib.get_close_matches("task_id", list(data), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            _fail(self.path, line, f"no task_id{hint}")
        return self._table.tasks.get(name)

    def prompts(self) -> Iterator[tuple[int, str]]:
        """(row number of the task, prompt)."""
        for line, data in _objects(self.path):
            task = self._task(line, data)
            if task is not None:
                yield task, _text(self.path, line, "prompt", data.get("prompt"))


def _check_name(path: Path, line: int, column: str, name: str) -> None:
    if not 0 < len(name) <= NAME:
        what = f"longer than {NAME} characters" if name else "empty"
        _fail(path, line, f"{column} is {what}")


def _checked_split(path: Path, line: int, split: str) -> str:
    split = split.strip().lower()
    if split and split not in SPLITS:
        _fail(path, line, f"split is {_short(split)}; it must be one of {', '.join(SPLITS)}")
    return split


@cache
def _price(model: str) -> Price | None:
    from acr.agents.prices import price

    return price(Profile(model, "", model, "mid"))


# ---- the matrix


def _split(path: Path, table: _Table) -> tuple[list[str], bool]:
    """The split of each task, and whether it was given."""
    if not any(table.splits):
        order = sorted(table.tasks, key=lambda name: hashlib.sha256(name.encode()).digest())
        train = set(order[: len(order) // 2])
        return ["train" if name in train else "test" for name in table.tasks], False
    if "" in table.splits:
        name = next(n for n, split in zip(table.tasks, table.splits, strict=True) if not split)
        raise ResultsError(f"{path}: task {name} has no split and others have; give all or none")
    if not {"test", "ood"} & set(table.splits):
        raise ResultsError(f"{path}: no task is of split test or ood: nothing to replay")
    return table.splits, True


def _read_prompts(
    table: _Table,
    more: _Tasks | None,
    embedder: Callable[[], Embedder] | None,
    classify: Callable[[Sequence[str]], Iterable[str]] | None,
) -> tuple[NDArray[np.float32], list[bytes], str]:
    """(vectors, a hash of each prompt, the space); the files are read again, a batch at a time.

    Dimensions that nobody gave are put into `table`.
    """
    import numpy as np

    from acr.context.dimension import human_ask

    n = len(table.tasks)
    vectors, space = np.zeros((n, 1), np.float32), ""
    marks = [b""] * n
    own = ((table.tasks[row[0].strip()], row[-1]) for _, row in _rows(table.path))
    sources = [*([own] if table.prompted else []), *([more.prompts()] if more else [])]
    fresh = _fresh(itertools.chain.from_iterable(sources), marks)
    made: Embedder | None = None
    while batch := list(itertools.islice(fresh, BATCH)):
        if embedder and not made:
            made = embedder()
            vectors, space = np.zeros((n, made.dimensions), np.float32), made.id
        if made:
            vectors[[task for task, _ in batch]] = made.embed(
                [human_ask(text) for _, text in batch]
            )
        if classify and (open_ := [b for b in batch if not table.dimensions[b[0]]]):
            kinds = classify([text for _, text in open_])
            for (task, _), kind in zip(open_, kinds, strict=True):
                table.dimensions[task] = kind
    return vectors, marks, space


def _fresh(prompts: Iterable[tuple[int, str]], marks: list[bytes]) -> Iterator[tuple[int, str]]:
    """The first prompt of each task; its hash is put into `marks`."""
    for task, prompt in prompts:
        if not marks[task] and prompt.strip():
            marks[task] = hashlib.sha256(prompt.strip().encode()).digest()[:16]
            yield task, prompt


def _matrix(
    table: _Table,
    sha256: str,
    split: Sequence[str],
    given: bool,
    vectors: NDArray[np.float32],
    marks: Sequence[bytes],
    space: str,
) -> Matrix:
    import numpy as np

    models = tuple(sorted(table.models))
    score = _filled(table.scores, [table.models[m] for m in models], len(table.tasks))
    cost = _filled(table.costs, [table.models[m] for m in models], len(table.tasks))
    prices = tuple(_price(model) for model in models)
    known = {m for m, part in zip(marks, split, strict=True) if m and part in ("train", "val")}
    overlap = [m in known and part in ("test", "ood") for m, part in zip(marks, split, strict=True)]
    return Matrix(
        name=table.path.name,
        sha256=sha256,
        models=models,
        tiers=_tiers(models, prices, cost),
        prices=prices,
        tasks=tuple(table.tasks),
        dimensions=tuple(dimension or "unknown" for dimension in table.dimensions),
        split=np.array(split),
        score=score,
        cost=cost,
        vectors=vectors,
        overlap=np.array(overlap),
        embedder=space,
        about={"rows": table.rows, "split": "given" if given else "by hash of task_id"},
    )


def _filled(columns: list[array[float]], order: Sequence[int], n: int) -> NDArray[np.float64]:
    """Tasks x models; `columns` are emptied on the way."""
    import numpy as np

    whole = np.full((n, len(order)), np.nan)
    for place, column in enumerate(order):
        values, columns[column] = columns[column], array("d")
        whole[: len(values), place] = values
    return whole


def _tiers(
    models: Sequence[str], prices: Sequence[Price | None], cost: NDArray[np.float64]
) -> tuple[Tier, ...]:
    """As the benchmark has it, else by price, else by the rank of the mean cost of a call."""
    import numpy as np

    from acr.orchestrator import benchmark
    from acr.orchestrator.build_prior import tier_of_price

    known = ((n, column[~np.isnan(column)]) for n, column in enumerate(cost.T))
    paid = {n: float(costs.mean()) for n, costs in known if costs.size}
    ranked = sorted(paid, key=lambda n: (paid[n], models[n]))

    def tier(n: int) -> Tier:
        if listed := benchmark.load().tier(models[n]):
            return listed
        if (price := prices[n]) is not None:
            return tier_of_price(price.output)
        if n not in paid:
            return "mid"
        return TIERS[int((ranked.index(n) + 0.5) / len(ranked) * len(TIERS))]

    return tuple(map(tier, range(len(models))))
