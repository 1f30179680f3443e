"""Tests made to fail, under their own names: what still reports them as passed is not believed.

Planted tests show code that makes every test "pass", not code that aims at those which it knows
by name. So tests that failed before and pass now run once more with a check at their end that
cannot hold, in the words in which the test itself checks.
"""

from __future__ import annotations

import ast
import copy
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from acr.verifier.signals.canary import test_files
from acr.verifier.signals.grammars import language
from acr.verifier.signals.results import UnreadableError, read_result
from acr.verifier.tampering import is_test

__all__ = ["falsified", "falsified_scripts"]

FILES = 200
"""Test files that are changed."""
TESTS = 500
"""Tests that are made to fail."""
DEPTH = 200
"""Brackets within brackets in a script."""
NEAR = 2000
"""Characters of a test in which its way to check is looked for."""
_WHY = "made to fail by acr"
Edit = tuple[int, int, str]
"""Where in the text (start, end) to put what."""


def falsified(
    runner: str, folder: Path, cwd: str, tests: Iterable[str]
) -> tuple[dict[str, bytes], frozenset[str]]:
    """(new content of test files by path relative to the copy `folder`, ids that must now fail).

    `runner` is as canary.plant knows it, or junit; of its ids `tests` only those are taken whose
    text is found for certain. Tests that are not written out, or that something around them may
    expect to fail, are left alone.
    """
    files: dict[str, bytes] = {}
    made: set[str] = set()
    if runner not in _WAYS:
        return files, frozenset()
    pattern, find = _WAYS[runner]
    wanted = frozenset(sorted(tests)[:TESTS])
    for path in test_files(folder / cwd, pattern):
        edits: list[Edit] = []
        for test, edit in find(path, functools.partial(_read, folder / cwd / path), wanted):
            made.add(test)
            edits.append(edit)
        if edits:
            new = _edited(_read(folder / cwd / path), edits)
            files[os.path.normpath(os.path.join(cwd, path))] = new.encode(errors="surrogateescape")
        if len(files) == FILES:
            break
    return files, frozenset(made)


def falsified_scripts(folder: Path, scripts: Iterable[str]) -> dict[str, bytes]:
    """New content of those of `scripts`, paths in the copy `folder`, that are there: each fails.

    Nothing where one of them may end before its end, or is of an unknown language.
    """
    files: dict[str, bytes] = {}
    for path in scripts:
        text = _read(folder / path)
        if not text:
            continue
        last = _LAST.get(Path(path).suffix)
        if last is None or re.search(r"exit|\bexec\b|\breturn\b.*\|\||\bmain\(", text):
            return {}
        files[path] = f"{text}\n{last}\n".encode(errors="surrogateescape")
    return files


_LAST = {
    **dict.fromkeys((".sh", ".bash", ".zsh"), "exit 1"),
    ".py": f"raise SystemExit({_WHY!r})",
    ".rb": "exit 1",
    **dict.fromkeys(
        (".js", ".cjs", ".mjs"),
        "process.exitCode = 1; process.on('exit', () => { process.exitCode = 1; });",
    ),
}
"""By suffix: what ends a script with an exit code that is not 0."""


def _read(path: Path) -> str:
    try:
        return read_result(path).decode(errors="surrogateescape")
    except UnreadableError:
        return ""


def _edited(text: str, edits: Iterable[Edit]) -> str:
    for start, end, new in sorted(set(edits), reverse=True):
        text = text[:start] + new + text[end:]
    return text


Read = Callable[[], str]
Find = Callable[[Path, Read, frozenset[str]], Iterator[tuple[str, Edit]]]
"""(path, what gives its text, wanted ids) -> those that stand there, and what makes each fail."""

_DECORATORS = re.compile(
    r"(?:pytest\.)?mark\.(?!xfail|skip)|(?:(?:unittest\.)?mock\.)?patch\b|given\b|settings\b"
    r"|example\b|parameterized\b|staticmethod\b|override\b"
)
_CHECKS = {
    "assertEqual": "1, 2",
    "assertEquals": "1, 2",
    "assertTrue": "False",
    "assertFalse": "True",
    "assertIs": "1, 2",
    "assertIsNone": "1",
    "assertIsNotNone": "None",
    "assertIn": "1, ()",
    "assertListEqual": "[1], [2]",
    "assertDictEqual": "{1: 1}, {}",
    "assertAlmostEqual": "1, 2",
    "assertGreater": "1, 2",
}
"""unittest's method -> arguments that it refuses."""


