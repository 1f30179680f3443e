"""What `acr calibrate` fitted to own outcomes: how votes and kinds of request are corrected."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acr import settings
from acr.errors import AcrError
from acr.files import replace_file
from acr.nouns import Reading, Vote, from_json, to_json

__all__ = ["FROM_OUTSIDE", "NONE", "Calibrated", "Calibration", "Correction", "add", "load", "undo"]

FROM_OUTSIDE = ("prior", "classifier", "language_model")
"""Voters whose expected scores were not learned from own outcomes, and may be too high or low."""
NARROW = 0.005
"""Expected scores nearer to 0 or 1 are taken as this far away, so that their logits are finite."""
KEPT = 20
"""Calibrations that can be gone back to."""
MOST = 50.0
"""No sound factor or shift is larger."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is changed about one voter."""

    strength: float = 1.0
    """Factor of its pseudo-observations."""
    scale: float = 1.0
    """Factor of its expected scores' logits (Platt 1999)."""
    bias: Mapping[str, float] = field(default_factory=dict)
    """Tier -> logits added to the expected scores of its profiles."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One fit to own outcomes."""

    id: str
    """Stands in the snapshot of each decision that it shaped."""
    created: float
    """Seconds since the epoch."""
    voters: Mapping[str, Correction] = field(default_factory=dict)
    reader: str = ""
    """The model whose shares `temperature` and `kinds` correct; others are left alone."""
    temperature: float = 1.0
    """Divides the logarithms of the shares."""
    kinds: Mapping[str, float] = field(default_factory=dict)
    """Dimension -> logits added."""
    outcomes: int = 0
    """Verified outcomes that `voters` was fitted to."""
    named: int = 0
    """Prompts of a kind that the user named, which `kinds` was fitted to."""

    def vote(self, vote: Vote, tiers: Mapping[str, str]) -> Vote:
        """`vote`, corrected, with what it was in `raw`; `tiers` is profile name -> tier."""
        change = self.voters.get(vote.voter)
        if change is None or not vote.scores:
            return vote
        made = {
            name: (_moved(score, change, tiers.get(name, "")), strength * change.strength)
            for name, (score, strength) in vote.scores.items()
        }
        return replace(vote, scores=made, raw=vote.scores, reason=f"{vote.reason}; calibrated")

    def shares(self, read: Mapping[str, float]) -> Mapping[str, float]:
        """Shares per dimension, corrected; those of a text that says nothing stay even."""
        if len(set(read.values())) < 2:
            return read
        logits = {
            name: math.log(max(share, 1e-9)) / self.temperature + self.kinds.get(name, 0.0)
            for name, share in read.items()
        }
        top = max(logits.values())
        powers = {name: math.exp(value - top) for name, value in logits.items()}
        whole = math.fsum(powers.values())
        return {name: power / whole for name, power in powers.items()}


NONE = Calibration("", 0.0)


class Calibrated:
    """A reader of prompts whose shares are corrected."""

    def __init__(self, reader: Any, calibration: Calibration) -> None:
        self._reader, self._calibration = reader, calibration

    def scores(self, prompts: Sequence[str]) -> list[Reading]:
        """One reading per prompt, in order."""
        shares = self._calibration.shares
        return [
            replace(read, dimensions=shares(read.dimensions), reason=f"{read.reason}, calibrated")
            for read in self._reader.scores(prompts)
        ]


def load() -> Calibration:
    """The one in use; NONE where there is none or its file is unreadable (acr doctor says so)."""
    try:
        return kept()[-1]
    except (AcrError, IndexError):
        return NONE


def kept() -> list[Calibration]:
    """All that can be gone back to; the last is in use. Raises AcrError for an unreadable file."""
    file = _file()
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        found = [from_json(Calibration, row) for row in rows]
        if not all(map(_is_sound, found)):
            raise ValueError("a figure is out of range")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        why = e.strerror if isinstance(e, OSError) else str(e) or type(e).__name__
        raise AcrError(
            f"{file} cannot be read ({why}), so nothing is calibrated; acr calibrate --undo moves "
            "it away"
        ) from None
    return found


def add(calibration: Calibration) -> None:
    """Puts it in use; those before are kept. Raises AcrError."""
    _write([*kept(), calibration][-KEPT:])


def undo() -> tuple[Calibration | None, Calibration]:
    """Goes back by one: (what was in use, what is now). An unreadable file is moved away.

    Raises AcrError when there is nothing to undo.
    """
    try:
        found = kept()
    except AcrError:
        os.replace(_file(), _file().with_suffix(".broken"))
        return None, NONE
    if not found:
        raise AcrError("nothing is calibrated, so there is nothing to undo; see acr calibrate")
    _write(found[:-1])
    return found[-1], (found[-2] if len(found) > 1 else NONE)


def _write(calibrations: Sequence[Calibration]) -> None:
    try:
        replace_file(_file(), json.dumps(to_json(calibrations), indent=1) + "\n")
    except OSError as e:
        raise AcrError(f"{_file()} cannot be written: {e.strerror}") from None


def _file() -> Path:
    return settings.folder() / "calibration.json"


def _is_sound(one: Calibration) -> bool:
    factors = [one.temperature, *(v.strength for v in one.voters.values())]
    factors += [v.scale for v in one.voters.values()]
    shifts = [*one.kinds.values(), *(b for v in one.voters.values() for b in v.bias.values())]
    within = all(0 < float(f) < MOST for f in factors) and all(
        -MOST < float(s) < MOST for s in shifts
    )
    return within and isinstance(one.id, str)


def _moved(score: float, change: Correction, tier: str) -> float:
    bias = change.bias.get(tier, 0.0)
    if change.scale == 1.0 and not bias:
        return score
    near = min(1 - NARROW, max(NARROW, score))
    return 1 / (1 + math.exp(-change.scale * math.log(near / (1 - near)) - bias))
