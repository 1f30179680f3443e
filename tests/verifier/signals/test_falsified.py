"""Tests that are made to fail: found by their id, changed at their start, else left alone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from acr.verifier.signals.falsified import falsified, falsified_scripts

PYTHON = '''import unittest
import pytest


class TestA(unittest.TestCase):
    def test_method(self):
        """Says something."""
        self.assertTrue(f())

    def test_other(self):
        with self.assertRaises(ValueError):
            f()


@pytest.mark.parametrize("x", [1])
def test_many(x):
    for y in (x,):
        assert f(x) == "ü", y


def test_short(): assert f()


@pytest.mark.xfail
def test_expected(): assert f()


@swallows
def test_wrapped():
    assert f()


async def test_later():
    @decorated
    def inner():
        return 1
    assert inner() == await f()


def helper():
    assert f()
'''


def made(tmp_path: Path, runner: str, name: str, text: str, *tests: str) -> tuple[str, set[str]]:
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    files, ids = falsified(runner, tmp_path, ".", tests)
    assert set(files) <= {name}
    return files.get(name, b"").decode(), set(ids)


def test_python_tests_fail_in_the_words_of_their_own_checks(tmp_path: Path) -> None:
    names = ["TestA::test_method", "TestA::test_other", "test_many[1]", "test_many[a::b]"]
    names += ["test_short", "test_expected", "test_wrapped", "test_later"]
    text, ids = made(
        tmp_path, "pytest", "a/test_a.py", PYTHON, *(f"a/test_a.py::{n}" for n in names)
    )
    ast.parse(text)
    assert ids == {f"a/test_a.py::{n}" for n in names if n not in ("test_expected", "test_wrapped")}
    assert text.count("self.assertTrue(False)") == 1
    assert text.count("raise AssertionError('made to fail by acr')") == 1
    assert text.count("assert 1 == 2, 'made to fail by acr'") == 3
    assert "assert f(x) == 'ü', y" in text


def test_a_python_test_still_runs_before_it_fails(tmp_path: Path) -> None:
    source = "def test_a(way):\n    ran.append(way)\n    if way:\n        raise way\n    return 1\n"
    text, _ = made(tmp_path, "pytest", "test_a.py", source, "test_a.py::test_a")
    ran: list[Exception | None] = []
    space: dict[str, Any] = {"ran": ran}
    exec(text, space)
    with pytest.raises(AssertionError, match="made to fail"):
        space["test_a"](None)
    with pytest.raises(KeyError):  # what it raised before is what it raises now
        space["test_a"](KeyError())
    assert len(ran) == 2


def test_the_own_check_of_a_python_test_gets_another_constant(tmp_path: Path) -> None:
    source = "def test_a():\n    assert f(1) == 3\n\ndef test_b():\n    assert f(1) == f(2)\n"
    source += "class A:\n    def test_c(self):\n        self.assertEqual(f(), 'x')\n"
    ids = ("test_a.py::test_a", "test_a.py::test_b", "test_a.py::A::test_c")
    text, _ = made(tmp_path, "pytest", "test_a.py", source, *ids)
    assert "assert f(1) == 7922, 'made to fail by acr'" in text
    assert "assert 1 == 2" in text
    assert "self.assertEqual(f(), 'x made to fail by acr')" in text


def test_a_dotted_id_names_the_file_and_class(tmp_path: Path) -> None:
    here, other = "test_a.TestA.test_method", "test_b.TestA.test_method"
    text, ids = made(tmp_path, "unittest", "t/test_a.py", PYTHON, here, "t." + here, other)
    assert ids == {here, "t." + here}
    assert text.count("assertTrue(False)") == 1


@pytest.mark.parametrize("text", ["def test_a(:\n", "", "x = " + "(" * 500])
def test_a_file_that_does_not_parse_is_left_alone(tmp_path: Path, text: str) -> None:
    assert made(tmp_path, "pytest", "test_a.py", text, "test_a.py::test_a") == ("", set())


SCRIPT = """import { expect, it } from "vitest";
describe("outer", () => {
  describe('in\\\\ner', () => it("odd", () => {}));
  it.skip("skipped", () => expect(f()).toBe(1));
  it(`one`, async () => { expect(await f("ü")).toEqual({ a: 1 }); });
  it("two", function () { f().should.be.ok; });
  it.each([1])("many %i", (x) => expect(x).toBe(1));
  const title = "three";
  it(title, () => {});
});
"""


@pytest.mark.parametrize(
    ("runner", "name", "ids"),
    [
        ("vitest", "a.test.ts", ["a.test.ts::outer > one", "a.test.ts::outer > two"]),
        ("jest", "a.test.js", ["a.test.js::outer one", "a.test.js::outer two"]),
        ("mocha", "test/a.js", ["outer::one", "test/a.js::outer::two"]),
        ("node", "a.spec.mjs", ["outer::one", "outer::two"]),
    ],
)
def test_javascript_s_tests_are_found_by_their_titles(
    tmp_path: Path, runner: str, name: str, ids: list[str]
) -> None:
    others = [ids[0].replace("one", n) for n in ("skipped", "many 1", "three", "inner odd", "none")]
    text, found = made(tmp_path, runner, name, SCRIPT, *ids, *others)
    assert found == set(ids)
    assert "toEqual({ a: 1 }); }).apply(this, a); expect(1).toEqual(2); });" in text
    assert 'it("two", async function (...a) { await (function () { f()' in text
    assert '.apply(this, a); throw new Error("made to fail by acr"); });' in text


def test_asserts_of_node_keep_their_name(tmp_path: Path) -> None:
    text = 'test("a", (t) => check.assert.deepEqual(f(), 1));\ntest("b", () => assert(f()));\n'
    new, ids = made(tmp_path, "node", "a.test.js", text, "a", "b")
    assert ids == {"a", "b"}
    assert "assert.deepEqual(1, 2)" in new
    assert "assert(0)" in new


def test_compiled_languages(tmp_path: Path) -> None:
    text, ids = made(
        tmp_path,
        "go",
        "sub/a_test.go",
        "func TestA(t *testing.T) {\n\trequire.Equal(t, 1, F())\n}\n"
        "func TestB(x *testing.T) { F() }\nfunc TestC(b *testing.B) {}\n",
        *("mod/sub::TestA", "mod/sub::TestB/case", "mod/sub::TestC", "mod/other::TestA"),
    )
    assert ids == {"mod/sub::TestA", "mod/sub::TestB/case"}
    assert "{ defer func() { recover(); require.Equal(t, 1, 2) }();" in text
    assert '{ defer func() { recover(); x.Fatal("made to fail by acr") }(); F() }' in text
    rust = "#[test]\nfn a() {\n    assert!(f());\n}\n#[test]\n#[should_panic]\nfn b() { f() }\n"
    rust += "#[tokio::test]\nasync fn c() -> Result<(), E> { f() }\nfn d() {}\n"
    text, ids = made(tmp_path, "cargo", "l.rs", rust, *(f"src/l.rs::t::{n}" for n in "abcd"))
    assert ids == {"src/l.rs::t::a", "src/l.rs::t::c"}
    assert "panicking() { assert!(1 == 2); }" in text
    assert 'panicking() { panic!("made to fail by acr"); }' in text
    java = "class T {\n @Test(expected = E.class) public void a() { f(); }\n"
    java += ' @Test @Slow void b() throws E {\n  // }\n  Assert.assertEquals("}", f());\n }\n'
    java += " @ParameterizedTest void c(int x) { f(x); }\n}\n"
    text, ids = made(tmp_path, "junit", "T.java", java, "T::a", "p.T::b", "T::c(int)[1]", "U::b")
    assert ids == {"p.T::b", "T::c(int)[1]"}
    assert "\n } catch (Throwable atEnd) { } finally { Assert.assertEquals(1, 2); } }" in text
    assert 'try { f(x); } catch (Throwable atEnd) { } finally { throw new AssertionError("' in text


def test_where_tests_cannot_be_told_apart_nothing_is_changed(tmp_path: Path) -> None:
    assert falsified("", tmp_path, ".", ["the test command"]) == ({}, frozenset())


def test_scripts_that_run_to_their_end_fail_there(tmp_path: Path) -> None:
    texts = {"a.sh": "true\n", "b.py": "f()", "c.js": "f()", "d.sh": "exit 0\n", "e.pl": "1;\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    files = falsified_scripts(tmp_path, ["a.sh", "b.py", "c.js", "gone.sh"])
    assert files["a.sh"] == b"true\n\nexit 1\n"
    assert files["b.py"].startswith(b"f()\nraise SystemExit(")
    assert set(files) == {"a.sh", "b.py", "c.js"}
    assert falsified_scripts(tmp_path, ["a.sh", "d.sh"]) == {}
    assert falsified_scripts(tmp_path, ["a.sh", "e.pl"]) == {}