def _python(dotted: bool) -> Find:
    """pytest's ids, or unittest's `dotted` ones."""

    def find(path: Path, read: Read, wanted: frozenset[str]) -> Iterator[tuple[str, Edit]]:
        mine: dict[str, list[str]] = {}
        for test in wanted:
            if inner := _inner(path, test, dotted):
                mine.setdefault(inner, []).append(test)
        if not mine:
            return
        text = read()
        try:
            tree, found = ast.parse(text), []
            for name, function in _functions(tree, ""):
                if name in mine:
                    function.body = _falsely(function)
                    found += mine[name]
            new = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return
        for test in found:
            yield test, (0, len(text), new)

    return find


def _inner(path: Path, test: str, dotted: bool) -> str:
    """`Class::name` of a test whose id says that it stands in `path`, else ""."""
    if dotted:
        parts = test.split(".")
        module, inner = ".".join(parts[:-2]), "::".join(parts[-2:])
        here = ".".join(path.with_suffix("").parts)
    else:
        module, _, inner = test.partition("[")[0].partition("::")
        here = str(path)
    sep = "." if dotted else "/"
    same = here == module or here.endswith(sep + module) or module.endswith(sep + here)
    return inner if same and module else ""


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Any]]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if not all(_DECORATORS.match(ast.unparse(one)) for one in node.decorator_list):
            continue
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}::")
        else:
            yield prefix + node.name, node


def _falsely(function: Any) -> list[ast.stmt]:
    """The function's body, and a check that fails where it raised nothing."""
    shell = "try: pass\nexcept BaseException:\n    made_to_fail = False\n    raise\n"
    shell += f"finally:\n    if 'made_to_fail' not in locals():\n        {_python_check(function)}"
    outer: Any = ast.parse(shell).body[0]
    outer.body = function.body
    return [outer]


def _python_check(function: Any) -> str:
    """One of the test's own checks with another constant, else one that is like them."""
    for node in function.body:
        if isinstance(node, ast.Assert) and (other := _other(node.test)):
            return f"assert {other}, {_WHY!r}"
        if isinstance(node, ast.Expr) and (other := _other(node.value)):
            return other
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return f"assert 1 == 2, {_WHY!r}"
        refused = _CHECKS.get(getattr(node, "attr", ""))
        if refused and isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            return f"self.{node.attr}({refused})"
    return f"raise AssertionError({_WHY!r})"


def _other(check: ast.expr) -> str:
    """`x == 1` or `self.assertEqual(x, 1)` with another number or text; "" for all else."""
    copied = copy.deepcopy(check)
    parts: list[ast.expr] = []
    if isinstance(copied, ast.Compare) and isinstance(copied.ops[-1], ast.Eq):
        parts = copied.comparators
    elif isinstance(copied, ast.Call) and ast.unparse(copied.func) == "self.assertEqual":
        parts = copied.args if len(copied.args) == 2 and not copied.keywords else []
    last = parts[-1] if parts else None
    known = last.value if isinstance(last, ast.Constant) else None
    if isinstance(known, bool) or not isinstance(known, (int, float, str)):
        return ""
    parts[-1] = ast.Constant(f"{known} {_WHY}" if isinstance(known, str) else known + 7919)
    return ast.unparse(copied)


_GO = re.compile(r"^func (Test\w*)\((\w+) \*testing\.T\) \{", re.M)
_GO_CHECK = r"\b(\w{1,60}\.(?:(Equal|EqualValues)|True))\(%s, "


