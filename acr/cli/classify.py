"""acr classify: the kind of request that a prompt is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from acr import settings
from acr.cli.run import AsJson, File, Prompt
from acr.errors import AcrError, UsageError
from acr.nouns import Classification

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def classify(
    prompt: Prompt = None,
    *,
    file: File = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='JSON Lines in (field "prompt") and out, in order.')
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Shows dimension, confidence, language and difficulty of a prompt."""
    from acr import loop
    from acr.cli.console import clean, emit_json, out
    from acr.cli.prompt import read_prompt
    from acr.context import dimension

    argument = " ".join(prompt) if prompt else None
    if jsonl:
        _lines(argument, file)
        return
    text = read_prompt(argument, file)
    found = dimension.classify(text, loop.reader(settings.load()))
    if as_json:
        emit_json(_row(found))
        return
    language = f" · {found.language}" if found.language else ""
    share = f"{found.confidence:.0%}".replace("%", " %")
    out().print(clean(f"{found.dimension} · {share}{language} · difficulty {found.difficulty:.2f}"))
    out().print(clean(f"  by {found.reason}"), style="dim")


def _lines(argument: str | None, file: Path | None) -> None:
    from acr import loop
    from acr.context import dimension

    if argument and file:
        raise UsageError("a file and --file are both given; leave one of them out")
    path = argument or str(file or "-")
    with sys.stdin.buffer if path == "-" else open(path, "rb") as stream:
        prompts = _prompts(stream, "standard input" if path == "-" else path)
        for found in dimension.classify_many(prompts, loop.reader(settings.load())):
            sys.stdout.write(json.dumps(_row(found), ensure_ascii=False) + "\n")


def _prompts(stream: Any, name: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            prompt = json.loads(line)["prompt"]
        except (ValueError, KeyError, TypeError, RecursionError):
            prompt = None
        if not isinstance(prompt, str):
            raise AcrError(f'{name}:{number}: not a JSON object with a text in "prompt"')
        yield prompt


def _row(found: Classification) -> dict[str, Any]:
    return {
        "dimension": found.dimension,
        "confidence": round(found.confidence, 4),
        "runner_up": found.runner_up,
        "scores": {name: round(score, 4) for name, score in found.scores.items()},
        "language": found.language,
        "difficulty": found.difficulty,
    }
