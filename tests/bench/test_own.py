"""The user's own results become a matrix; whatever is wrong with a file is named by its line."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acr.bench import own
from acr.bench.own import ResultsError, load
from acr.bench.replay import Call, Question, stream
from acr.errors import AcrError

HEADER = "task_id,model,score,cost\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of results; bytes, text, or objects for JSON Lines."""

    def written(content: Any, name: str = "results.csv") -> Path:
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


class FakeEmbedder:
    """Counts letters; deterministic."""

    id, dimensions = "fake/letters", 2

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self.batches.append(len(texts))
        return [(1.0, 0.0) if "bug" in text else (0.0, 1.0) for text in texts]


def _fails(path: Path, tasks: Path | None = None) -> str:
    with pytest.raises(AcrError) as raised:
        load(path, tasks)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(str(path) if tasks is None else (str(path), str(tasks)))
    return message.replace(f"{path.parent}/", "")


# ---- what is read


def test_a_csv_becomes_a_matrix(write: Write) -> None:
    path = write(HEADER + "t1,b,1,0.5\nt1,a,0.25,0.1\nt2,b,0,0\n")
    matrix = load(path)
    assert (matrix.models, matrix.tasks) == (("a", "b"), ("t1", "t2"))
    np.testing.assert_array_equal(matrix.score, [[0.25, 1.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(matrix.cost, [[0.1, 0.5], [np.nan, 0.0]])
    assert matrix.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert matrix.name == "results.csv"
    assert matrix.dimensions == ("unknown", "unknown")
    assert sorted(matrix.split) == ["test", "train"]
    assert (matrix.vectors.shape, matrix.embedder) == ((2, 1), "")
    assert not matrix.vectors.any()
    assert not matrix.overlap.any()
    assert matrix.about == {"rows": 3, "split": "by hash of task_id"}


def test_json_lines_say_the_same_as_csv(write: Write) -> None:
    rows = [
        {"task_id": 1, "model": "a", "score": 0.5, "cost": None},
        {"task_id": "2", "model": "a", "score": 1, "cost": 0.25},
    ]
    lines = load(write(rows, "results.jsonl"))
    table = load(write("task_id,model,score,cost\n1,a,0.5,\n2,a,1,0.25\n"))
    assert lines.tasks == table.tasks == ("1", "2")
    np.testing.assert_array_equal(lines.score, table.score)
    np.testing.assert_array_equal(lines.cost, table.cost)
    assert math.isnan(lines.cost[0, 0])
    assert list(lines.split) == list(table.split)


def test_columns_may_have_other_cases_orders_and_a_byte_order_mark(write: Write) -> None:
    path = write("\ufeffCost_USD, Model ,resolved,Task_ID,note\n2,m,TRUE,t,hello\n")
    matrix = load(path)
    assert (matrix.tasks, matrix.models) == (("t",), ("m",))
    assert (matrix.score.item(), matrix.cost.item()) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "score"), [("1", 1.0), ("0", 0.0), ("true", 1.0), ("False", 0.0), ("1.0", 1.0)]
)
def test_resolved_is_a_score_of_0_or_1(write: Write, text: str, score: float) -> None:
    assert load(write(f"task_id,model,resolved,cost\nt,m,{text},1\n")).score.item() == score


def test_json_booleans_are_resolved_too(write: Write) -> None:
    rows = [{"task_id": "t", "model": m, "resolved": m == "a", "cost": 0} for m in "ab"]
    assert load(write(rows, "results.jsonl")).score.tolist() == [[1.0, 0.0]]


def test_tokens_cost_what_the_price_table_says(write: Write) -> None:
    path = write("task_id,model,score,input_tokens,output_tokens\nt,gpt-4o,1,1000000,100000\n")
    matrix = load(path)
    price = matrix.prices[0]
    assert price is not None
    assert matrix.cost.item() == pytest.approx(price.input + price.output / 10)


def test_lines_within_quotes_count_and_empty_lines_are_skipped(write: Write) -> None:
    path = write(HEADER.strip() + ',prompt\r\n\r\nt,a,1,1,"two\r\nlines"\r\nt,b,2,1,\r\n')
    assert _fails(path) == "results.csv, line 5: score is '2'; it must be from 0 to 1"


def test_half_of_the_tasks_are_for_probing_whatever_their_order(write: Write) -> None:
    rows = [f"task-{n},m,1,0\n" for n in range(101)]
    one, other = load(write(HEADER + "".join(rows))), load(write(HEADER + "".join(rows[::-1])))
    splits = dict(zip(one.tasks, one.split.tolist(), strict=True))
    assert splits == dict(zip(other.tasks, other.split.tolist(), strict=True))
    assert list(splits.values()).count("train") == 50


def test_splits_and_dimensions_come_from_the_results_then_from_the_tasks(write: Write) -> None:
    path = write(
        "task_id,model,score,cost,dimension,split\n"
        "t1,m,1,0,algorithm,train\nt2,m,1,0,,\nt2,n,1,0,my own kind,\n"
    )
    tasks = write(
        [
            {"task_id": "t1", "dimension": "other", "split": "test"},
            {"task_id": "t2", "dimension": "other", "split": "ood", "more": [1]},
            {"task_id": "elsewhere", "split": "val"},
        ],
        "tasks.jsonl",
    )
    matrix = load(path, tasks)
    assert matrix.dimensions == ("algorithm", "my own kind")
    assert matrix.split.tolist() == ["train", "ood"]
    assert matrix.about["split"] == "given"


def test_prompts_are_embedded_once_and_classified_where_the_dimension_is_unknown(
    write: Write,
) -> None:
    path = write(
        "task_id,model,score,cost,prompt,dimension,split\n"
        "t1,m,1,0,fix the bug,,train\nt1,n,1,0,fix the bug,,train\n"
        "t2,m,1,0,,,test\nt3,m,1,0,add a page,code_generation,test\nt4,m,1,0,,,test\n"
    )
    tasks = write([{"task_id": "t4", "prompt": " fix the bug"}, {"task_id": "t3"}], "tasks.jsonl")
    asked: list[str] = []

    def classify(prompts: Sequence[str]) -> list[str]:
        asked.extend(prompts)
        return ["bug_fixing"] * len(prompts)

    embedder = FakeEmbedder()
    matrix = load(path, tasks, lambda: embedder, classify)
    assert matrix.vectors.tolist() == [[1, 0], [0, 0], [0, 1], [1, 0]]
    assert matrix.embedder == "fake/letters"
    assert sum(embedder.batches) == 3
    assert asked == ["fix the bug", " fix the bug"]
    assert matrix.dimensions == ("bug_fixing", "unknown", "code_generation", "bug_fixing")
    assert matrix.overlap.tolist() == [False, False, False, True]


def test_without_prompts_no_embedder_is_loaded(write: Write) -> None:
    def embedder() -> FakeEmbedder:
        raise AssertionError("loaded")

    load(write(HEADER + "t,m,1,0\n"), None, embedder)


def test_tiers_go_by_the_benchmark_then_by_price_then_by_mean_cost(write: Write) -> None:
    names = ["claude-opus-4-6", "o1", "in-house-1", "in-house-2", "in-house-3", "in-house-4"]
    costs = [9, 8, 0.001, 0.002, "", 50]
    rows = "".join(f"t,{name},1,{cost}\n" for name, cost in zip(names, costs, strict=True))
    matrix = load(write(HEADER + rows))
    tiers = dict(zip(matrix.models, matrix.tiers, strict=True))
    assert tiers["claude-opus-4-6"] == "frontier"
    assert tiers["o1"] == "frontier"
    assert tiers["in-house-1"] == "minimal"
    assert tiers["in-house-2"] == "efficient"
    assert tiers["in-house-3"] == "mid"
    assert tiers["in-house-4"] == "frontier"


class First:
    """Always calls the first model that can be called."""

    name = "first"

    def fit(self, probing: Any) -> None:
        pass

    def choose(self, question: Question, made: Sequence[Call]) -> int | None:
        return question.available.index(True)

    def learn(self, question: Question, made: Sequence[Call]) -> None:
        pass


def test_a_model_without_a_row_cannot_be_chosen(write: Write) -> None:
    matrix = load(write(HEADER + "t1,a,0,1\nt1,b,1,1\nt2,b,1,1\n"))
    played = stream(matrix, First())
    assert played.used.tolist() == [[1, 0], [0, 1]]
    assert played.score.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("rows", ["t1,m,0.5,1\nt2,m,0,1\n", "t1,a,0.5,1\nt1,b,1,2\n"])
def test_one_model_or_one_task_is_enough(write: Write, rows: str) -> None:
    matrix = load(write(HEADER + rows))
    assert "test" in matrix.split
    stream(matrix, First())


def test_a_single_task_is_replayed_and_not_learned_from(write: Write) -> None:
    assert load(write(HEADER + "t,m,1,1\n")).split.tolist() == ["test"]


# ---- bad input


def test_files_that_cannot_be_read(write: Write, tmp_path: Path) -> None:
    assert _fails(tmp_path / "none.csv") == (
        "none.csv: No such file or directory; name a file that can be read"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    assert _fails(folder) == "folder: not a regular file; name a CSV or a .jsonl file"
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in _fails(tmp_path / "pipe")
    results = write(HEADER + "t,m,1,0\n")
    missing = tmp_path / "tasks.jsonl"
    assert _fails(results, missing).startswith("tasks.jsonl: No such file")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_empty_files(write: Write, content: str, name: str) -> None:
    message = _fails(write(content, name))
    assert message.startswith(f"{name}: empty; expected a ")
    assert "task_id; model; score or resolved; cost, cost_usd, or input_tokens" in message


def test_a_header_alone(write: Write) -> None:
    assert _fails(write(HEADER)).endswith("there are no rows, only names of columns; add results")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("taskid,model,score,cost", "no task_id (did you mean taskid?). Expected"),
        ("task_id,modle,scores,cost", "no model (did you mean modle?); no score or resolved (did"),
        ("task_id,model,score,usd_cost", "input_tokens and output_tokens (did you mean usd_cost?)"),
        ("task_id,model,score,input_tokens", "no cost, cost_usd, or input_tokens and output_token"),
        ("task_id;model;score;cost", "; no commas between the columns. Expected"),
        ("task_id,model,score,cost,Score", "two columns are called score; leave one"),
    ],
)
def test_columns_that_are_missing_or_doubled(write: Write, header: str, words: str) -> None:
    assert words in _fails(write(f"{header}\n"))