def _go(path: Path, read: Read, wanted: frozenset[str]) -> Iterator[tuple[str, Edit]]:
    folder, text = "" if path.parent == Path() else f"/{path.parent}", read()
    for found in _GO.finditer(text):
        way = re.search(_GO_CHECK % found[2], text[found.end() :][:NEAR])
        check = f'{found[2]}.Fatal("{_WHY}")'
        if way:
            check = f"{way[1]}({found[2]}, {'1, 2' if way[2] else 'false'})"
        check = f" defer func() {{ recover(); {check} }}();"
        for test in wanted:
            package, _, name = test.partition("::")
            if name.partition("/")[0] == found[1] and package.endswith(folder):
                yield test, (found.end(), found.end(), check)


_RUST = re.compile(
    r"(?:#\[[^\]\n]{0,200}\]\s{0,200}){0,9}#\[(?:\w{1,40}::){0,3}test\]"
    r"(?:\s|#\[[^\]\n]{0,200}\]|//[^\n]{0,200}\n){0,99}(?:pub )?(?:async )?"
    r"fn (\w{1,200})\s?\(\)\s?(->[^{]{1,200})?\{"
)


_RUST_END = (
    " struct AtEnd; impl Drop for AtEnd { fn drop(&mut self) {"
    " if !std::thread::panicking() { CHECK; } } } let _at_end = AtEnd;"
)


def _rust(_: Path, read: Read, wanted: frozenset[str]) -> Iterator[tuple[str, Edit]]:
    text = read()
    for found in _RUST.finditer(text):
        if "should_panic" in found[0]:
            continue
        way = re.search(r"\b(assert|assert_eq|assert_ne)!", text[found.end() :][:NEAR])
        told = {"assert": "1 == 2", "assert_eq": "1, 2", "assert_ne": "1, 1"}
        check = f"{way[1]}!({told[way[1]]})" if way else f'panic!("{_WHY}")'
        check = _RUST_END.replace("CHECK", check)
        for test in wanted:
            if test.rpartition("::")[2] == found[1]:
                yield test, (found.end(), found.end(), check)


_JAVA = re.compile(
    r"@(?:Test|ParameterizedTest)\b(?:\([^)]{0,200}\))?[^;{}]{0,400}?\bvoid\s{1,9}(\w{1,200})\s?"
    r"\([^)]{0,400}\)[^{;]{0,200}\{"
)
_JAVA_CHECK = re.compile(r"\b((?:\w{1,60}\.)?(assertEquals|assertTrue|assertFalse))\(")


def _java(path: Path, read: Read, wanted: frozenset[str]) -> Iterator[tuple[str, Edit]]:
    mine: dict[str, list[str]] = {}
    for test in wanted:
        owner, _, name = test.partition("::")
        if owner.rpartition(".")[2] == path.stem and (said := re.match(r"\w+", name)):
            mine.setdefault(said[0], []).append(test)
    text = read() if mine else ""
    for found in _JAVA.finditer(text):
        end = _block_end(text, found.end() - 1)
        if found[1] not in mine or not end or "expected" in found[0].partition("void")[0]:
            continue
        body = text[found.end() : end - 1]
        way = _JAVA_CHECK.search(body)
        told = {"assertEquals": "1, 2", "assertTrue": "false", "assertFalse": "true"}
        check = f"{way[1]}({told[way[2]]})" if way else f'throw new AssertionError("{_WHY}")'
        new = f" try {{{body}}} catch (Throwable atEnd) {{ }} finally {{ {check}; }} "
        for test in mine[found[1]]:
            yield test, (found.end(), end - 1, new)


_JAVA_SKIPPED = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\]|\\.)+\'|[{}]', re.S
)


def _block_end(text: str, start: int) -> int:
    """Where the block that begins at `start` is over; 0 when it never is."""
    depth = 0
    for token in _JAVA_SKIPPED.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0 and token[0] == "}":
            return token.end()
    return 0


_CALLED = re.compile(r"(?:test|it|describe|suite)(?:\.only|\.concurrent)?")
_EXPECTS = {"toBe": "2", "toEqual": "2", "toStrictEqual": "2", "toBeNull": "", "toBeUndefined": ""}
_ASSERTS = {
    "": "0",
    ".ok": "0",
    ".equal": "1, 2",
    ".strictEqual": "1, 2",
    ".deepEqual": "1, 2",
    ".deepStrictEqual": "1, 2",
}


