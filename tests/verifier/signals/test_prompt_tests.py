"""Examples in prompts: found, matched with the changed code, tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.verifier.signals import prompt_tests
from acr.verifier.signals.prompt_tests import Held, applicable, examples, read, script, signal

TASK = """Write roman(n). For example:

```python
assert roman(4) == "IV"
assert roman(
    9
) == "IX"
```

>>> roman(14)
'XIV'

`roman(40)` should return `'XL'`. roman(0) must return "" and not None.
"""
RIGHT = """
def roman(n):
    pairs = [(40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    out = ""
    for value, letters in pairs:
        while n >= value:
            n, out = n - value, out + letters
    return out
"""


def sources(prompt: str) -> list[str]:
    return [one.source.strip() for one in examples(prompt)]


def tried(prompt: str, code: dict[str, str], folder: Path) -> Held:
    """The examples of `prompt`, run on files made from `code`."""
    for path, text in code.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = examples(prompt)
    files = applicable(found, {path: text.encode() for path, text in code.items()})
    result = folder / "held.json"
    subprocess.run([sys.executable, *script(found, files, result)], cwd=folder, check=True)
    held = read(result, len(found))
    assert held is not None
    return Held(tuple(one.source for one in found), frozenset(), held)


def test_asserts_doctests_and_sentences_are_found() -> None:
    assert sources(TASK) == [
        'assert roman(4) == "IV"',
        'assert roman(\n9\n) == "IX"',
        "roman(14)",
        "assert roman(40) == 'XL'",
        'assert roman(0) == ""',
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "explain what assert does",
        "assert the value is right",
        "it fails: E   assert -1 == 3",
        "the test asserts that f returns 2; f(1) returns 3 now",
        "f(x) should return a list of names",
        "see https://example.com/f(1)",
    ],
)
def test_prose_is_no_example(prompt: str) -> None:
    assert not sources(prompt)


def test_the_failing_line_of_a_pytest_report_is_one() -> None:
    report = (
        ">       assert add(1, 2) == 3\nE       assert -1 == 3\nE        +  where -1 = add(1, 2)\n"
    )
    assert sources(report) == ["assert add(1, 2) == 3"]


def test_they_count_only_when_the_changed_files_define_what_they_use() -> None:
    found = examples("assert add(1, 2) == 3")
    assert applicable(found, {"a.py": b"def add(a, b): ..."}) == {"add": "a.py"}
    assert not applicable(found, {"a.py": b"def sub(a, b): ..."})
    assert not applicable(found, {"a.py": b"def add(): ...", "b.py": b"add = 1"})
    assert not applicable(found, {"a.py": b"def add("})
    assert not applicable(examples("nothing"), {"a.py": b"x = 1"})


def test_right_code_holds_them_all_and_wrong_code_is_named(tmp_path: Path) -> None:
    right = tried(TASK, {"roman.py": RIGHT}, tmp_path / "right")
    assert right.decisive
    assert signal(right).score == 1.0
    wrong = tried(TASK, {"roman.py": RIGHT.replace('(9, "IX"), ', "")}, tmp_path / "wrong")
    assert not wrong.decisive
    assert [e.replace("\n", "") for e in wrong.failing] == ['assert roman(9) == "IX"']
    assert signal(wrong).score == 0.8
    assert "not: assert roman" in signal(wrong).detail


def test_modules_in_packages_keep_their_relative_imports(tmp_path: Path) -> None:
    code = {"src/p/__init__.py": "", "src/p/a.py": "from .b import two\ndef f(): return two\n"}
    (tmp_path / "src/p").mkdir(parents=True)
    (tmp_path / "src/p/b.py").write_text("two = 2\n")
    assert not tried("assert f() == 2", code, tmp_path).failing


def test_doctests_keep_their_names_and_exceptions(tmp_path: Path) -> None:
    prompt = """
    >>> s = Stack()
    >>> s.push(1)
    >>> s.pop()
    1
    >>> s.pop()
    Traceback (most recent call last):
        ...
    IndexError: pop from empty list
    """
    code = "class Stack(list):\n    push = list.append\n"
    assert not tried(prompt, {"stack.py": code}, tmp_path).failing


def test_code_that_cannot_be_imported_or_ends_the_run_tells_nothing_good(tmp_path: Path) -> None:
    prompt = "assert f() == 1"
    result = tmp_path / "held.json"
    (tmp_path / "a.py").write_text("def f(): return 1\nimport no_such_module\n")
    argv = script(examples(prompt), {"f": "a.py"}, result)
    subprocess.run([sys.executable, *argv], cwd=tmp_path, check=True)
    assert read(result, 1) is None
    result.unlink()
    (tmp_path / "a.py").write_text("import os\ndef f(): os._exit(0)\n")
    subprocess.run([sys.executable, *argv], cwd=tmp_path, check=True)
    assert read(result, 1) == frozenset()


@pytest.mark.parametrize("text", ["{", "[[]]", '["0"]', "[true]", "[-1, 7]", '{"0": 1}'])
def test_forged_results_hold_nothing(tmp_path: Path, text: str) -> None:
    result = tmp_path / "held.json"
    result.write_text(text)
    assert read(result, 2) == frozenset()


@given(st.text())
def test_any_prompt_is_read(prompt: str) -> None:
    assert len(examples(prompt)) <= prompt_tests.LIMIT


@pytest.mark.parametrize(
    "piece", ["f(", "assert f(1) == ", ">>> f(1)\n", " should return ", "(" * 50, "`", "assert (\n"]
)
def test_repeated_pieces_take_no_long_time(piece: str) -> None:
    examples(piece * 5_000)