def test_keys_that_are_missing_in_json_lines(write: Write) -> None:
    path = write([{"task": "t", "model": "m", "score": 1, "cost": 1}], "results.jsonl")
    assert "no task_id (did you mean task?)" in _fails(path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("t,m,1.01,0", "score is '1.01'; it must be from 0 to 1"),
        ("t,m,-0.1,0", "score is '-0.1'; it must be from 0 to 1"),
        ("t,m,nan,0", "score is 'nan'; it must be from 0 to 1"),
        ("t,m,good,0", "score is 'good', which is not a number"),
        ("t,m,,0", "score is empty; leave out such rows"),
        ("t,m,1,-1", "cost is '-1'; it must be finite and not negative"),
        ("t,m,1,inf", "cost is 'inf'; it must be finite and not negative"),
        ("t,m,1,nan", "cost is 'nan'; it must be finite and not negative"),
        ("t,m,1,$3", "cost is '$3', which is not a number"),
        (",m,1,0", "task_id is empty"),
        ("t, ,1,0", "model is empty"),
        ("t,m,1", "3 fields where the header has 4"),
        ("t,m,1,0,9", "5 fields where the header has 4"),
        ("x" * 201 + ",m,1,0", "task_id is longer than 200 characters"),
        ('t,"m,1,0', "unexpected end of data; is a quotation mark missing?"),
        ("x" * 200_000, "field larger than field limit (131072); is a quotation mark missing?"),
    ],
)
def test_rows_that_are_wrong(write: Write, row: str, words: str) -> None:
    assert _fails(write(f"{HEADER}s,m,1,0\n{row}\n")) == f"results.csv, line 3: {words}"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("t,m,maybe,1,1", "resolved is 'maybe'; it must be 0, 1, true or false"),
        ("t,gpt-4o,1,-1,1", "input_tokens is '-1'; it must be finite and not negative"),
        ("t,gpt-4o,1,1,many", "output_tokens is 'many', which is not a number"),
        ("t,in-house,1,1,1", "no price of 'in-house' is known; give its calls a cost in USD"),
    ],
)
def test_resolved_and_tokens_that_are_wrong(write: Write, row: str, words: str) -> None:
    path = write(f"task_id,model,resolved,input_tokens,output_tokens\n{row}\n")
    assert _fails(path) == f"results.csv, line 2: {words}"


