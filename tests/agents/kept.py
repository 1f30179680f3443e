"""Output of the real agents, kept from runs against the model server; ids and paths trimmed."""

from __future__ import annotations

from pathlib import Path

from acr.agents import Reader
from acr.nouns import Event

FOLDER = Path(__file__).parent / "golden"


def lines(name: str) -> list[str]:
    """The lines of a transcript."""
    return (FOLDER / f"{name}.jsonl").read_text().splitlines()


def feed(reader: Reader, name: str) -> list[Event]:
    """The events of a transcript."""
    return [event for line in lines(name) for event in reader.feed(line)]
