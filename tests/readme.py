"""The generated parts of README.md: `python -m tests.readme [BLOCK]...` writes them anew."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acr import settings
from acr.cli.main import COMMANDS

__all__ = ["README", "block", "commands", "settings_table"]

README = Path(__file__).parent.parent / "README.md"
BLOCK = "<!-- begin {0}: written by python -m tests.readme -->\n{1}<!-- end {0} -->\n"


def block(name: str) -> str:
    """What stands in the README between the marks of block `name`."""
    pattern = re.escape(BLOCK.format(name, "\0")).replace("\0", "(.*?)")
    found = re.search(pattern, README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"README.md has no block {name}"
    return found[1]


def commands() -> str:
    """A table of every command and what it is for."""
    rows = (f"| `acr {name}` | {purpose} |\n" for name, (_, purpose) in COMMANDS.items())
    return "| command | what it does |\n|---|---|\n" + "".join(rows)


def settings_table() -> str:
    """A table of every setting, its default and its meaning, from the settings' docstrings."""
    rows = "".join(_section(settings.Settings, settings.Settings(), ""))
    return "| setting | default | meaning |\n|---|---|---|\n" + rows


def _section(kind: type, values: Any, prefix: str) -> typing.Iterator[str]:
    docs = _docstrings()[kind.__name__]
    for field in dataclasses.fields(kind):
        key, value = f"{prefix}{field.name}", getattr(values, field.name)
        if dataclasses.is_dataclass(value):
            yield from _section(type(value), value, f"{key}.")
        elif field.name == "repositories":
            nested = settings.RepositorySettings
            yield from _section(nested, nested(), 'repositories."PATH".')
        elif field.name == "weights":
            own = settings.SignalWeights
            yield from _section(own, own(), f"{key}.DIMENSION.")
        elif field.name == "post_run":
            fields = settings.HookCommand
            yield from _section(fields, fields(()), "hooks.post_run[].")
        else:
            yield f"| `{key}` | {_shown(value)} | {docs[field.name]} |\n"


def _shown(value: object) -> str:
    if value is None or value in ("", (), {}):
        return "none"
    return f"`{value}`" if isinstance(value, str) else str(value)


def _docstrings() -> dict[str, dict[str, str]]:
    """Class -> field -> the string that stands below the field."""
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {}
    for node in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        fields = found.setdefault(node.name, {})
        for here, below in zip(node.body, node.body[1:], strict=False):
            if isinstance(here, ast.AnnAssign) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                fields[ast.unparse(here.target)] = " ".join(text.split())
    return found


def demo() -> str:
    """The recorded text of `acr demo`, as on a terminal of 88 columns."""
    done = subprocess.run(
        [sys.executable, "-m", "acr", "demo"],
        env={**os.environ, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    text = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    return f"```text\n$ acr demo\n{text}\n```\n"


BLOCKS = {"demo": demo, "commands": commands, "settings": settings_table}


def main(names: Sequence[str]) -> None:
    """Writes the named blocks, else all; `demo` runs for real."""
    text = README.read_text(encoding="utf-8")
    for name in names or BLOCKS:
        text = text.replace(BLOCK.format(name, block(name)), BLOCK.format(name, BLOCKS[name]()))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