def test_the_same_call_twice(write: Write) -> None:
    path = write(HEADER + "t,a,1,0\nt,b,1,0\n\nt , a,0,0\n")
    words = "a on task t stands in line 2 already; keep one"
    assert _fails(path) == f"results.csv, line 5: {words}"


def test_rows_that_contradict_each_other(write: Write) -> None:
    path = write("task_id,model,score,cost,dimension\nt,a,1,0,algorithm\nt,b,1,0,bug_fixing\n")
    words = "the dimension of task t is bug_fixing here and algorithm before"
    assert _fails(path) == f"results.csv, line 3: {words}"


@pytest.mark.parametrize("text", ["s\xe4,m,1,0\n".encode("latin-1"), "t,m,1,0\n".encode("utf-16")])
def test_text_that_is_not_utf_8(write: Write, text: bytes) -> None:
    path = write(HEADER.encode() + b"t,m,1,0\n" + text)
    byte = len(HEADER) + 8 + (1 if text.startswith(b"s") else 0)
    assert _fails(path) == f"results.csv, line 3: not UTF-8 text (byte {byte}); save it as UTF-8"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON (Expecting property name"),
        ("[1]", "a JSON object is expected, not list"),
        ("[" * 100_000, "JSON with too many digits or levels"),
        ('{"task_id": ' + "1" * 5000 + "}", "JSON with too many digits or levels"),
        ('{"task_id": ["t"]}', "task_id must be text or a number, not list"),
        ('{"task_id": "t", "model": "m", "score": NaN}', "score is 'nan'; it must be from 0 to 1"),
        ('{"task_id": "t", "model": "m", "score": true}', "score is 'True', which is not a number"),
        ('{"task_id": "t", "score": 1}', "model is empty"),
    ],
)
def test_json_lines_that_are_wrong(write: Write, line: str, words: str) -> None:
    good = json.dumps({"task_id": "s", "model": "m", "score": 1, "cost": 0})
    path = write(f"{good}\n\n{line}\n", "results.jsonl")
    assert _fails(path).startswith(f"results.jsonl, line 3: {words}")


