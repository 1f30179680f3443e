"""Faults that are planted in code: where, which, and in reasonable time."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.verifier.signals.mutation import FILE_CAP, LIMIT, faults, targets

CODE = b'''"""1 + 1 == 2"""


def add(a, b):
    # 3 + 3
    if a == 0 and b > 1:
        return b
    return a + b


def other(x):
    return x * 2
'''


def told(code: dict[str, bytes], tests: bytes = b"") -> list[str]:
    return [f"{f.path}:{f.line} {f.what}" for f in faults(code, {"t": tests})]


def test_only_code_is_changed_and_that_which_the_tests_name_first() -> None:
    assert told({"calc.py": CODE}, b"from calc import add") == [
        "calc.py:6 == -> !=",
        "calc.py:6 0 -> 1",
        "calc.py:6 and -> or",
        "calc.py:6 > -> >=",
        "calc.py:6 1 -> 2",
        "calc.py:8 + -> -",
    ]
    assert "calc.py:12 * -> +" in told({"calc.py": CODE})


def test_each_fault_is_one_change_of_a_whole_file() -> None:
    for fault in faults({"calc.py": CODE}, {}):
        assert fault.content != CODE
        assert len(fault.content) - len(CODE) in (-1, 0, 1)
        ast.parse(fault.content)


@pytest.mark.parametrize(
    ("path", "code", "wanted"),
    [
        ("a.js", b"export const add = (a, b) => a + b;\n// a - b\n", ["a.js:1 + -> -"]),
        ("a.go", b"func Add(a int) int {\n\treturn a - b\n}\n", ["a.go:2 - -> +"]),
        ("a.rs", b"fn f() -> bool { true }\n#[cfg(test)]\nmod t { fn g() { 1 + 2 } }\n",
         ["a.rs:1 true -> false"]),
        ("A.java", b"static int f(int x) { return x < 3 ? 1 : 2; }", ["A.java:1 < -> <="]),
        ("a.py", b"x = 'a + b' + c\n", ["a.py:1 + -> -"]),
    ],
)  # fmt: skip
def test_languages(path: str, code: bytes, wanted: list[str]) -> None:
    assert [line for line in told({path: code}) if not line[-1].isdigit()] == wanted


def test_there_are_few_spread_and_always_the_same() -> None:
    code = {"a.py": b"x = 1 + 2\n" * 500}
    first = faults(code, {})
    assert len(first) == LIMIT
    assert first == faults(code, {})
    assert first[-1].line - first[0].line > 100


def test_targets_are_named_by_the_tests_or_lie_beside_them() -> None:
    sources = ["src/calc.py", "src/other.py", "x/y.go", "z.go", "calc.md", "lib.rs"]
    tests = {"tests/test_a.py": b"from calc import add", "x/y_test.go": b"", "lib.rs": b""}
    assert targets(tests, sources) == ("src/calc.py", "x/y.go", "lib.rs")


@given(st.text())
def test_any_text_can_be_changed(text: str) -> None:
    data = text.encode(errors="surrogatepass")
    for fault in faults({"a.py": data, "b.rs": data}, {"t": b""}):
        assert fault.content != data


@pytest.mark.parametrize("piece", ["a", "const a", "(", '"', "1 + ", "#[cfg(test)]", "func ", "{"])
def test_hostile_text_takes_no_long_time(piece: str) -> None:
    began = time.process_time()
    faults({"a.rs": (piece * (FILE_CAP // len(piece))).encode()}, {})
    assert time.process_time() - began < 20
