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

__all__ = ["README", "block", "commands", "settings_table", "stats"]

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
        elif kind is settings.BudgetSettings and field.name in ("profiles", "repositories"):
            name = "NAME" if field.name == "profiles" else '"PATH"'
            yield from _section(settings.Caps, settings.Caps(), f"{key}.{name}.")
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


MADE_UP = (
    ("claude-opus", "claude", "claude-opus-5-5", 0.85, 0.62, 210.0),
    ("codex-sol", "codex", "gpt-6.1-sol", 0.74, 0.19, 95.0),
    ("qwen-coder", "qwen", "qwen3-coder-plus", 0.42, None, 60.0),
)
"""Profile, agent, model, win rate, USD and seconds of what the picture of `acr stats` shows."""


def stats() -> str:
    """What `acr stats` shows of 240 outcomes that are made up, on a terminal of 114 columns."""
    import random
    import tempfile

    from acr.memory.statistics import Figures
    from acr.memory.store import Memory

    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as home:
        with Memory.open(Path(home) / "memory.db") as memory, memory.merging() as merge:
            for number in range(240):
                profile, agent, model, rate, usd, seconds = MADE_UP[rng.choice((0, 0, 1, 1, 1, 2))]
                rate += 0.2 * (agent == "codex" and number > 120)
                unverified, won = rng.random() < 0.1, rng.random() < rate
                status = "unverified" if unverified else "pass" if won else "fail"
                merge(
                    Figures(
                        attempt=f"a{number}",
                        task=f"t{number - (rng.random() < 0.2)}",
                        profile=profile,
                        agent=agent,
                        model=model,
                        dimension=rng.choice(("bug_fixing", "test_generation")),
                        repository="r",
                        started=1.79e9 + 3600 * number,
                        duration=seconds * rng.lognormvariate(0, 0.4),
                        cost=usd and usd * rng.lognormvariate(0, 0.3),
                        tokens=50_000,
                        status=status,  # type: ignore[arg-type]
                        score=float(won),
                        weight=float(not unverified),
                        explored=rng.random() < 0.1,
                    )
                )
        shown = subprocess.run(
            [sys.executable, "-m", "acr", "stats"],
            env={**os.environ, "ACR_HOME": home, "COLUMNS": "114", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    lines = (line.rstrip() for line in shown.strip("\n").splitlines())
    return "```text\n$ acr stats\n" + "\n".join(lines) + "\n```\n"


BLOCKS = {"demo": demo, "stats": stats, "commands": commands, "settings": settings_table}


def main(names: Sequence[str]) -> None:
    """Writes the named blocks, else all; `demo` runs for real."""
    text = README.read_text(encoding="utf-8")
    for name in names or BLOCKS:
        text = text.replace(BLOCK.format(name, block(name)), BLOCK.format(name, BLOCKS[name]()))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