def test_half_a_character_in_json_is_no_crash(write: Write) -> None:
    path = write(b'{"task_id": "\\ud800", "model": "m", "score": 1, "cost": 0}', "results.jsonl")
    assert load(path).tasks == ("?",)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"task_id": "t"}, {"task_id": "t"}], ", line 2: task t stands in line 1 already"),
        ([{"taskid": "t"}], ", line 1: no task_id; did you mean taskid?"),
        ([{"task_id": "t", "split": "dev"}], ", line 1: split is 'dev'; it must be one of train,"),
        ([{"task_id": "s"}], ": none of the tasks in "),
        ([], ": none of the tasks in "),
        ([{"task_id": "t", "split": "train"}], ": no task is of split test or ood: nothing to"),
    ],
)
def test_tasks_that_are_wrong(write: Write, lines: list[Any], words: str) -> None:
    results, tasks = write(HEADER + "t,m,1,0\n"), write(lines, "tasks.jsonl")
    assert words in _fails(results, tasks)


def test_a_split_for_some_tasks_only(write: Write) -> None:
    path = write("task_id,model,score,cost,split\ns,m,1,0,test\nt,m,1,0,\n")
    assert _fails(path) == "results.csv: task t has no split and others have; give all or none"


def test_what_would_not_fit_into_memory_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "TASKS", 3)
    path = write(HEADER + "".join(f"t{n},m,1,0\n" for n in range(5)))
    assert _fails(path) == "results.csv, line 5: more than 3 tasks; take a sample of them"
    monkeypatch.setattr(own, "TASKS", 100)
    monkeypatch.setattr(own, "CELLS", 8)
    path = write(HEADER + "".join(f"t{t},m{m},1,0\n" for t in range(3) for m in range(3)))
    words = "3 tasks x 3 models are more than 8 results; take a sample of the tasks"
    assert _fails(path) == f"results.csv, line 8: {words}"


def test_a_line_without_end_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "LINE", 2**20)
    path = write(b"x" * 2**21)
    assert _fails(path) == "results.csv, line 1: longer than 1 MiB; is it text?"


def test_errors_are_expected_ones() -> None:
    assert issubclass(ResultsError, AcrError)