def _script(joined: Callable[[Sequence[str]], str], by_file: bool) -> Find:
    """Tests of JavaScript by title, `joined` to those of the suites around as in ids."""

    def find(path: Path, read: Read, wanted: frozenset[str]) -> Iterator[tuple[str, Edit]]:
        mine: dict[str, list[str]] = {}
        for test in wanted:
            file, _, title = test.partition("::")
            here = path.as_posix()
            if file == here or file.endswith(f"/{here}"):
                mine.setdefault(title, []).append(test)
            elif not by_file and is_test(here):
                mine.setdefault(test.removeprefix("Mocha Tests::"), []).append(test)
        kind = language(path.suffix)
        if kind is None or not mine:
            return
        from tree_sitter import Parser

        data = read().encode(errors="surrogateescape")
        if _depth(data) > DEPTH:
            return
        for titles, start, end in _tests(Parser(kind).parse(data).root_node):
            for test in mine.get(" ".join(joined(titles).split()), ()):
                body = data[start:end].decode(errors="surrogateescape")
                before = len(data[:start].decode(errors="surrogateescape"))
                run = f"await ({body}).apply(this, a)"
                new = f"async function (...a) {{ {run}; {_script_check(body)}; }}"
                yield test, (before, before + len(body), new)

    return find


def _depth(data: bytes) -> int:
    """How deep brackets nest: grammars overflow the stack on what is very deep."""
    deepest = depth = 0
    for bracket in re.findall(rb"[(\[{}\])]", data):
        depth += 1 if bracket in b"([{" else -1
        deepest = max(deepest, depth)
    return deepest


def _tests(root: Any) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """(titles from the outermost suite in, start and end byte of the function) of each test."""
    waiting: list[tuple[Any, tuple[str, ...]]] = [(root, ())]
    while waiting:
        node, titles = waiting.pop()
        if node.type == "call_expression" and (found := _titled(node)):
            title, function = found
            called = node.child_by_field_name("function").text.decode(errors="replace")
            if not called.startswith(("describe", "suite")):
                yield (*titles, title), function.start_byte, function.end_byte
            waiting.append((function, (*titles, title)))
        else:
            waiting += [(child, titles) for child in node.children]


def _titled(call: Any) -> tuple[str, Any] | None:
    """The title and the function of a call like test("…", () => …)."""
    called, arguments = (call.child_by_field_name(part) for part in ("function", "arguments"))
    if called is None or arguments is None or not _CALLED.fullmatch(called.text.decode("latin-1")):
        return None
    named = arguments.named_children
    if len(named) < 2 or named[0].type not in ("string", "template_string"):
        return None
    if named[1].type not in ("arrow_function", "function_expression", "function"):
        return None
    title = named[0].text.decode(errors="surrogateescape")[1:-1]
    return None if "\\" in title or "${" in title else (title, named[1])


def _script_check(body: str) -> str:
    if (way := re.search(r"\.(\w+)\(", body.partition("expect(")[2])) and way[1] in _EXPECTS:
        return f"expect(1).{way[1]}({_EXPECTS[way[1]]})"
    if (way := re.search(r"\b(\w*assert)(\.\w+)?\(", body)) and (way[2] or "") in _ASSERTS:
        return f"{way[0]}{_ASSERTS[way[2] or '']})"
    return f'throw new Error("{_WHY}")'


def _mochas(titles: Sequence[str]) -> str:
    return "::".join(part for part in (" ".join(titles[:-1]), titles[-1]) if part)


_SCRIPTS = r".*\.[cm]?[jt]sx?"
_WAYS: dict[str, tuple[str, Find]] = {
    "pytest": (r".*\.py", _python(dotted=False)),
    "unittest": (r".*\.py", _python(dotted=True)),
    "node": (_SCRIPTS, _script("::".join, by_file=False)),
    "jest": (_SCRIPTS, _script(" ".join, by_file=True)),
    "vitest": (_SCRIPTS, _script(" > ".join, by_file=True)),
    "mocha": (_SCRIPTS, _script(_mochas, by_file=False)),
    "go": (r".*_test\.go", _go),
    "cargo": (r".*\.rs", _rust),
    "junit": (r".*\.java", _java),
}
"""By runner: names of the files that hold its tests, and how to find them there."""
