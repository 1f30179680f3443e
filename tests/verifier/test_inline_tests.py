"""Rust's inline tests: the base's decide."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.verifier.inline_tests import spans, with_tests_of

CODE = "pub fn f() -> char { '}' }\npub fn g() -> &'static str { \"{ \\\" }\" }\n"
TESTS = "#[cfg(test)]\n#[allow(dead_code)]\nmod tests {\n    use super::*;\n    // }\n    #[test]\n    fn t() { assert_eq!(f(), '}'); }\n}\n"  # noqa: E501
WEAK = TESTS.replace("assert_eq!(f(), '}');", "")


def test_test_modules_are_found_past_braces_in_text() -> None:
    text = CODE + TESTS + 'const R: &str = r#"#[cfg(test)] mod no { "#;\n'
    assert [text[start:end] for start, end in spans(text)] == [TESTS.rstrip()]


@pytest.mark.parametrize(
    "text",
    ["#[cfg(test)]\nuse a;\n", "mod a { #[cfg(test)] mod t {} }", "// #[cfg(test)] mod t {}", ""],
)
def test_other_things_are_no_test_modules(text: str) -> None:
    assert spans(text) == []


def test_the_code_stays_and_the_tests_come_back() -> None:
    new = CODE.replace("'}'", "'{'") + WEAK
    mended = with_tests_of((CODE + TESTS).encode(), new.encode()).decode()
    assert "pub fn f() -> char { '{' }" in mended
    assert TESTS.rstrip() in mended
    assert WEAK.rstrip() not in mended


def test_tests_that_were_removed_come_back_and_new_ones_go() -> None:
    old, bare = (CODE + TESTS).encode(), CODE.encode()
    assert with_tests_of(old, bare).count(b"mod tests") == 1
    assert b"mod tests" not in with_tests_of(bare, old)


def test_equal_tests_change_no_byte() -> None:
    new = (CODE + "// more\n" + TESTS).encode()
    assert with_tests_of((CODE + TESTS).encode(), new) is new


@given(st.binary(), st.binary())
def test_any_bytes_are_taken(old: bytes, new: bytes) -> None:
    assert with_tests_of(old, old) == old
    with_tests_of(old, new)


@pytest.mark.parametrize("piece", ["#[cfg(test)]", "#[cfg(test", "r#", "'", '"', "/*", "{", "# ["])
def test_hostile_text_takes_no_long_time(piece: str) -> None:
    began = time.process_time()
    spans(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 20
