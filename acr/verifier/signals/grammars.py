"""Do source files fit their language's grammar? An opinion: grammars lag behind their languages.

Asked in a process of its own, since deeply nested text overflows the stack of some grammars.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

__all__ = ["SUFFIXES", "faults", "language"]

SECONDS = 20.0
"""For all files; those that are not reached are not spoken of."""
SECONDS_EACH = 2.0
DEPTH = 500
"""Collections within collections in YAML."""
_GRAMMARS: Mapping[tuple[str, ...], tuple[str, str]] = {
    (".js", ".jsx", ".mjs", ".cjs"): ("tree_sitter_javascript", "language"),
    (".ts", ".mts", ".cts"): ("tree_sitter_typescript", "language_typescript"),
    (".tsx",): ("tree_sitter_typescript", "language_tsx"),
    (".go",): ("tree_sitter_go", "language"),
    (".rs",): ("tree_sitter_rust", "language"),
    (".java",): ("tree_sitter_java", "language"),
    (".c",): ("tree_sitter_c", "language"),
    (".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx"): ("tree_sitter_cpp", "language"),
    (".rb",): ("tree_sitter_ruby", "language"),
    (".php",): ("tree_sitter_php", "language_php"),
}
_BY_SUFFIX = {suffix: made for suffixes, made in _GRAMMARS.items() for suffix in suffixes}
_YAML = (".yaml", ".yml")
SUFFIXES = frozenset((*_BY_SUFFIX, *_YAML))
"""Suffixes of the files that `faults` can say something of."""


def faults(files: Sequence[tuple[str, bytes]]) -> list[str | None]:
    """Where each (suffix, content) first leaves its grammar: "" where it fits, None unknown."""
    asked = json.dumps([(suffix, data.decode("latin-1")) for suffix, data in files])
    argv = [sys.executable, "-I", "-m", __name__]
    answer = b""
    try:
        answer = subprocess.run(
            argv, input=asked.encode(), capture_output=True, timeout=SECONDS, check=False
        ).stdout
    except subprocess.TimeoutExpired as e:
        answer = e.stdout or b""
    except OSError:
        pass
    said: list[str | None] = []
    with contextlib.suppress(ValueError):  # the last line broke off
        said += [json.loads(line) for line in answer.splitlines()]
    return (said + [None] * len(files))[: len(files)]


def main() -> None:
    """The process of its own: answers one line a file."""
    for suffix, text in json.load(sys.stdin):
        parse = _yaml_fault if suffix in _YAML else _fault
        sys.stdout.write(json.dumps(parse(suffix, text.encode("latin-1"))) + "\n")
        sys.stdout.flush()


def _fault(suffix: str, data: bytes) -> str | None:
    from tree_sitter import Parser

    stop = time.monotonic() + SECONDS_EACH
    try:
        tree = Parser(language(suffix)).parse(
            lambda at, _: data[at : at + 65_536],
            progress_callback=lambda _, __: time.monotonic() > stop,
        )
    except ValueError:  # it took too long
        return None
    node = tree.root_node
    if not node.has_error:
        return ""
    while broken := next((child for child in node.children if child.has_error), None):
        node = broken
    what = f"{node.type} is missing" if node.is_missing else "unexpected text"
    return f"line {node.start_point.row + 1}: {what}"


@cache
def language(suffix: str) -> Any:
    """The grammar of tree_sitter for files with this suffix; None without one."""
    from tree_sitter import Language

    module, name = _BY_SUFFIX.get(suffix, ("", ""))
    return Language(getattr(importlib.import_module(module), name)()) if module else None


def _yaml_fault(_: str, data: bytes) -> str | None:
    import yaml

    depth = 0
    try:
        for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:
                return None
    except yaml.MarkedYAMLError as e:
        return f"line {e.problem_mark.line + 1 if e.problem_mark else 1}: {e.problem}"
    except yaml.YAMLError as e:
        return " ".join(str(e).split())[:200]
    return ""


if __name__ == "__main__":
    main()
